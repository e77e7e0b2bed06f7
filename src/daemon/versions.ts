/**
 * What differs between the versions of the Engine API: requests of older clients are brought to the newest shape,
 * answers back to the shape that the client's version has (reference: the API's changelog). Versions are minor
 * numbers. Handlers know nothing of this beyond calling it.
 */
import type {
  ContainerCreateRequest,
  ExecConfig,
  HostConfig,
  UpdateConfig,
} from '../spec/container-config.ts'
import type { ContainerInspect, ContainerSummary, EventMessage } from '../spec/container-types.ts'
import { EngineError } from '../spec/errors.ts'
import type { DiskUsage, SystemInfo } from '../spec/system-types.ts'
import { adaptEndpoints } from './versions-network.ts'

/** Brings a create request to the newest shape, in place. Returns warnings. Throws `invalid` as Docker does. */
export function adaptCreateRequest(
  request: ContainerCreateRequest,
  version: number,
  host: { cgroupUnified: boolean },
): string[] {
  const { hostConfig } = request
  adaptNetworkMode(request)
  if (version < 25) hostConfig.AutoRemove = false
  if (version < 40) {
    hostConfig.KernelMemoryTCP = 0
    if (hostConfig.IpcMode === '') hostConfig.IpcMode = 'shareable'
  }
  if (version < 41 && hostConfig.CgroupnsMode === '' && !host.cgroupUnified) hostConfig.CgroupnsMode = 'host'
  if (version < 42) hostConfig.ConsoleSize = null
  else hostConfig.KernelMemory = 0
  if (version < 43) hostConfig.Annotations = null
  if (version < 44) {
    if (request.config.Healthcheck !== null) request.config.Healthcheck.StartInterval = 0
    request.readOnlyNonRecursive = true
  }
  if (version >= 52) hostConfig.KernelMemoryTCP = 0
  adaptMounts(hostConfig, version)
  if ((hostConfig.PidsLimit ?? 1) <= 0) hostConfig.PidsLimit = null
  return [
    ...volumeDriverWarning(hostConfig, version),
    ...adaptEndpoints(request, version),
    ...adaptPortBindings(hostConfig, version),
  ]
}

/** `default` says "attach to what this system's default is", which is `bridge` on Linux. */
function adaptNetworkMode({ hostConfig, networkingConfig }: ContainerCreateRequest): void {
  if (hostConfig.NetworkMode !== '' && hostConfig.NetworkMode !== 'default') return
  hostConfig.NetworkMode = 'bridge'
  const endpoints = networkingConfig.EndpointsConfig
  const settings = endpoints?.['default']
  if (endpoints === null || settings === undefined) return
  endpoints['bridge'] = settings
  delete endpoints['default']
}

function adaptMounts(hostConfig: HostConfig, version: number): void {
  for (const mount of hostConfig.Mounts ?? []) {
    const bind = mount.BindOptions
    if (bind !== null && version < 40) bind.NonRecursive = false
    if (bind !== null && version < 42) bind.CreateMountpoint = false
    if (version < 42) {
      if (mount.Type !== 'volume') mount.VolumeOptions = null
      if (mount.Type !== 'tmpfs') mount.TmpfsOptions = null
    } else {
      refuseForeignOptions(mount)
    }
    if (version < 44 && mount.Type === 'bind') {
      if (bind?.ReadOnlyForceRecursive === true) {
        throw new EngineError('invalid', 'BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer')
      }
    }
    if (version < 45 && (mount.VolumeOptions?.Subpath ?? '') !== '') {
      throw new EngineError('invalid', 'VolumeOptions.Subpath needs API v1.45 or newer')
    }
    if (version < 48 && mount.Type === 'image') {
      throw new EngineError('invalid', 'Mount type "Image" needs API v1.48 or newer')
    }
  }
}

