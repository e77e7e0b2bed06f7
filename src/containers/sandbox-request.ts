/** A container's networks: what was asked for, and how it is put to the networks. */
import { EngineError } from '../spec/errors.ts'
import {
  EndpointSettings,
  type ContainerConfig,
  type ContainerCreateRequest,
  type HostConfig,
} from '../spec/container-config.ts'
import type { ContainerId } from '../spec/ids.ts'
import type { SandboxRequest, SandboxState } from '../spec/sandbox-types.ts'
import type { Container } from './container.ts'
import type { Core } from './core.ts'
import { isUserDefined, joinedContainer, networkOfMode, parseLink } from './modes.ts'
import type { ContainerNetworking } from './ports.ts'
import type { ContainerRecord } from './record.ts'
import type { ContainerRegistry } from './registry.ts'

/** Endpoint settings of which nothing is asked. */
function emptyEndpoint(): EndpointSettings {
  return EndpointSettings.parse({})
}

/** What a sandbox of which nothing is known is released with. */
export const unknownSandbox: SandboxState = {
  sandboxId: '',
  sandboxKey: '',
  etcFiles: {},
  endpoints: {},
  ports: {},
}

/** Networks to join at start, by name. A network that does not exist yet keeps the name it was asked by. */
export function networksOf(
  request: Pick<ContainerCreateRequest, 'config' | 'networkingConfig'>,
  hostConfig: HostConfig,
  networking: ContainerNetworking,
): Record<string, EndpointSettings> {
  const main = networkOfMode(hostConfig.NetworkMode)
  if (main === undefined || request.config.NetworkDisabled) return {}
  const asked = Object.entries(request.networkingConfig.EndpointsConfig ?? {})
  const networks: Record<string, EndpointSettings> = {}
  for (const [key, settings] of asked) {
    if (settings === null) {
      throw new EngineError('invalid', `invalid config for network ${key}: EndpointsConfig is nil`)
    }
    const name = key === 'default' ? 'bridge' : nameOf(key, networking)
    networks[name] = requestedSettings(settings)
  }
  const mainName = nameOf(main, networking)
  if (asked.length === 0) networks[mainName] = emptyEndpoint()
  const endpoint = networks[mainName]
  if (endpoint !== undefined && endpoint.MacAddress === '' && request.config.MacAddress !== '') {
    networks[mainName] = { ...endpoint, MacAddress: request.config.MacAddress }
  }
  return networks
}

/** The network's name for a name, id or id prefix; the reference itself while there is no such network. */
export function nameOf(reference: string, networking: ContainerNetworking): string {
  if (!isUserDefined(reference)) return reference
  try {
    return networking.resolve(reference).name
  } catch (error) {
    // Docker lets a container be made before its network; the start fails then.
    if (error instanceof EngineError && error.kind === 'notFound') return reference
    throw error
  }
}

/** What a client asked for, without the operational fields that it may have copied from an inspect. */
export function requestedSettings(settings: EndpointSettings): EndpointSettings {
  return {
    ...emptyEndpoint(),
    IPAMConfig: settings.IPAMConfig,
    Links: settings.Links,
    Aliases: settings.Aliases,
    MacAddress: settings.MacAddress,
    DriverOpts: settings.DriverOpts,
    GwPriority: settings.GwPriority,
  }
}

/** Resolves `--link`s. Throws invalid for a container that does not exist or that has no network of its own. */
export function resolveLinks(hostConfig: HostConfig, registry: ContainerRegistry): ContainerRecord['links'] {
  return (hostConfig.Links ?? []).map((text) => {
    const { name, alias } = parseLink(text)
    let child = registry.find(name)
    while (child !== undefined && joinedContainer(child.record.hostConfig.NetworkMode) !== undefined) {
      child = registry.find(joinedContainer(child.record.hostConfig.NetworkMode) ?? '')
    }
    if (child === undefined) {
      throw new EngineError('invalid', `could not get container for ${name}: No such container: ${name}`)
    }
    if (child.record.hostConfig.NetworkMode === 'host') {
      throw new EngineError(
        'invalid',
        "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
      )
    }
    return { id: child.id, alias }
  })
}

