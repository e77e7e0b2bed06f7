/** A container's main process: first pending, its keeper listening; then running. */
import type { Duplex } from 'node:stream'
import type { Resources } from '../spec/container-config.ts'
import type { EngineError } from '../spec/errors.ts'
import type { AttachOptions, ExecTaskStart, OfferedConnection, TaskStats } from '../spec/task-types.ts'
import { Semaphore } from '../lib/mutex.ts'
import type { Cgroups } from '../kernel/cgroups.ts'
import type { OomWatch, OomWatcher } from '../kernel/oom-watch.ts'
import { createFailure, lastRuntimeError } from './runtime-errors.ts'
import { readRuntimeOutput } from './shim-bundle.ts'
import { attachToShim, giveToShim } from './shim-requests.ts'
import { ShimTask, type ShimTaskParts } from './shim-task.ts'
import { ShimStartError, type ShimStarted, type ShimWatch } from './shim-watch.ts'

/** A start that takes longer is stuck on something, and not on the processors that places are about. */
const longStartMs = 2000

/** Starts that may run at once. One that is stuck does not keep its place from others. */
export class StartPlaces {
  readonly #places: Semaphore

  constructor(count: number) {
    this.#places = new Semaphore(count)
  }

  /** Waits for a place. */
  async acquire(): Promise<Disposable> {
    const place = await this.#places.acquire()
    const timer = setTimeout(() => place[Symbol.dispose](), longStartMs)
    timer.unref()
    return {
      [Symbol.dispose]: () => {
        clearTimeout(timer)
        place[Symbol.dispose]()
      },
    }
  }
}

/** What a pending task is made of. */
export type PendingParts = {
  directory: string
  watch: ShimWatch
  /** First word of what will be executed, for error texts. */
  command: string
  /** Starts that may run at once. */
  places: StartPlaces
  run(started: ShimStarted): RunningContainerTask
  /** Removes what create made. */
  remove(): Promise<void>
  /** Held until the runtime has joined it. */
  userNamespace: Disposable | undefined
}

/** Implements `PendingTask` of the engine. */
export class PendingContainerTask {
  readonly #parts: PendingParts

  constructor(parts: PendingParts) {
    this.#parts = parts
  }

  /** See `PendingTask.attach`. */
  async attach(options: AttachOptions): Promise<Duplex> {
    return attachToShim(this.#parts.directory, options)
  }

  /** See `Task.serve`. */
  async serve(options: AttachOptions, client: OfferedConnection): Promise<Duplex | undefined> {
    return giveToShim(this.#parts.directory, options, client)
  }

  /** See `PendingTask.start`. Throws what Docker answers and leaves nothing behind then. */
  async start(): Promise<RunningContainerTask> {
    const { watch, places, userNamespace } = this.#parts
    using _place = await places.acquire()
    using _users = userNamespace
    watch.go()
    try {
      return this.#parts.run(await watch.started)
    } catch (error) {
      const failure = error instanceof ShimStartError ? await this.#failure(error) : error
      await this.abandon()
      throw failure
    }
  }

  /** See `PendingTask.abandon`. */
  async abandon(): Promise<void> {
    // Without its daemon a keeper that was not told to go ends by itself; one that was is ended with its cgroup.
    this.#parts.watch[Symbol.dispose]()
    this.#parts.userNamespace?.[Symbol.dispose]()
    await this.#parts.remove()
  }

  async #failure(error: ShimStartError): Promise<EngineError> {
    const { directory, command } = this.#parts
    const message = lastRuntimeError(await readRuntimeOutput(directory))
    return createFailure({ message: message === '' ? error.message : message, command })
  }
}

/** What a running container can do beyond its first process. */
export type ContainerParts = {
  cgroups: Cgroups
  cgroupPath: string
  oomWatcher: OomWatcher
  exec(start: ExecTaskStart, signal: AbortSignal): Promise<ShimTask>
}

/** Implements `ContainerTask` of the engine. */
export class RunningContainerTask extends ShimTask {
  readonly #container: ContainerParts
  #oomWatch: OomWatch | undefined

  constructor(parts: Omit<ShimTaskParts, 'oomKilled'>, container: ContainerParts) {
    super({ ...parts, oomKilled: () => this.#lastOomLook() })
    this.#container = container
  }

  /** See `ContainerTask.watchOom`. */
  watchOom(told: boolean, listener: () => void): void {
    const { oomWatcher, cgroupPath } = this.#container
    this.#oomWatch = oomWatcher.watch(cgroupPath, { counted: told }, listener)
  }

  override [Symbol.dispose](): void {
    this.#oomWatch?.[Symbol.dispose]()
    super[Symbol.dispose]()
  }

  /** The listener hears of what has not been told before anybody hears of the end. */
  async #lastOomLook(): Promise<boolean> {
    using watch = this.#oomWatch
    const { cgroups, cgroupPath } = this.#container
    return ((await watch?.look()) ?? (await cgroups.oomKills(cgroupPath))) > 0
  }

  /** See `ContainerTask.pause`. */
  async pause(): Promise<void> {
    await this.#container.cgroups.freeze(this.#container.cgroupPath)
  }

  /** See `ContainerTask.resume`. */
  async resume(): Promise<void> {
    await this.#container.cgroups.thaw(this.#container.cgroupPath)
  }

  /** See `ContainerTask.update`. */
  async update(resources: Resources): Promise<void> {
    await this.#container.cgroups.update(this.#container.cgroupPath, resources)
  }

  /** See `ContainerTask.exec`. */
  async exec(start: ExecTaskStart, signal: AbortSignal): Promise<ShimTask> {
    return this.#container.exec(start, signal)
  }

  /** See `ContainerTask.pids`. */
  async pids(): Promise<number[]> {
    return this.#container.cgroups.pids(this.#container.cgroupPath)
  }

  /** See `ContainerTask.stats`. */
  async stats(): Promise<TaskStats> {
    return this.#container.cgroups.stats(this.#container.cgroupPath)
  }
}
