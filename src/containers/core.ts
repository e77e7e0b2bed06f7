/** What every operation on containers works with: the ports, the registry, locks, clock and settings. */
import type { Clock, Ids } from '../lib/clock.ts'
import { formatTimeNs } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { KeyedMutex, Semaphore } from '../lib/mutex.ts'
import { TaskGroup } from '../lib/task-group.ts'
import { errorMessage } from '../spec/errors.ts'
import type { Platform } from '../spec/image-types.ts'
import type { Database } from '../store/database.ts'
import type { Container } from './container.ts'
import type {
  ContainerLogs,
  ContainerMounts,
  ContainerNetworking,
  ContainerRuntime,
  EventSink,
  ImageSource,
  LogRequest,
  RootfsStore,
} from './ports.ts'
import type { ContainerRecord, ContainerStateRecord } from './record.ts'
import { ContainerRegistry } from './registry.ts'

/** The rooms beside containers. */
export type ContainerPorts = {
  images: ImageSource
  rootfs: RootfsStore
  runtime: ContainerRuntime
  networking: ContainerNetworking
  mounts: ContainerMounts
  logs: ContainerLogs
  events: EventSink
}

/** Settings of the daemon that concern containers; read anew at every use, so that a reload takes effect. */
export type ContainerSettings = {
  /** Directory that holds one directory a container. */
  root: string
  logDriver: string
  logOptions: Record<string, string>
  platform: Platform
}

/** What is asked of the machine itself. */
export interface ContainerHost {
  readonly hostname: string
  readonly onlineCpus: number
  readonly memoryTotalBytes: number
  /** CPU time of the whole machine since boot. */
  systemCpuNs(): Promise<bigint>
  /** Runs `ps` with these arguments. */
  runPs(args: string[]): Promise<{ exitCode: number; stdout: string; stderr: string }>
  /** Makes a container's directory, which its root must come through. */
  makeDirectory(path: string): void
  /** Mounts a tmpfs that several containers can share as /dev/shm. */
  mountShm(path: string, sizeBytes: number): Promise<void>
  unmountShm(path: string): Promise<void>
  /** Where something is mounted, as this process sees it. */
  mountPoints(): Promise<string[]>
  /** Removes a directory and what is in it; nothing happens when it is not there. */
  removeDirectory(path: string): Promise<void>
}

/** Waits, injected so that tests need not. Rejects with the signal's reason. */
export interface Timer {
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

/** Named points of operations, where a test may end the daemon. */
export interface Faults {
  reach(point: string): Promise<void>
}

/** What the engine is made of. */
export type CoreOptions = ContainerPorts & {
  database: Database
  settings: () => ContainerSettings
  host: ContainerHost
  clock: Clock
  ids: Ids
  random: () => number
  timer: Timer
  faults: Faults
  log: Log
}

/** How long what a full disk did not take is kept before it is tried again. */
const writeAgainMs = 1000

/** See the file's head. */
export class Core {
  readonly ports: ContainerPorts
  readonly registry: ContainerRegistry
  readonly settings: () => ContainerSettings
  readonly host: ContainerHost
  readonly clock: Clock
  readonly ids: Ids
  readonly random: () => number
  readonly timer: Timer
  readonly faults: Faults
  readonly log: Log
  /** One operation a container at a time. Readers never take it. */
  readonly locks = new KeyedMutex()
  /** Starts that may run at once. More than about two a core only make each other slower. */
  readonly startPlaces: Semaphore
  readonly tasks: TaskGroup
  /** Set by shutdown: exits are no longer acted upon. */
  shuttingDown = false
  /** Containers of which the disk does not know yet what has happened. */
  readonly #unwritten = new Set<Container>()

  constructor(options: CoreOptions) {
    this.ports = options
    this.settings = options.settings
    this.host = options.host
    this.clock = options.clock
    this.ids = options.ids
    this.random = options.random
    this.timer = options.timer
    this.faults = options.faults
    this.log = options.log.child('containers')
    this.registry = new ContainerRegistry(options.database, this.log)
    this.startPlaces = new Semaphore(Math.max(2, 2 * options.host.onlineCpus))
    this.tasks = new TaskGroup(this.log)
  }

  /** Now, as records keep it. */
  now(): string {
    return formatTimeNs(this.clock.nowNs())
  }

  /** Directory of a container's durable files. */
  directoryOf(id: string): string {
    return `${this.settings().root}/${id}`
  }

  /** Tells the journal and the `/events` stream. */
  emit(container: Container, action: string, attributes: Record<string, string> = {}): void {
    const { config, name } = container.record
    this.ports.events.emit({
      type: 'container',
      action,
      id: container.id,
      attributes: { ...config.Labels, image: config.Image, name, ...attributes },
    })
  }

  /**
   * Records what has happened already: a process that ended has ended, whether or not the disk is full. What could
   * not be written is shown at once and written as soon as that is possible.
   */
  recordFact(
    container: Container,
    change: Partial<ContainerStateRecord>,
    rest: Partial<Omit<ContainerRecord, 'id' | 'name' | 'state'>> = {},
  ): ContainerRecord {
    try {
      return this.registry.saveState(container, change, rest)
    } catch (error) {
      this.log.error('not written yet', { id: container.id, error: errorMessage(error) })
      this.registry.remember(container, change, rest)
      this.#writeLater(container)
      return container.record
    }
  }

  #writeLater(container: Container): void {
    if (this.#unwritten.has(container)) return
    this.#unwritten.add(container)
    this.tasks.run('write record', async (signal) => {
      for (;;) {
        await this.timer.sleep(writeAgainMs, signal).catch(() => {})
        if (this.registry.byId(container.id) !== container || this.#isWritten(container)) break
        if (signal.aborted) break
      }
      this.#unwritten.delete(container)
    })
  }

  #isWritten(container: Container): boolean {
    try {
      this.registry.rewrite(container)
      return true
    } catch {
      return false
    }
  }

  /** Runs a cleanup step whose failure must not keep the others from running. */
  async cleanUp(step: string, id: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.log.warn('cleanup failed', { step, id, error: errorMessage(error) })
    }
  }

  /** What the log's writers and readers need to know of a container. */
  logRequest(container: Container): LogRequest {
    const { record } = container
    return {
      id: container.id,
      name: record.name,
      directory: this.directoryOf(container.id),
      driver: record.hostConfig.LogConfig.Type,
      options: record.hostConfig.LogConfig.Config ?? {},
      imageId: record.imageId,
      imageName: record.config.Image,
      createdAt: record.createdAt,
      command: [record.path, ...record.args].join(' '),
      labels: record.config.Labels ?? {},
      env: record.config.Env ?? [],
    }
  }
}

/** All values, once all have settled; then throws the first failure. For steps that are undone one by one. */
export async function settleAll<T extends readonly unknown[] | []>(
  work: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(work)
  return Promise.all(work)
}
