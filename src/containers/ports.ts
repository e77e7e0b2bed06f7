/**
 * What containers need from the rooms beside them. `containers/` imports none of those rooms; `daemon/main.ts`
 * passes in objects of these shapes. Every method that waits takes an AbortSignal last; every error that a
 * client may see is an EngineError.
 */
import type { Duplex } from 'node:stream'
import type { EndpointSettings, HostConfig, Resources } from '../spec/container-config.ts'
import type { FilesystemChange, MountPoint } from '../spec/container-types.ts'
import type { ChainId, ContainerId, Digest } from '../spec/ids.ts'
import type { Platform, ResolvedImage } from '../spec/image-types.ts'
import type {
  InterfaceCounters,
  NetworkReference,
  SandboxRequest,
  SandboxState,
} from '../spec/sandbox-types.ts'
import type {
  AttachOptions,
  ContainerTaskStart,
  ExecTaskStart,
  OfferedConnection,
  ResolvedMount,
  TaskExit,
  TaskLog,
  TaskStats,
} from '../spec/task-types.ts'

/** Finds images. Implemented by images/. */
export interface ImageSource {
  /** By reference, id or id prefix. Throws notFound (`No such image: x:latest`). */
  resolve(reference: string, platform?: Platform): ResolvedImage
  /** The names an image id has now, familiar form, for `ps` and inspect. Empty when it has none. */
  namesOf(id: Digest): string[]
}

/** Root file systems of containers. Implemented by layers/. All calls are idempotent. */
export interface RootfsStore {
  readonly driverName: string
  /**
   * Makes the writable layer on top of a chain, with `durable` so that it survives a power cut. Files first: the
   * caller's row comes after.
   */
  prepare(
    id: ContainerId,
    topLayer: ChainId | undefined,
    storageOpt: Record<string, string>,
    options: { durable: boolean },
  ): Promise<void>
  /** Mounts and returns the merged directory. `volatile` skips syncs for a container that is removed on exit. */
  mount(id: ContainerId, options: { volatile: boolean }): Promise<string>
  unmount(id: ContainerId): Promise<void>
  /** Removes the writable layer; returns once it is out of sight, the tree itself goes in the background. */
  remove(id: ContainerId): Promise<void>
  /** Bytes of the writable layer, and of the whole root file system. */
  usage(id: ContainerId): Promise<{ writableBytes: number; rootBytes: number }>
  changes(id: ContainerId): Promise<FilesystemChange[]>
  /** `GraphDriver` of inspect. */
  describe(id: ContainerId): { Name: string; Data: Record<string, string> | null }
  /** Ids that have a writable layer, to sweep what no row names. */
  list(): Promise<ContainerId[]>
}

/** A running (or just ended) process under its shim. */
export interface Task {
  readonly pid: number
  /** RFC 3339 with nanoseconds. */
  readonly startedAt: string
  /** Resolves once, when the process and its output have ended. Never rejects. */
  readonly exited: Promise<TaskExit>
  /** Sends a signal to the task's first process. Throws notFound when it is gone. */
  kill(signal: number): Promise<void>
  resize(rows: number, columns: number): Promise<void>
  /**
   * Connects to the task's stdio. Reading yields exactly what a hijacked Docker connection carries: 8-byte framed
   * stdout and stderr, or raw bytes for a TTY; it ends when the output has ended. Writing is stdin; end() closes
   * the process's stdin where the container has StdinOnce, else only this client's side.
   */
  attach(options: AttachOptions): Promise<Duplex>
  /**
   * The same for a client whose connection is given away; the descriptor stays the caller's to close. What is written
   * to the answer is stdin before the client's; its end lets the client's in. Undefined when nobody took the connection.
   */
  serve(options: AttachOptions, client: OfferedConnection): Promise<Duplex | undefined>
}

/** Who made a stream's client known: its connection, which can be given away once. Implemented by daemon/. */
export interface ClientConnection {
  /** Stops reading it. Undefined when it cannot be given away: it is encrypted, or has gone, or is yet to be sent something. */
  offer(tty: boolean): OfferedConnection | undefined
  /** It was taken: what is left here is closed. */
  taken(): void
  /** It was not: goes on as if nothing had been. */
  kept(offered: OfferedConnection): void
}

/** A container's main process. */
export interface ContainerTask extends Task {
  pause(): Promise<void>
  resume(): Promise<void>
  /** Applies changed limits to the live cgroup. */
  update(resources: Resources): Promise<void>
  exec(start: ExecTaskStart, signal: AbortSignal): Promise<Task>
  /**
   * Calls back whenever the kernel kills in the container for memory, and once for what happened while nobody
   * watched, unless that was `told` already. Ends with the task, after its last call.
   */
  watchOom(told: boolean, listener: () => void): void
  /** Host pids of all processes in the container. */
  pids(): Promise<number[]>
  stats(): Promise<TaskStats>
}

/** Runs containers. Implemented by runtime/. */
export interface ContainerRuntime {
  /** Validates and completes host configuration for this kernel; returns Docker's warnings. Throws invalid. */
  validate(hostConfig: HostConfig): string[]
  /**
   * Prepares and starts, in two steps so that attached clients miss no byte: `create` brings the shim up with its
   * attach socket listening, `start()` lets the process run. Throws what Docker answers (126/127 texts included);
   * nothing is left behind by a failed start.
   */
  create(start: ContainerTaskStart, signal: AbortSignal): Promise<PendingTask>
  /** After a daemon restart: the running task, its recorded exit, or undefined when nothing is known of it. */
  adopt(id: ContainerId): Promise<ContainerTask | TaskExit | undefined>
  /** Execs of a container that still run after a daemon restart. */
  adoptExecs(id: ContainerId): Promise<Map<string, Task>>
  /** Forgets a task: its cgroup, its directory under /run. What should still run of it is killed. Idempotent. */
  remove(id: ContainerId): Promise<void>
  /** Tells the kernel to have a start's resources warm; cheap, never fails. */
  prewarm(): void
  /** Container ids that have a task directory, to sweep what no row names. */
  list(): Promise<ContainerId[]>
}

