/** `GET /containers/x/json`. Differences between API versions are the route's. */
import { zeroTime } from '../lib/clock.ts'
import type { EndpointSettings } from '../spec/container-config.ts'
import type {
  ContainerInspect,
  ContainerState,
  Health,
  MountPoint,
  NetworkSettings,
} from '../spec/container-types.ts'
import type { Container } from './container.ts'
import type { Core } from './core.ts'
import type { Execs } from './exec.ts'
import { shownConfig, shownHostConfig } from './inspect-shape.ts'
import { joinedContainer } from './modes.ts'
import { statusOf, type ContainerRecord, type ContainerStateRecord } from './record.ts'

/** See the file's head. */
export async function inspectContainer(
  core: Core,
  execs: Execs,
  container: Container,
  options: { size: boolean },
): Promise<ContainerInspect> {
  const { record, id } = container
  const etcFiles = record.sandbox?.etcFiles ?? {}
  const size = options.size ? await core.ports.rootfs.usage(id) : undefined
  return {
    Id: id,
    Created: record.createdAt,
    Path: record.path,
    Args: record.args,
    State: stateOf(record.state),
    Image: record.imageId,
    ResolvConfPath: etcFiles.resolvConf ?? '',
    HostnamePath: etcFiles.hostname ?? '',
    HostsPath: etcFiles.hosts ?? '',
    LogPath: core.ports.logs.logPath(core.logRequest(container)),
    Name: `/${record.name}`,
    RestartCount: record.restartCount,
    Driver: core.ports.rootfs.driverName,
    Platform: record.platform,
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: execs.idsOf(container),
    HostConfig: shownHostConfig(record.hostConfig, linksOf(core, record)),
    GraphDriver: core.ports.rootfs.describe(id),
    ...(size === undefined ? {} : { SizeRw: size.writableBytes, SizeRootFs: size.rootBytes }),
    Mounts: mountPoints(core, record),
    Config: shownConfig(record.config),
    NetworkSettings: networkSettings(record),
    ...(record.imageManifest === null ? {} : { ImageManifestDescriptor: record.imageManifest }),
  }
}

/** `State` of inspect. */
function stateOf(state: ContainerStateRecord): ContainerState {
  return {
    Status: statusOf(state),
    Running: state.running,
    Paused: state.paused,
    Restarting: state.restarting,
    OOMKilled: state.oomKilled,
    Dead: state.dead,
    Pid: state.pid,
    ExitCode: state.exitCode,
    Error: state.error,
    StartedAt: state.startedAt === '' ? zeroTime : state.startedAt,
    FinishedAt: state.finishedAt === '' ? zeroTime : state.finishedAt,
    ...healthOf(state.health),
  }
}

function healthOf(health: Health | null): { Health?: Health } {
  return health === null ? {} : { Health: health }
}

/** Mounts as clients see them: with where they are now, as some get their place only while they are in use. */
export function mountPoints(core: Core, record: ContainerRecord): MountPoint[] {
  const active = new Map(record.activeMounts.map(({ destination, point }) => [destination, point]))
  return record.mounts.map(({ point }) => core.ports.mounts.place(active.get(point.Destination) ?? point))
}

/** `/child:/parent/alias` for every link; null for none. */
function linksOf(core: Core, record: ContainerRecord): string[] | null {
  const links = record.links.flatMap(({ id, alias }) => {
    const child = core.registry.byId(id)
    return child === undefined ? [] : [`/${child.record.name}:/${record.name}/${alias}`]
  })
  return links.length === 0 ? null : links
}

/** What a container has in its networks now: the operational settings while it runs, else what was asked for. */
export function endpointsOf(record: ContainerRecord): Record<string, EndpointSettings> {
  return record.sandbox === null ? record.networks : { ...record.networks, ...record.sandbox.endpoints }
}

function networkSettings(record: ContainerRecord): NetworkSettings {
  const networks = endpointsOf(record)
  const bridge = networks['bridge']
  const joined = joinedContainer(record.hostConfig.NetworkMode) !== undefined
  return {
    Bridge: '',
    SandboxID: record.sandbox?.sandboxId ?? '',
    SandboxKey: record.sandbox?.sandboxKey ?? '',
    Ports: record.sandbox?.ports ?? {},
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: bridge?.EndpointID ?? '',
    Gateway: bridge?.Gateway ?? '',
    GlobalIPv6Address: bridge?.GlobalIPv6Address ?? '',
    GlobalIPv6PrefixLen: bridge?.GlobalIPv6PrefixLen ?? 0,
    IPAddress: bridge?.IPAddress ?? '',
    IPPrefixLen: bridge?.IPPrefixLen ?? 0,
    IPv6Gateway: bridge?.IPv6Gateway ?? '',
    MacAddress: record.sandbox === null ? '' : (bridge?.MacAddress ?? ''),
    Networks: joined ? {} : networks,
  }
}
