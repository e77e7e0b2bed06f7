/**
 * What the engine's rooms say to each other about a running container: plain data, no behaviour. A task is a
 * running container or exec under its keeper (the shim); its directory outlives the daemon.
 */
import type { ContainerConfig, HostConfig } from './container-config.ts'
import type { MountPoint } from './container-types.ts'
import type { ContainerId, ExecId } from './ids.ts'

/** A mount ready to be written into an OCI configuration: the source exists on the host. */
export type ResolvedMount = {
  /** The mount as clients see it. */
  point: MountPoint
  /** OCI mount type: `bind`, `tmpfs`, ... */
  type: string
  /** Host path for binds, the file system's name otherwise. */
  source: string
  destination: string
  /** OCI mount options (`rbind`, `ro`, `rprivate`, `size=...`). */
  options: string[]
}

/** Where a namespace of the container comes from. A path is a file under /proc or a bind-mounted namespace. */
export type NamespaceSource = { kind: 'new' } | { kind: 'host' } | { kind: 'path'; path: string }

/** Where and how a task's output is kept; undefined for the driver `none`. The shim writes, the daemon reads. */
export type TaskLog = {
  /** Log lines as Docker's json-file driver has them, or length-prefixed binary records (driver `local`). */
  format: 'json-file' | 'local'
  path: string
  /** A full file is renamed to `path.1`, `.2` ... and a new one begun; 0 never rotates. */
  maxSizeBytes: number
  /** Files kept, the current one included. */
  maxFiles: number
  /** Set for `mode=non-blocking`: output beyond this many buffered bytes is dropped, never waited for. */
  nonBlockingBufferBytes?: number
  /** The `attrs` object of every json-file line (labels, env, tag); absent when none were asked for. */
  attributes?: Record<string, string>
}

/** Everything needed to start a container's process. */
export type ContainerTaskStart = {
  id: ContainerId
  /** Container name without its slash. */
  name: string
  config: ContainerConfig
  hostConfig: HostConfig
  /** Entrypoint and command joined: what is executed. */
  args: string[]
  hostname: string
  /** Directory of the container's durable files. */
  directory: string
  /** Mounted root file system. */
  rootfs: string
  mounts: ResolvedMount[]
  /** Host files bind-mounted over /etc/hosts, /etc/hostname, /etc/resolv.conf; an absent one is not mounted. */
  etcFiles: { hosts?: string; hostname?: string; resolvConf?: string }
  /** `/dev/shm` of a shareable or joined IPC namespace; undefined for one of the container's own. */
  shmPath?: string
  namespaces: {
    network: NamespaceSource
    ipc: NamespaceSource
    pid: NamespaceSource
    uts: NamespaceSource
    cgroup: NamespaceSource
  }
  log?: TaskLog
  /** Initial terminal size in rows and columns. */
  consoleSize?: { rows: number; columns: number }
}

/** Everything needed to run a further process in a running container. */
export type ExecTaskStart = {
  id: ExecId
  containerId: ContainerId
  args: string[]
  /** Environment added to the container's. */
  env: string[]
  tty: boolean
  openStdin: boolean
  privileged: boolean
  /** `user[:group]` by name or number; empty for the container's. */
  user: string
  /** Empty for the container's. */
  workingDir: string
  consoleSize?: { rows: number; columns: number }
  /**
   * Whether a client will attach: true keeps all output for the first one, false drops what nobody takes; undefined
   * waits for one second.
   */
  attached?: boolean
}

/** How a task ended. */
export type TaskExit = {
  /** The process's exit code, 128+n after signal n. */
  exitCode: number
  /** Whether the kernel killed a process of this container for memory. */
  oomKilled: boolean
  /** When it ended: RFC 3339 with nanoseconds. */
  finishedAt: string
}

/** Which streams an attached client wants. */
export type AttachOptions = { stdin: boolean; stdout: boolean; stderr: boolean }

/**
 * A client's connection that its stream's other end may serve itself, so that no byte passes through here: a descriptor,
 * what the client is to be sent first, and what of its stdin was read from it already.
 */
export type OfferedConnection = { descriptor: number; first: Uint8Array; input: Uint8Array }

/** A reading of a container's cgroup. Counters are since its start; a limit of 0 means none. */
export type TaskStats = {
  cpuUsageNs: bigint
  cpuUserNs: bigint
  cpuSystemNs: bigint
  perCpuNs: bigint[]
  throttledPeriods: bigint
  throttledRuns: bigint
  throttledNs: bigint
  memoryUsageBytes: bigint
  memoryMaxUsageBytes: bigint
  memoryLimitBytes: bigint
  /** Lines of memory.stat. */
  memoryStat: Record<string, bigint>
  memoryFailCount: bigint
  pids: bigint
  pidsLimit: bigint
  blockIo: { major: number; minor: number; operation: string; bytes: bigint; count: bigint }[]
}