/** A task whose shim listens and whose process has not run yet. */
export interface PendingTask {
  attach(options: AttachOptions): Promise<Duplex>
  /** See `Task.serve`. */
  serve(options: AttachOptions, client: OfferedConnection): Promise<Duplex | undefined>
  start(): Promise<ContainerTask>
  /** Undoes create; idempotent. */
  abandon(): Promise<void>
}

/** Container networks. Implemented by networks/. */
export interface ContainerNetworking {
  /** By name, id or id prefix. Throws notFound (`network x not found`). */
  resolve(network: string): NetworkReference
  /** Checks what create can check (static addresses, ports, aliases) without taking anything. Throws as Docker does. */
  validate(request: SandboxRequest): void
  /** Makes the sandbox, joins the networks, publishes the ports. Undoes itself on failure. */
  create(request: SandboxRequest, signal: AbortSignal): Promise<SandboxState>
  /** Takes over the sandbox of a container that ran on while the daemon was away. */
  adopt(id: ContainerId, state: SandboxState): Promise<void>
  /** Releases everything. Idempotent. The state may be empty (a start that a crash cut short): the id must do. */
  remove(id: ContainerId, state: SandboxState): Promise<void>
  /** Joins one more network while running; returns the endpoint. */
  connect(id: ContainerId, network: string, settings: EndpointSettings): Promise<EndpointSettings>
  disconnect(id: ContainerId, network: string): Promise<void>
  /** The container got another name. */
  rename(id: ContainerId, name: string): Promise<void>
  /** Counters of the sandbox's interfaces, for stats. Empty for host mode. */
  counters(id: ContainerId, state: SandboxState): Promise<InterfaceCounters[]>
  /** Sandboxes that the kernel has, to sweep what no row names. */
  list(): Promise<ContainerId[]>
}

/** Binds, volumes and tmpfs of a container. Implemented by volumes/. */
export interface ContainerMounts {
  /**
   * At create: checks binds and `--mount`s, makes named and anonymous volumes, takes over `--volumes-from`.
   * Returns the mount points to be kept in the record. Undoes itself on failure.
   */
  prepare(request: {
    id: ContainerId
    hostConfig: HostConfig
    /** Paths of `VOLUME` and `-v /path`. */
    volumes: string[]
    /** Mount points of the containers named by `--volumes-from`, with their mode (`ro`, `rw` or empty). */
    volumesFrom: { mounts: MountPoint[]; mode: string }[]
    /** Read-only binds leave what is mounted below them writable. */
    readOnlyNonRecursive?: boolean
  }): Promise<PreparedMounts>
  /** At start, with the root file system mounted: makes sources ready, copies up image content, mounts drivers. */
  activate(id: ContainerId, mounts: StoredMount[], rootfs: string): Promise<ResolvedMount[]>
  /** A mount point with where it is now: the data root may have been moved since the container was made. */
  place(point: MountPoint): MountPoint
  /** At exit. */
  deactivate(id: ContainerId, mounts: StoredMount[]): Promise<void>
  /** At rm: drops the container's hold; `removeAnonymous` is `rm -v` and `--rm`. */
  release(id: ContainerId, mounts: StoredMount[], removeAnonymous: boolean): Promise<void>
}

/** A mount of a container as its record keeps it. */
export type StoredMount = {
  point: MountPoint
  /** Made for this container alone, to go with it (`rm -v`). */
  anonymous: boolean
  /** OCI options beyond what the mount point says (tmpfs size, recursion, copy-up off ...). */
  options: string[]
  noCopy: boolean
  subpath: string
  createSource: boolean
}

/** Outcome of ContainerMounts.prepare. */
export type PreparedMounts = { mounts: StoredMount[]; warnings: string[]; undo(): Promise<void> }

/** Takes events for the journal and the `/events` stream. Implemented by daemon/. */
export interface EventSink {
  emit(event: { type: string; action: string; id: string; attributes: Record<string, string> }): void
}

/** Keeps containers' output. Implemented by runtime/logs/. */
export interface ContainerLogs {
  /** Checks driver and options at create. Throws invalid, as Docker words it. */
  validate(driver: string, options: Record<string, string>): void
  /** How the shim shall write; undefined for `none`. `details` feed the tag, labels and env options. */
  taskLog(request: LogRequest): TaskLog | undefined
  /** `LogPath` of inspect: the file of the json-file driver, else empty. */
  logPath(request: LogRequest): string
  /** The container runs: forwards its log (syslog, journald), compresses what was rotated. Idempotent. */
  started(request: LogRequest): void
  /** The container ended; what was written is still forwarded to the end. */
  ended(id: ContainerId): void
}

/** The container whose log it is. */
export type LogRequest = {
  id: ContainerId
  name: string
  directory: string
  driver: string
  options: Record<string, string>
  imageId: string
  imageName: string
  createdAt: string
  command: string
  labels: Record<string, string>
  env: string[]
}
