/** The network part of a create request of an older client, brought to the newest shape. */
import { EndpointSettings, type ContainerCreateRequest } from '../spec/container-config.ts'
import { EngineError } from '../spec/errors.ts'

const endpointSysctls = 'com.docker.network.endpoint.sysctls'

/** Endpoint priorities, the container-wide MAC address and interface sysctls, in place. Returns warnings. */
export function adaptEndpoints(request: ContainerCreateRequest, version: number): string[] {
  const endpoints = request.networkingConfig.EndpointsConfig ?? {}
  const names = Object.keys(endpoints)
  if (version < 44 && names.length > 1) {
    throw new EngineError(
      'invalid',
      `Container cannot be created with multiple network endpoints: ${names.join(', ')}`,
    )
  }
  if (version < 48)
    for (const endpoint of Object.values(endpoints)) if (endpoint !== null) endpoint.GwPriority = 0
  return [...adaptMacAddress(request, version), ...adaptSysctls(request, version)]
}

function isUserDefined(mode: string): boolean {
  return mode !== 'bridge' && mode !== 'host' && mode !== 'none' && !mode.startsWith('container:')
}

/**
 * The settings of the network that the container's mode names; made when there are none. Before 1.44 there was but one,
 * whatever its name. Since then settings under other names alone may be of the same network by its id: Docker refuses
 * them (`invalid`), for `purpose`.
 */
function mainEndpoint(request: ContainerCreateRequest, version: number, purpose: string): EndpointSettings {
  const mode = request.hostConfig.NetworkMode
  request.networkingConfig.EndpointsConfig ??= {}
  const endpoints = request.networkingConfig.EndpointsConfig
  const [first] = Object.keys(endpoints)
  if (version >= 44 && first !== undefined && endpoints[mode] === undefined) {
    throw new EngineError(
      'invalid',
      `${purpose}: HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks`,
    )
  }
  const name = version < 44 ? (first ?? mode) : mode
  const settings = endpoints[name] ?? EndpointSettings.parse({})
  endpoints[name] = settings
  return settings
}

function adaptMacAddress(request: ContainerCreateRequest, version: number): string[] {
  const { config, hostConfig, networkingConfig } = request
  const address = config.MacAddress
  const mode = hostConfig.NetworkMode
  const joinsNetwork = mode === 'bridge' || isUserDefined(mode)
  if (version < 44 && address === '') {
    for (const endpoint of Object.values(networkingConfig.EndpointsConfig ?? {})) {
      if (endpoint !== null) endpoint.MacAddress = ''
    }
    return []
  }
  if (address === '') return []
  if (version < 44 && !joinsNetwork) {
    throw new EngineError('invalid', 'conflicting options: mac-address and the network mode')
  }
  if (version < 52 && joinsNetwork) {
    const purpose = 'unable to migrate container-wide MAC address to a specific network'
    const endpoint = mainEndpoint(request, version, purpose)
    if (version >= 44 && endpoint.MacAddress !== '' && endpoint.MacAddress !== address) {
      throw new EngineError(
        'invalid',
        'the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty',
      )
    }
    endpoint.MacAddress = address
  }
  config.MacAddress = ''
  if (version < 44 || version >= 52) return []
  return [
    'The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.',
  ]
}

/** `net.ipv4.conf.eth0.x` names an interface that is not there yet when sysctls are set: it moves to the endpoint. */
function adaptSysctls(request: ContainerCreateRequest, version: number): string[] {
  const { hostConfig } = request
  const mode = hostConfig.NetworkMode
  if (mode === 'host' || mode.startsWith('container:') || hostConfig.Sysctls === null) return []
  const moved: string[] = []
  const options: string[] = []
  for (const [key, value] of Object.entries(hostConfig.Sysctls)) {
    const match = /^net\.([^.]*)\.([^.]*)\.(eth[^.]*)\.(.*)$/.exec(key)
    if (match === null) continue
    if (version > 47) {
      throw new EngineError(
        'invalid',
        `interface specific sysctl setting "${key}" must be supplied using driver option '${endpointSysctls}'`,
      )
    }
    if (match[3] !== 'eth0') {
      throw new EngineError(
        'invalid',
        `unable to determine network endpoint for sysctl ${key}, use driver option '${endpointSysctls}' to set per-interface sysctls`,
      )
    }
    moved.push(key)
    options.push(`net.${match[1]}.${match[2]}.IFNAME.${match[4]}=${value}`)
  }
  if (moved.length === 0) return []
  const endpoint = mainEndpoint(request, version, `unable to find a network for sysctl ${moved[0]}`)
  const setting = options.join(',')
  const before = endpoint.DriverOpts?.[endpointSysctls]
  endpoint.DriverOpts = {
    ...endpoint.DriverOpts,
    [endpointSysctls]: before === undefined ? setting : `${setting},${before}`,
  }
  for (const key of moved) delete hostConfig.Sysctls[key]
  return [`Migrated sysctl "${moved.join(',')}" to DriverOpts{"${endpointSysctls}":"${setting}"}.`]
}
