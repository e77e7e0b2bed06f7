/**
 * What a container is asked to be: the `Config`, `HostConfig` and `NetworkingConfig` of the Engine API
 * (definitions ContainerConfig, HostConfig, EndpointSettings). The same shapes are read from requests, kept in
 * the database and shown by inspect. Decoded values have every field; absent ones hold Go's zero value.
 */
import { z } from 'zod'
import { goBool, goInt, goList, goMap, goPointer, goString, goStringSlice, goStruct } from './go-json.ts'

/** Health check of an image or container. Durations are nanoseconds; 0 inherits the default. */
export const HealthConfig = goStruct({
  Test: goList(z.string()),
  Interval: goInt(),
  Timeout: goInt(),
  StartPeriod: goInt(),
  StartInterval: goInt(),
  Retries: goInt(),
})
/** See `HealthConfig`. */
export type HealthConfig = z.infer<typeof HealthConfig>

/** The portable part of a container's configuration: what an image may also carry. */
export const ContainerConfig = goStruct({
  Hostname: goString(),
  Domainname: goString(),
  User: goString(),
  AttachStdin: goBool(),
  AttachStdout: goBool(),
  AttachStderr: goBool(),
  ExposedPorts: goMap(goStruct({})),
  Tty: goBool(),
  OpenStdin: goBool(),
  StdinOnce: goBool(),
  Env: goList(z.string()),
  Cmd: goStringSlice(),
  Healthcheck: goPointer(HealthConfig),
  ArgsEscaped: goBool(),
  Image: goString(),
  Volumes: goMap(goStruct({})),
  WorkingDir: goString(),
  Entrypoint: goStringSlice(),
  NetworkDisabled: goBool(),
  MacAddress: goString(),
  OnBuild: goList(z.string()),
  Labels: goMap(z.string()),
  StopSignal: goString(),
  StopTimeout: goPointer(z.number().int()),
  Shell: goStringSlice(),
})
/** See the schema of the same name. */
export type ContainerConfig = z.infer<typeof ContainerConfig>

/** Fields that Go leaves out of a configuration while they hold nothing. */
export const optionalConfigFields = [
  'ExposedPorts',
  'Healthcheck',
  'ArgsEscaped',
  'NetworkDisabled',
  'MacAddress',
  'StopSignal',
  'StopTimeout',
  'Shell',
] as const satisfies readonly (keyof ContainerConfig)[]

/** One published host address. `HostPort` may be empty (pick one) or a range. */
export const PortBinding = goStruct({ HostIp: goString(), HostPort: goString() })
/** See the schema of the same name. */
export type PortBinding = z.infer<typeof PortBinding>

/** Published ports by `port/protocol`; null for one that is exposed only. */
export const PortMap = goMap(goPointer(z.array(PortBinding)))
/** See the schema of the same name. */
export type PortMap = z.infer<typeof PortMap>

/** A mount asked for by `--mount`. */
export const Mount = goStruct({
  Type: goString(),
  Source: goString(),
  Target: goString(),
  ReadOnly: goBool(),
  Consistency: goString(),
  BindOptions: goPointer(
    goStruct({
      Propagation: goString(),
      NonRecursive: goBool(),
      CreateMountpoint: goBool(),
      ReadOnlyNonRecursive: goBool(),
      ReadOnlyForceRecursive: goBool(),
    }),
  ),
  VolumeOptions: goPointer(
    goStruct({
      NoCopy: goBool(),
      Labels: goMap(z.string()),
      Subpath: goString(),
      DriverConfig: goPointer(goStruct({ Name: goString(), Options: goMap(z.string()) })),
    }),
  ),
  ImageOptions: goPointer(goStruct({ Subpath: goString() })),
  TmpfsOptions: goPointer(
    goStruct({ SizeBytes: goInt(), Mode: goInt(), Options: goPointer(z.array(z.array(z.string()))) }),
  ),
  ClusterOptions: goPointer(goStruct({})),
})
/** See the schema of the same name. */
export type Mount = z.infer<typeof Mount>

const weightDevice = goStruct({ Path: goString(), Weight: goInt() })
/** A limit of a block device: `Rate` is bytes or operations a second. */
export const ThrottleDevice = goStruct({ Path: goString(), Rate: goInt() })
/** See the schema of the same name. */
export type ThrottleDevice = z.infer<typeof ThrottleDevice>
const ulimit = goStruct({ Name: goString(), Soft: goInt(), Hard: goInt() })
const deviceMapping = goStruct({
  PathOnHost: goString(),
  PathInContainer: goString(),
  CgroupPermissions: goString(),
})
const deviceRequest = goStruct({
  Driver: goString(),
  Count: goInt(),
  DeviceIDs: goList(z.string()),
  Capabilities: goList(z.array(z.string())),
  Options: goMap(z.string()),
})

/** Restart policy; an empty name means `no`. */
export const RestartPolicy = goStruct({ Name: goString(), MaximumRetryCount: goInt() })
/** See the schema of the same name. */
export type RestartPolicy = z.infer<typeof RestartPolicy>

