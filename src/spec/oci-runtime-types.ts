/**
 * The part of the OCI runtime configuration (runtime-spec 1.2, config.md and config-linux.md) that Wharf writes and
 * reads back: `config.json` of a bundle and the process object of an exec. Absent fields take the runtime's default.
 */

/** `mounts[]`. */
export type OciMount = { destination: string; type: string; source: string; options: string[] }

/** `linux.namespaces[]`; without a path a new one is made. */
export type OciNamespace = {
  type: 'pid' | 'network' | 'mount' | 'ipc' | 'uts' | 'user' | 'cgroup'
  path?: string
}

/** `linux.uidMappings[]` and `gidMappings[]`. */
export type OciIdMapping = { containerID: number; hostID: number; size: number }

/** `linux.devices[]`: a node that the runtime makes. */
export type OciDevice = {
  type: 'c' | 'b' | 'p' | 'u'
  path: string
  major: number
  minor: number
  fileMode?: number
  uid?: number
  gid?: number
}

/** `linux.resources.devices[]`: a rule of the device cgroup. */
export type OciDeviceRule = {
  allow: boolean
  type?: 'a' | 'b' | 'c'
  major?: number
  minor?: number
  access: string
}

/** `process.user`. */
export type OciUser = { uid: number; gid: number; additionalGids?: number[] }

/** `process.capabilities`. */
export type OciCapabilities = {
  bounding: string[]
  effective?: string[]
  permitted?: string[]
  inheritable?: string[]
  ambient?: string[]
}

/** `process.rlimits[]`. */
export type OciRlimit = { type: string; soft: number; hard: number }

/** `process`, and the file given to `exec --process`. */
export type OciProcess = {
  terminal: boolean
  consoleSize?: { height: number; width: number }
  user: OciUser
  args: string[]
  env: string[]
  cwd: string
  capabilities: OciCapabilities
  rlimits?: OciRlimit[]
  noNewPrivileges: boolean
  apparmorProfile?: string
  selinuxLabel?: string
  oomScoreAdj?: number
}

/** A limit of a block device: `rate` is bytes or operations a second. */
export type OciThrottle = { major: number; minor: number; rate: number }

/** `linux.resources`. */
export type OciResources = {
  devices?: OciDeviceRule[]
  memory?: {
    limit?: number
    reservation?: number
    swap?: number
    swappiness?: number
    disableOOMKiller?: boolean
  }
  cpu?: {
    shares?: number
    quota?: number
    period?: number
    realtimeRuntime?: number
    realtimePeriod?: number
    cpus?: string
    mems?: string
  }
  pids?: { limit: number }
  blockIO?: {
    weight?: number
    weightDevice?: { major: number; minor: number; weight: number }[]
    throttleReadBpsDevice?: OciThrottle[]
    throttleWriteBpsDevice?: OciThrottle[]
    throttleReadIOPSDevice?: OciThrottle[]
    throttleWriteIOPSDevice?: OciThrottle[]
  }
}

/** Comparison of a system call's argument. Values are 64 bits wide, a bigint where a double is not exact. */
export type OciSeccompArgument = {
  index: number
  value: number | bigint
  valueTwo?: number | bigint
  op: string
}

/** `linux.seccomp`. */
export type OciSeccomp = {
  defaultAction: string
  defaultErrnoRet?: number
  architectures?: string[]
  flags?: string[]
  listenerPath?: string
  listenerMetadata?: string
  syscalls: { names: string[]; action: string; errnoRet?: number; args?: OciSeccompArgument[] }[]
}

/** `config.json` of a bundle. */
export type OciSpec = {
  ociVersion: string
  hostname?: string
  domainname?: string
  root: { path: string; readonly: boolean }
  process: OciProcess
  mounts: OciMount[]
  annotations: Record<string, string>
  linux: {
    namespaces: OciNamespace[]
    uidMappings?: OciIdMapping[]
    gidMappings?: OciIdMapping[]
    devices: OciDevice[]
    cgroupsPath: string
    resources: OciResources
    rootfsPropagation?: string
    maskedPaths: string[]
    readonlyPaths: string[]
    sysctl: Record<string, string>
    mountLabel?: string
    seccomp?: OciSeccomp
  }
}