function refuseForeignOptions(mount: NonNullable<HostConfig['Mounts']>[number]): void {
  const foreign = [
    ['VolumeOptions', mount.VolumeOptions, 'volume'],
    ['BindOptions', mount.BindOptions, 'bind'],
    ['TmpfsOptions', mount.TmpfsOptions, 'tmpfs'],
  ] as const
  for (const [name, options, type] of foreign) {
    if (options === null || mount.Type === type) continue
    throw new EngineError('invalid', `${name} must not be specified on mount type "${mount.Type}"`)
  }
}

function volumeDriverWarning(hostConfig: HostConfig, version: number): string[] {
  if (hostConfig.VolumeDriver === '' || version < 48) return []
  const ignored = (hostConfig.Mounts ?? []).some(
    (mount) => mount.Type === 'volume' && (mount.VolumeOptions?.DriverConfig?.Name ?? '') === '',
  )
  if (!ignored) return []
  return [
    "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. Use '--mount type=volume,volume-driver=...' instead",
  ]
}

/** An empty list of bindings means "any host port"; Docker means to end that, and has warned of it since 1.52. */
function adaptPortBindings(hostConfig: HostConfig, version: number): string[] {
  const ports = hostConfig.PortBindings
  if (ports === null) return []
  const empty = Object.keys(ports).filter((port) => (ports[port] ?? []).length === 0)
  for (const port of empty) ports[port] = [{ HostIp: '', HostPort: '' }]
  if (version < 52 || empty.length === 0) return []
  return [
    `Following container port(s) have an empty list of port-bindings: ${empty.join(', ')}. Such bindings will be discarded in a future version.`,
  ]
}

/** Brings an update request to the newest shape, in place. */
export function adaptUpdateRequest(update: UpdateConfig, version: number): void {
  if (version < 40) update.PidsLimit = null
  if (version >= 42) update.KernelMemory = 0
  if (version >= 52) update.KernelMemoryTCP = 0
  if (update.PidsLimit !== null && update.PidsLimit <= 0) update.PidsLimit = 0
  if (version >= 55) return
  update.BlkioWeightDevice = null
  update.BlkioDeviceReadBps = null
  update.BlkioDeviceWriteBps = null
  update.BlkioDeviceReadIOps = null
  update.BlkioDeviceWriteIOps = null
}

/** Brings an exec request to the newest shape, in place. */
export function adaptExecConfig(config: ExecConfig, version: number): void {
  if (version < 42) config.ConsoleSize = null
}

/** The client's version of an inspect answer. */
export function adaptInspect(inspect: ContainerInspect, version: number): object {
  const { ImageManifestDescriptor: descriptor, ...rest } = inspect
  const answer =
    version >= 48 && descriptor !== undefined ? { ...rest, ImageManifestDescriptor: descriptor } : rest
  if (version < 45) return { ...answer, NetworkSettings: withShortIdAliases(inspect) }
  if (version < 52) return answer
  const { SandboxID, SandboxKey, Ports, Networks } = inspect.NetworkSettings
  const { KernelMemoryTCP: _gone, ...hostConfig } = inspect.HostConfig
  const { OnBuild, ...config } = inspect.Config
  return {
    ...answer,
    HostConfig: hostConfig,
    Config: (OnBuild ?? []).length > 0 ? { ...config, OnBuild } : config,
    NetworkSettings: { SandboxID, SandboxKey, Ports, Networks },
  }
}

function withShortIdAliases(inspect: ContainerInspect): ContainerInspect['NetworkSettings'] {
  const settings = inspect.NetworkSettings
  const extra = [inspect.Id.slice(0, 12), inspect.Config.Hostname ?? '']
  const networks = Object.entries(settings.Networks).map(([name, endpoint]) => {
    if (['bridge', 'host', 'none', 'default'].includes(name)) return [name, endpoint] as const
    const aliases = [...new Set([...(endpoint.Aliases ?? []), ...extra])].filter((alias) => alias !== '')
    return [name, { ...endpoint, Aliases: aliases }] as const
  })
  return { ...settings, Networks: Object.fromEntries(networks) }
}

