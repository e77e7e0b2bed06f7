/** Connecting and disconnecting networks, and the container's name in them. */
import type { EndpointSettings } from '../spec/container-config.ts'
import { EngineError } from '../spec/errors.ts'
import type { Container } from './container.ts'
import type { Core } from './core.ts'
import { endpointsOf } from './inspect.ts'
import { isUserDefined, joinedContainer } from './modes.ts'
import { parseContainerName } from './names.ts'
import { nameOf, requestedSettings } from './sandbox-request.ts'

/** Joins a network: at once while the container runs, else at its next start. */
export async function connectNetwork(
  core: Core,
  container: Container,
  network: string,
  settings: EndpointSettings,
): Promise<void> {
  using _lock = await core.locks.acquire(container.id)
  refuseRemoved(container)
  const name = container.state.running
    ? core.ports.networking.resolve(network).name
    : nameOf(network, core.ports.networking)
  refuseShared(container, name)
  const { record } = container
  const wanted = requestedSettings(settings)
  if (!isUserDefined(name) && (wanted.Aliases ?? []).length > 0) {
    throw new EngineError(
      'invalid',
      'network-scoped alias is supported only for containers in user defined networks',
    )
  }
  if (!container.state.running || record.sandbox === null) {
    core.registry.save(container, { networks: { ...record.networks, [name]: wanted } })
    return
  }
  if (record.sandbox.endpoints[name] !== undefined) {
    throw new EngineError('forbidden', `endpoint with name ${record.name} already exists in network ${name}`)
  }
  const endpoint = await core.ports.networking.connect(container.id, name, wanted)
  const { sandbox, networks } = container.record
  if (sandbox === null) return
  try {
    core.registry.save(container, {
      networks: { ...networks, [name]: wanted },
      sandbox: { ...sandbox, endpoints: { ...sandbox.endpoints, [name]: endpoint } },
    })
  } catch (error) {
    await core.cleanUp('disconnect', container.id, () => core.ports.networking.disconnect(container.id, name))
    throw error
  }
}

/** Leaves a network. With `force`, also one that is no more. */
export async function disconnectNetwork(
  core: Core,
  container: Container,
  network: string,
  force: boolean,
): Promise<void> {
  using _lock = await core.locks.acquire(container.id)
  refuseRemoved(container)
  const name = force ? nameOf(network, core.ports.networking) : core.ports.networking.resolve(network).name
  if (container.record.hostConfig.NetworkMode === 'host' && name === 'host') {
    throw new EngineError(
      'invalid',
      'cannot disconnect container from host network - container was created in host network mode',
    )
  }
  if (endpointsOf(container.record)[name] === undefined) {
    throw new EngineError('internal', `container ${container.id} is not connected to network ${name}`)
  }
  if (container.record.sandbox?.endpoints[name] !== undefined) {
    await core.ports.networking.disconnect(container.id, name)
  }
  const { [name]: _left, ...networks } = container.record.networks
  const { sandbox } = container.record
  const { [name]: _gone, ...endpoints } = sandbox?.endpoints ?? {}
  core.recordFact(container, {}, { networks, sandbox: sandbox === null ? null : { ...sandbox, endpoints } })
}

function refuseRemoved({ state, id }: Container): void {
  if (state.removing === null && !state.dead) return
  throw new EngineError(
    'internal',
    `Container ${id} is marked for removal and cannot be connected or disconnected to the network`,
  )
}

function refuseShared(container: Container, network: string): void {
  const { hostConfig, networks } = container.record
  if (joinedContainer(hostConfig.NetworkMode) !== undefined || hostConfig.NetworkMode === 'host') {
    throw new EngineError(
      'invalid',
      'container sharing network namespace with another container or host cannot be connected to any other network',
    )
  }
  if (network === 'host') {
    throw new EngineError(
      'invalid',
      'cannot connect container to host network - container must be created in host network mode',
    )
  }
  if (Object.hasOwn(networks, 'none') || network === 'none') {
    throw new EngineError(
      'invalid',
      'container cannot be connected to multiple networks with one of the networks in private (none) mode',
    )
  }
}

/** Gives a container another name, also in its networks. */
export async function renameContainer(core: Core, container: Container, wanted: string): Promise<void> {
  if (wanted === '') throw new EngineError('invalid', 'Neither old nor new names may be empty')
  using _lock = await core.locks.acquire(container.id)
  refuseRemoved(container)
  const oldName = container.record.name
  const name = wanted.startsWith('/') ? wanted.slice(1) : wanted
  if (name === oldName) {
    throw new EngineError('invalid', 'Renaming a container with the same name as its current name')
  }
  // Once saved the reservation is the container's name; disposing sees that.
  using _reserved = reserve(core, container, wanted)
  const { sandbox, hostConfig } = container.record
  const isNamed = sandbox !== null && joinedContainer(hostConfig.NetworkMode) === undefined
  if (isNamed) await core.ports.networking.rename(container.id, name)
  try {
    core.registry.save(container, { name })
  } catch (error) {
    if (isNamed) {
      await core.cleanUp('rename back', container.id, () =>
        core.ports.networking.rename(container.id, oldName),
      )
    }
    throw error
  }
  core.emit(container, 'rename', { oldName: `/${oldName}` })
}

function reserve(core: Core, container: Container, wanted: string): Disposable {
  try {
    return core.registry.reserveName(parseContainerName(wanted.replace(/^(?!\/)/, '/')), container.id)
  } catch (error) {
    if (!(error instanceof EngineError)) throw error
    throw new EngineError(error.kind, `Error when allocating new name: ${error.message}`, { cause: error })
  }
}
