/** Answers of the container part of the Engine API (reference: ContainerInspectResponse, ContainerSummary ...). */
import type {
  ContainerConfig,
  HealthConfig,
  EndpointSettings,
  HostConfig,
  PortMap,
} from './container-config.ts'

/** States of a container, as `State.Status` and the `status` filter name them. */
export const containerStates = [
  'created',
  'running',
  'paused',
  'restarting',
  'removing',
  'exited',
  'dead',
] as const
/** See `containerStates`. */
export type ContainerStatus = (typeof containerStates)[number]

/** One run of a health check. Times are RFC 3339 with nanoseconds. */
export type HealthcheckResult = { Start: string; End: string; ExitCode: number; Output: string }

/** Health of a container that has a health check. `Log` keeps the last five results. */
export type Health = {
  Status: 'none' | 'starting' | 'healthy' | 'unhealthy'
  FailingStreak: number
  Log: HealthcheckResult[] | null
}

/** `State` of inspect. Times are RFC 3339 with nanoseconds, `0001-01-01T00:00:00Z` for never. */
export type ContainerState = {
  Status: ContainerStatus
  Running: boolean
  Paused: boolean
  Restarting: boolean
  OOMKilled: boolean
  Dead: boolean
  Pid: number
  ExitCode: number
  Error: string
  StartedAt: string
  FinishedAt: string
  Health?: Health
}

/** A mount of a container as inspect and ps show it. */
export type MountPoint = {
  Type: 'bind' | 'volume' | 'tmpfs' | 'image' | 'npipe' | 'cluster'
  Name?: string
  Source: string
  Destination: string
  Driver?: string
  Mode: string
  RW: boolean
  Propagation: string
}

/** `NetworkSettings` of inspect. The flat address fields are those of the default bridge network. */
export type NetworkSettings = {
  Bridge: string
  SandboxID: string
  SandboxKey: string
  Ports: PortMap
  HairpinMode: boolean
  LinkLocalIPv6Address: string
  LinkLocalIPv6PrefixLen: number
  SecondaryIPAddresses: null
  SecondaryIPv6Addresses: null
  EndpointID: string
  Gateway: string
  GlobalIPv6Address: string
  GlobalIPv6PrefixLen: number
  IPAddress: string
  IPPrefixLen: number
  IPv6Gateway: string
  MacAddress: string
  Networks: Record<string, EndpointSettings>
}

/** Answer of `GET /containers/{id}/json`. */
export type ContainerInspect = {
  Id: string
  Created: string
  Path: string
  Args: string[]
  State: ContainerState
  Image: string
  ResolvConfPath: string
  HostnamePath: string
  HostsPath: string
  LogPath: string
  Name: string
  RestartCount: number
  Driver: string
  Platform: string
  MountLabel: string
  ProcessLabel: string
  AppArmorProfile: string
  ExecIDs: string[] | null
  HostConfig: ShownHostConfig
  GraphDriver: { Name: string; Data: Record<string, string> | null }
  SizeRw?: number
  SizeRootFs?: number
  Mounts: MountPoint[]
  Config: ShownConfig
  NetworkSettings: NetworkSettings
  ImageManifestDescriptor?: Record<string, unknown>
}

/** A host configuration without the fields that hold nothing, in its mounts as well. */
export type ShownHostConfig = Partial<Omit<HostConfig, 'Mounts'>> & { Mounts?: object[] }

/** A configuration without the fields that hold nothing. */
export type ShownConfig = Partial<Omit<ContainerConfig, 'Healthcheck'>> & {
  Healthcheck?: Partial<HealthConfig> | null
}

/** A published or exposed port in `GET /containers/json`. */
export type PortSummary = { IP?: string; PrivatePort: number; PublicPort?: number; Type: string }

/** One row of `GET /containers/json`. `Created` is seconds since 1970. */
export type ContainerSummary = {
  Id: string
  Names: string[]
  Image: string
  ImageID: string
  ImageManifestDescriptor?: Record<string, unknown>
  Command: string
  Created: number
  Ports: PortSummary[]
  SizeRw?: number
  SizeRootFs?: number
  Labels: Record<string, string>
  State: ContainerStatus
  Status: string
  Health?: { Status: string; FailingStreak: number }
  HostConfig: { NetworkMode: string; Annotations?: Record<string, string> }
  NetworkSettings: { Networks: Record<string, EndpointSettings> }
  Mounts: MountPoint[]
}

/** Answer of `POST /containers/create` and `/containers/{id}/update`. */
export type ContainerCreated = { Id: string; Warnings: string[] }

/** Answer of `POST /containers/{id}/wait`. */
export type ContainerWaited = { StatusCode: number; Error?: { Message: string } }

/** Answer of `GET /containers/{id}/top`. */
export type ContainerTop = { Titles: string[]; Processes: string[][] }

/** One row of `GET /containers/{id}/changes`: 0 modified, 1 added, 2 deleted. */
export type FilesystemChange = { Path: string; Kind: 0 | 1 | 2 }

/** The `X-Docker-Container-Path-Stat` header, decoded. `mode` is Go's os.FileMode bits. */
export type ContainerPathStat = {
  name: string
  size: number
  mode: number
  mtime: string
  linkTarget: string
}

/** Answer of `GET /exec/{id}/json`. */
export type ExecInspect = {
  ID: string
  Running: boolean
  ExitCode: number | null
  ProcessConfig: {
    tty: boolean
    entrypoint: string
    arguments: string[]
    privileged: boolean
    user?: string
  }
  OpenStdin: boolean
  OpenStderr: boolean
  OpenStdout: boolean
  CanRemove: boolean
  ContainerID: string
  DetachKeys: string
  Pid: number
}

/** One message of `GET /events`. */
export type EventMessage = {
  status?: string
  id?: string
  from?: string
  Type: string
  Action: string
  Actor: { ID: string; Attributes: Record<string, string> }
  scope: string
  time: number
  timeNano: bigint
}

/** Answer of `GET /containers/{id}/stats`; field names are the API's, which mixes cases. */
export type ContainerStats = {
  name: string
  id: string
  read: string
  preread: string
  num_procs: number
  pids_stats: Record<string, number>
  blkio_stats: Record<string, { major: number; minor: number; op: string; value: number }[] | null>
  storage_stats: Record<string, never>
  cpu_stats: Record<string, unknown>
  precpu_stats: Record<string, unknown>
  memory_stats: Record<string, unknown>
  networks?: Record<string, Record<string, number>>
}