/** The client's version of a list of containers. */
export function adaptList(containers: ContainerSummary[], version: number): object[] {
  if (version >= 52) return containers
  return containers.map((container) => {
    const { Health: _health, ImageManifestDescriptor: descriptor, ...rest } = container
    const answer =
      version >= 48 && descriptor !== undefined ? { ...rest, ImageManifestDescriptor: descriptor } : rest
    if (version >= 46) return answer
    return { ...answer, HostConfig: { NetworkMode: container.HostConfig.NetworkMode } }
  })
}

/** The client's version of an event; undefined for one it must not see. */
export function adaptEvent(event: EventMessage, version: number): EventMessage | undefined {
  if (version < 46 && event.Type === 'image' && event.Action === 'create') return undefined
  if (version >= 52) return event
  if (event.Type === 'container') {
    const from = event.Actor.Attributes['image'] ?? ''
    return { status: event.Action, id: event.Actor.ID, from, ...event }
  }
  return event.Type === 'image' ? { status: event.Action, id: event.Actor.ID, ...event } : event
}

/** The client's version of info. */
export function adaptInfo(info: SystemInfo, version: number): object {
  const answer: Record<string, unknown> = { ...info }
  if (version < 25) {
    answer['ExecutionDriver'] = '<not supported>'
    answer['SecurityOptions'] = info.SecurityOptions.map(securityOptionName)
  }
  if (version < 44) {
    answer['Runtimes'] = Object.fromEntries(
      Object.entries(info.Runtimes).map(([name, { status: _status, ...runtime }]) => [name, runtime]),
    )
  }
  if (version < 47) {
    answer['RegistryConfig'] = {
      AllowNondistributableArtifactsCIDRs: null,
      AllowNondistributableArtifactsHostnames: null,
      ...info.RegistryConfig,
    }
  }
  if (version < 49) {
    delete answer['FirewallBackend']
    answer['ContainerdCommit'] = { ...info.ContainerdCommit, Expected: info.ContainerdCommit.ID }
    answer['RuncCommit'] = { ...info.RuncCommit, Expected: info.RuncCommit.ID }
    answer['InitCommit'] = { ...info.InitCommit, Expected: info.InitCommit.ID }
  }
  if (version < 50) {
    delete answer['DiscoveredDevices']
    answer['BridgeNfIptables'] = false
    answer['BridgeNfIp6tables'] = false
  }
  if (version >= 52) delete answer['KernelMemoryTCP']
  return answer
}

/** The name alone of `name=seccomp,profile=builtin`. */
function securityOptionName(option: string): string {
  const name = option.split(',').find((part) => part.startsWith('name='))
  return name?.slice('name='.length) ?? option
}

/** The client's version of df: flat lists before 1.52, both in 1.52, summaries since. */
export function adaptDiskUsage(usage: DiskUsage, version: number, verbose: boolean | undefined): object {
  const { LayersSize, Images, Containers, Volumes, BuildCache, BuilderSize, ...summaries } = usage
  const flat: Record<string, unknown> = {}
  if (Images !== undefined) {
    const shown = version < 44 ? Images?.map((image) => ({ ...image, VirtualSize: image.Size })) : Images
    Object.assign(flat, { LayersSize, Images: shown })
  }
  if (Containers !== undefined) flat['Containers'] = adaptList(Containers ?? [], version)
  if (Volumes !== undefined) flat['Volumes'] = Volumes
  if (BuildCache !== undefined) flat['BuildCache'] = BuildCache
  if (version < 42 && BuilderSize !== undefined) flat['BuilderSize'] = BuilderSize
  if (version < 52) return flat
  if (version === 52 && verbose === undefined) return { ...flat, ...summaries }
  if (verbose === true) return summaries
  return Object.fromEntries(
    Object.entries(summaries).map(([name, { Items: _items, ...summary }]) => [name, summary]),
  )
}