/** Limits of a container: what `update` may change too. Sizes are bytes, -1 is unlimited, 0 is unset. */
const resourcesShape = {
  CpuShares: goInt(),
  Memory: goInt(),
  NanoCpus: goInt(),
  CgroupParent: goString(),
  BlkioWeight: goInt(),
  BlkioWeightDevice: goList(weightDevice),
  BlkioDeviceReadBps: goList(ThrottleDevice),
  BlkioDeviceWriteBps: goList(ThrottleDevice),
  BlkioDeviceReadIOps: goList(ThrottleDevice),
  BlkioDeviceWriteIOps: goList(ThrottleDevice),
  CpuPeriod: goInt(),
  CpuQuota: goInt(),
  CpuRealtimePeriod: goInt(),
  CpuRealtimeRuntime: goInt(),
  CpusetCpus: goString(),
  CpusetMems: goString(),
  Devices: goList(deviceMapping),
  DeviceCgroupRules: goList(z.string()),
  DeviceRequests: goList(deviceRequest),
  KernelMemory: goInt(),
  KernelMemoryTCP: goInt(),
  MemoryReservation: goInt(),
  MemorySwap: goInt(),
  MemorySwappiness: goPointer(z.number().int()),
  OomKillDisable: goPointer(z.boolean()),
  PidsLimit: goPointer(z.number().int()),
  Ulimits: goList(ulimit),
  CpuCount: goInt(),
  CpuPercent: goInt(),
  IOMaximumIOps: goInt(),
  IOMaximumBandwidth: goInt(),
}
/** See `resourcesShape`. */
export const Resources = goStruct(resourcesShape)
/** See `resourcesShape`. */
export type Resources = z.infer<typeof Resources>

/** The part of a container's configuration that depends on its host. */
export const HostConfig = goStruct({
  Binds: goList(z.string()),
  ContainerIDFile: goString(),
  LogConfig: goStruct({ Type: goString(), Config: goMap(z.string()) }),
  NetworkMode: goString(),
  PortBindings: PortMap,
  RestartPolicy,
  AutoRemove: goBool(),
  VolumeDriver: goString(),
  VolumesFrom: goList(z.string()),
  ConsoleSize: goPointer(z.tuple([z.number().int(), z.number().int()])),
  Annotations: goMap(z.string()),
  CapAdd: goStringSlice(),
  CapDrop: goStringSlice(),
  CgroupnsMode: goString(),
  Dns: goList(z.string()),
  DnsOptions: goList(z.string()),
  DnsSearch: goList(z.string()),
  ExtraHosts: goList(z.string()),
  GroupAdd: goList(z.string()),
  IpcMode: goString(),
  Cgroup: goString(),
  Links: goList(z.string()),
  OomScoreAdj: goInt(),
  PidMode: goString(),
  Privileged: goBool(),
  PublishAllPorts: goBool(),
  ReadonlyRootfs: goBool(),
  SecurityOpt: goList(z.string()),
  StorageOpt: goMap(z.string()),
  Tmpfs: goMap(z.string()),
  UTSMode: goString(),
  UsernsMode: goString(),
  ShmSize: goInt(),
  Sysctls: goMap(z.string()),
  Runtime: goString(),
  Isolation: goString(),
  ...resourcesShape,
  Mounts: goList(Mount),
  MaskedPaths: goList(z.string()),
  ReadonlyPaths: goList(z.string()),
  Init: goPointer(z.boolean()),
})
/** See the schema of the same name. */
export type HostConfig = z.infer<typeof HostConfig>

/** One network of a container: what was asked for, and while it runs what it got. */
export const EndpointSettings = goStruct({
  IPAMConfig: goPointer(
    goStruct({ IPv4Address: goString(), IPv6Address: goString(), LinkLocalIPs: goList(z.string()) }),
  ),
  Links: goList(z.string()),
  Aliases: goList(z.string()),
  MacAddress: goString(),
  DriverOpts: goMap(z.string()),
  GwPriority: goInt(),
  NetworkID: goString(),
  EndpointID: goString(),
  Gateway: goString(),
  IPAddress: goString(),
  IPPrefixLen: goInt(),
  IPv6Gateway: goString(),
  GlobalIPv6Address: goString(),
  GlobalIPv6PrefixLen: goInt(),
  DNSNames: goList(z.string()),
})
/** See the schema of the same name. */
export type EndpointSettings = z.infer<typeof EndpointSettings>

/** Networks asked for at create, by network name or id. */
export const NetworkingConfig = goStruct({ EndpointsConfig: goMap(goPointer(EndpointSettings)) })
/** See the schema of the same name. */
export type NetworkingConfig = z.infer<typeof NetworkingConfig>

/** Body of `POST /containers/create`. The `Config` fields stand at its top level. */
export type ContainerCreateRequest = {
  config: ContainerConfig
  hostConfig: HostConfig
  networkingConfig: NetworkingConfig
  /** Read-only binds leave what is mounted below them writable, as all did before API 1.44. */
  readOnlyNonRecursive?: boolean
}

/** Body of `POST /containers/{id}/exec`. */
export const ExecConfig = goStruct({
  AttachStdin: goBool(),
  AttachStdout: goBool(),
  AttachStderr: goBool(),
  ConsoleSize: goPointer(z.tuple([z.number().int(), z.number().int()])),
  DetachKeys: goString(),
  Tty: goBool(),
  Env: goList(z.string()),
  Cmd: goList(z.string()),
  Privileged: goBool(),
  User: goString(),
  WorkingDir: goString(),
})
/** See the schema of the same name. */
export type ExecConfig = z.infer<typeof ExecConfig>

/** Body of `POST /containers/{id}/update`. */
export const UpdateConfig = goStruct({ ...resourcesShape, RestartPolicy })
/** See the schema of the same name. */
export type UpdateConfig = z.infer<typeof UpdateConfig>