/** The request for a container's sandbox. Throws when it joins one that does not run. */
export function sandboxRequest(
  core: Core,
  container: Container | { record: ContainerRecord },
): SandboxRequest {
  const { record } = container
  const { config, hostConfig } = record
  return {
    containerId: record.id,
    containerName: record.name,
    hostname: config.Hostname,
    domainname: config.Domainname,
    mode: sandboxMode(core, record),
    ...userNamespace(core, record),
    endpoints: Object.entries(record.networks)
      .filter(([network]) => network !== 'host' && network !== 'none')
      .map(([network, settings]) => ({ network, settings })),
    portBindings: hostConfig.PortBindings,
    exposedPorts: exposedPorts(config, hostConfig),
    publishAllPorts: hostConfig.PublishAllPorts,
    dns: hostConfig.Dns ?? [],
    dnsSearch: hostConfig.DnsSearch ?? [],
    dnsOptions: hostConfig.DnsOptions ?? [],
    extraHosts: hostConfig.ExtraHosts ?? [],
    links: record.links.flatMap(({ id, alias }) => {
      const child = core.registry.byId(id)
      return child === undefined ? [] : [{ containerId: id, containerName: child.record.name, alias }]
    }),
    sysctls: hostConfig.Sysctls ?? {},
    directory: core.directoryOf(record.id),
  }
}

function exposedPorts(config: ContainerConfig, hostConfig: HostConfig): string[] {
  const ports = [...Object.keys(config.ExposedPorts ?? {}), ...Object.keys(hostConfig.PortBindings ?? {})]
  return [...new Set(ports)]
}

function sandboxMode(core: Core, record: ContainerRecord): SandboxRequest['mode'] {
  const { NetworkMode } = record.hostConfig
  const joined = joinedContainer(NetworkMode)
  if (joined !== undefined) return { container: joinedNetworkContainer(core, record.id, joined) }
  if (NetworkMode === 'host') return 'host'
  return NetworkMode === 'none' || record.config.NetworkDisabled ? 'none' : 'own'
}

/** Namespaces that are shared belong to the user namespace of whoever made them: the network's is to be in the same. */
function userNamespace(core: Core, { hostConfig }: ContainerRecord): Pick<SandboxRequest, 'userNamespace'> {
  const { UsernsMode, PidMode, IpcMode } = hostConfig
  if (UsernsMode === 'host') return { userNamespace: 'host' }
  const joined = joinedContainer(PidMode) ?? joinedContainer(IpcMode)
  const target = joined === undefined ? undefined : core.registry.find(joined)
  if (target?.state.running !== true || target.record.hostConfig.UsernsMode === 'host') return {}
  return { userNamespace: { path: `/proc/${target.state.pid}/ns/user` } }
}

/** The running container whose network is joined, with Docker's texts for one that cannot be. */
function joinedNetworkContainer(core: Core, id: string, reference: string): ContainerId {
  const target = core.registry.find(reference)
  if (target === undefined) {
    throw new EngineError(
      'internal',
      `joining network namespace of container: No such container: ${reference}`,
    )
  }
  if (target.id === id) throw new EngineError('internal', 'cannot join own network namespace')
  const { state, name } = target.record
  if (!state.running) {
    throw new EngineError(
      'conflict',
      `cannot join network namespace of a non running container: container ${name} is ${state.startedAt.startsWith('0001') ? 'created' : 'exited'}`,
    )
  }
  if (state.restarting) {
    throw new EngineError(
      'conflict',
      `cannot join network namespace of container: container ${reference} is restarting, wait until the container is running`,
    )
  }
  return target.id
}
