/**
 * The container engine as the API's routes see it. One method an operation of the Engine API; each decodes
 * nothing, encodes nothing and throws EngineErrors with Docker's texts. A `reference` is an id, an unambiguous
 * id prefix or a name, with or without its slash.
 */
import type { Duplex } from 'node:stream'
import type {
  ContainerCreateRequest,
  EndpointSettings,
  ExecConfig,
  UpdateConfig,
} from '../spec/container-config.ts'
import type {
  ContainerInspect,
  ContainerStats,
  ContainerSummary,
  ContainerTop,
  ExecInspect,
  FilesystemChange,
} from '../spec/container-types.ts'
import type { ContainerId, ExecId } from '../spec/ids.ts'
import type { AttachOptions } from '../spec/task-types.ts'
import type { ClientConnection, LogRequest } from './ports.ts'

/** Decoded `filters` of a list or prune request: every value of every key. */
export type Filters = ReadonlyMap<string, readonly string[]>

/** A hijacked stream and what to know to serve it. */
export type AttachedStream = { stream: Duplex; tty: boolean }

/** What a client wants to be attached to; with its connection, where the engine may give that away. */
export type AttachRequest = AttachOptions & { detachKeys: string; client?: ClientConnection }

/** How an exec is to be started. */
export type ExecStartOptions = {
  detach: boolean
  tty: boolean
  consoleSize: [number, number] | null
  client?: ClientConnection
}

/** When `wait` answers. */
export type WaitCondition = 'not-running' | 'next-exit' | 'removed'

/** What the routes of one container need to find its files. */
export type ContainerPaths = {
  id: ContainerId
  name: string
  directory: string
  /** What the log reader needs. */
  log: LogRequest
  tty: boolean
  running: boolean
}

/** See the file's head. */
export interface ContainerEngine {
  create(
    request: ContainerCreateRequest,
    options: { name: string; platform: string },
    signal: AbortSignal,
  ): Promise<{ id: ContainerId; warnings: string[] }>
  start(reference: string, options: { detachKeys: string }): Promise<void>
  /** Throws notModified when already stopped. A null timeout takes the container's own. */
  stop(reference: string, options: { signal: string; timeoutSeconds: number | null }): Promise<void>
  restart(reference: string, options: { signal: string; timeoutSeconds: number | null }): Promise<void>
  kill(reference: string, signal: string): Promise<void>
  pause(reference: string): Promise<void>
  unpause(reference: string): Promise<void>
  rename(reference: string, name: string): Promise<void>
  update(reference: string, update: UpdateConfig): Promise<{ warnings: string[] }>
  remove(reference: string, options: { force: boolean; volumes: boolean; link: boolean }): Promise<void>
  prune(filters: Filters): Promise<{ deleted: string[]; reclaimedBytes: number }>
  /** Resolves when the container is registered as waited for; the result when the condition holds. */
  wait(
    reference: string,
    condition: WaitCondition,
    signal: AbortSignal,
  ): Promise<{ result: Promise<{ exitCode: number; error: string }> }>
  inspect(reference: string, options: { size: boolean }): Promise<ContainerInspect>
  list(options: { all: boolean; limit: number; size: boolean; filters: Filters }): Promise<ContainerSummary[]>
  top(reference: string, psArgs: string): Promise<ContainerTop>
  changes(reference: string): Promise<FilesystemChange[]>
  /** The stream is of no use to a client whose connection was given away. */
  attach(reference: string, request: AttachRequest): Promise<AttachedStream>
  resize(reference: string, rows: number, columns: number): Promise<void>
  execCreate(reference: string, config: ExecConfig): Promise<ExecId>
  /** Throws notFound or conflict where `execStart` would do so at once. */
  execCheck(id: string): void
  /** Starts; with `detach` the stream is undefined. */
  execStart(id: string, options: ExecStartOptions, signal: AbortSignal): Promise<AttachedStream | undefined>
  execInspect(id: string): ExecInspect
  execResize(id: string, rows: number, columns: number): Promise<void>
  connectNetwork(reference: string, network: string, settings: EndpointSettings): Promise<void>
  disconnectNetwork(reference: string, network: string, force: boolean): Promise<void>
  /** Readings in the API's shape, one a second until the container goes or the signal aborts. */
  stats(
    reference: string,
    options: { stream: boolean; oneShot: boolean },
    signal: AbortSignal,
  ): Promise<AsyncIterable<ContainerStats>>
  /** Id, name and files of a container. Throws notFound. */
  paths(reference: string): ContainerPaths
  /** The container's root for cp, export and stat: mounted for the time of `use`, with its volumes where it runs. */
  withRootfs<T>(reference: string, use: (root: ContainerRoot) => Promise<T>): Promise<T>
  /** Tells the journal of something the routes did to a container (`export`, `copy`, `commit` ...). */
  logEvent(reference: string, action: string, attributes?: Record<string, string>): void
  /** Containers made from an image, for those who want to remove it, and for `system df`. */
  usersOfImage(imageId: string): { id: ContainerId; name: string; running: boolean }[]
  /** How many there are, for `info`. */
  counts(): { total: number; running: number; paused: number; stopped: number }
}

/** A container's file tree as cp and export reach it. */
export type ContainerRoot = {
  /** Host directory of the merged root; paths from clients go only through the kernel's root-scoped resolver. */
  directory: string
  /** Mounts that lie over it, by destination: host source and whether it may be written. */
  mounts: { destination: string; source: string; writable: boolean }[]
  /** Whether the root itself may be written (`--read-only`). */
  writable: boolean
}
