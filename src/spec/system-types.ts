/** Answers of the system part of the Engine API (reference: SystemVersion, SystemInfo, SystemDataUsageResponse). */
import type { ContainerSummary } from './container-types.ts'
import type { ImageSummary } from './image-types.ts'
import type { Volume } from './volume-types.ts'

/** Part of the engine with a version of its own. */
export type SystemComponent = { Name: string; Version: string; Details: Record<string, string> }

/** Answer of `GET /version`. */
export type SystemVersion = {
  Platform: { Name: string }
  Components: SystemComponent[]
  Version: string
  ApiVersion: string
  MinAPIVersion: string
  GitCommit: string
  GoVersion: string
  Os: string
  Arch: string
  KernelVersion: string
  Experimental?: boolean
  BuildTime?: string
}

/** An OCI runtime by name, as `daemon.json` and info have it. */
export type RuntimeEntry = {
  path?: string
  runtimeArgs?: string[]
  runtimeType?: string
  options?: Record<string, unknown>
  status?: Record<string, string>
}

/** A registry as info shows it. */
export type RegistryIndex = { Name: string; Mirrors: string[]; Secure: boolean; Official: boolean }

/** Commit of a program the engine stands on. */
export type ComponentCommit = { ID: string; Expected?: string }

/** Answer of `GET /info`. */
export type SystemInfo = {
  ID: string
  Containers: number
  ContainersRunning: number
  ContainersPaused: number
  ContainersStopped: number
  Images: number
  Driver: string
  DriverStatus: [string, string][]
  SystemStatus?: null
  Plugins: { Volume: string[]; Network: string[]; Authorization: string[] | null; Log: string[] }
  MemoryLimit: boolean
  SwapLimit: boolean
  KernelMemoryTCP?: boolean
  CpuCfsPeriod: boolean
  CpuCfsQuota: boolean
  CPUShares: boolean
  CPUSet: boolean
  PidsLimit: boolean
  IPv4Forwarding: boolean
  BridgeNfIptables?: boolean
  BridgeNfIp6tables?: boolean
  Debug: boolean
  NFd: number
  OomKillDisable: boolean
  NGoroutines: number
  SystemTime: string
  LoggingDriver: string
  CgroupDriver: string
  CgroupVersion: string
  NEventsListener: number
  KernelVersion: string
  OperatingSystem: string
  OSVersion: string
  OSType: string
  Architecture: string
  IndexServerAddress: string
  RegistryConfig: {
    AllowNondistributableArtifactsCIDRs?: null
    AllowNondistributableArtifactsHostnames?: null
    InsecureRegistryCIDRs: string[]
    IndexConfigs: Record<string, RegistryIndex>
    Mirrors: string[]
  }
  NCPU: number
  MemTotal: number
  GenericResources: null
  DockerRootDir: string
  HttpProxy: string
  HttpsProxy: string
  NoProxy: string
  Name: string
  Labels: string[]
  ExperimentalBuild: boolean
  ServerVersion: string
  Runtimes: Record<string, RuntimeEntry>
  DefaultRuntime: string
  Swarm: {
    NodeID: string
    NodeAddr: string
    LocalNodeState: string
    ControlAvailable: boolean
    Error: string
    RemoteManagers: null
  }
  LiveRestoreEnabled: boolean
  Isolation: string
  InitBinary: string
  ContainerdCommit: ComponentCommit
  RuncCommit: ComponentCommit
  InitCommit: ComponentCommit
  SecurityOptions: string[]
  FirewallBackend?: { Driver: string; Info?: [string, string][] }
  DiscoveredDevices?: Record<string, string>[] | null
  CDISpecDirs: string[]
  DefaultAddressPools?: { Base: string; Size: number }[]
  ProductLicense?: string
  Warnings: string[] | null
}

/** Usage of one kind of object, API 1.52 and later. */
export type UsageSummary<Item = unknown> = {
  ActiveCount: number
  TotalCount: number
  Reclaimable: number
  TotalSize: number
  Items?: Item[]
}

/** Answer of `GET /system/df`; the flat fields are those of API 1.51 and before. */
export type DiskUsage = {
  LayersSize?: number
  Images?: ImageSummary[] | null
  Containers?: ContainerSummary[] | null
  Volumes?: Volume[] | null
  BuildCache?: unknown[] | null
  BuilderSize?: number
  ImageUsage?: UsageSummary<ImageSummary>
  ContainerUsage?: UsageSummary<ContainerSummary>
  VolumeUsage?: UsageSummary<Volume>
  BuildCacheUsage?: UsageSummary
}
