/** A stand-in for running processes: they live until the test ends them. */
import { Duplex } from 'node:stream'
import { formatTimeNs, type Clock } from '../lib/clock.ts'
import { EngineError } from '../spec/errors.ts'
import type {
  AttachOptions,
  ContainerTaskStart,
  ExecTaskStart,
  OfferedConnection,
  TaskExit,
  TaskStats,
} from '../spec/task-types.ts'
import type { ContainerTask, PendingTask, Task } from './ports.ts'

/** What a task needs of its world. */
export interface TaskWorld {
  readonly clock: Clock
  readonly failures: Map<string, Error>
  /** Whether keepers take clients' connections. */
  readonly keepersTake: boolean
  note(call: string): void
  nextPid(): number
  failure(call: string): Error
}

/** One side of a fake task's stdio: what is written is kept, `emit` is what the client reads. */
export class FakeStdio extends Duplex {
  readonly written: Buffer[] = []
  readonly wanted: AttachOptions

  constructor(wanted: AttachOptions) {
    super()
    this.wanted = wanted
  }

  emitOutput(text: string): void {
    this.push(Buffer.from(text))
  }

  emitEnd(): void {
    this.push(null)
  }

  get input(): string {
    return Buffer.concat(this.written).toString()
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.written.push(chunk)
    callback()
  }
}

/** A process that lives until the test ends it. */
export class FakeTask implements ContainerTask, PendingTask {
  readonly pid: number
  startedAt: string
  readonly exited: Promise<TaskExit>
  readonly signals: number[] = []
  readonly stdio: FakeStdio[] = []
  /** Connections that were given to it, and where its clients' first input comes. */
  readonly taken: { client: OfferedConnection; input: FakeStdio }[] = []
  readonly execs: { start: ExecTaskStart; task: FakeTask }[] = []
  readonly updates: unknown[] = []
  paused = false
  running = false
  size: [number, number] | undefined
  /** Kills a process for memory. */
  oom: () => void = () => {}
  /** Signals that end it, besides SIGKILL. */
  diesOf = new Set([15])
  /** Called for every exec, to script it. */
  onExec: (exec: { start: ExecTaskStart; task: FakeTask }) => void = () => {}
  readonly start_: ContainerTaskStart | undefined
  readonly #world: TaskWorld
  readonly #exit: (exit: TaskExit) => void

  constructor(world: TaskWorld, pid: number, start?: ContainerTaskStart) {
    this.#world = world
    this.pid = pid
    this.start_ = start
    this.startedAt = formatTimeNs(world.clock.nowNs())
    const { promise, resolve } = Promise.withResolvers<TaskExit>()
    this.exited = promise
    this.#exit = resolve
  }

  async start(): Promise<ContainerTask> {
    this.#world.note('task.start')
    if (this.#world.failures.has('task.start')) throw this.#world.failure('task.start')
    this.running = true
    this.startedAt = formatTimeNs(this.#world.clock.nowNs())
    return this
  }

  async abandon(): Promise<void> {
    this.#world.note('task.abandon')
  }

  async kill(signal: number): Promise<void> {
    if (!this.running) throw new EngineError('notFound', 'no such process')
    this.signals.push(signal)
    if (signal === 9 || this.diesOf.has(signal)) this.end(128 + signal)
  }

  end(exitCode: number, oomKilled = false): void {
    this.running = false
    for (const stdio of this.stdio) stdio.emitEnd()
    this.#exit({ exitCode, oomKilled, finishedAt: formatTimeNs(this.#world.clock.nowNs()) })
  }

  async resize(rows: number, columns: number): Promise<void> {
    this.size = [rows, columns]
  }

  async attach(options: AttachOptions): Promise<Duplex> {
    this.#world.note('task.attach')
    const stdio = new FakeStdio(options)
    this.stdio.push(stdio)
    return stdio
  }

  async serve(options: AttachOptions, client: OfferedConnection): Promise<Duplex | undefined> {
    if (!this.#world.keepersTake) return undefined
    this.#world.note('task.serve')
    const input = new FakeStdio({ ...options, stdout: false, stderr: false })
    this.taken.push({ client, input })
    return input
  }

  async pause(): Promise<void> {
    this.paused = true
  }

  async resume(): Promise<void> {
    this.paused = false
  }

  async update(resources: unknown): Promise<void> {
    this.updates.push(resources)
  }

  async exec(start: ExecTaskStart): Promise<Task> {
    if (this.#world.failures.has('exec')) throw this.#world.failure('exec')
    const task = new FakeTask(this.#world, this.#world.nextPid())
    task.running = true
    const exec = { start, task }
    this.execs.push(exec)
    this.onExec(exec)
    return task
  }

  watchOom(_told: boolean, listener: () => void): void {
    this.oom = listener
  }

  async pids(): Promise<number[]> {
    return [this.pid]
  }

  async stats(): Promise<TaskStats> {
    return { ...fakeStats }
  }
}

const fakeStats: TaskStats = {
  cpuUsageNs: 3_000n,
  cpuUserNs: 2_000n,
  cpuSystemNs: 1_000n,
  perCpuNs: [],
  throttledPeriods: 3n,
  throttledRuns: 2n,
  throttledNs: 1n,
  memoryUsageBytes: 1_000n,
  memoryMaxUsageBytes: 0n,
  memoryLimitBytes: 0n,
  memoryStat: { file: 10n },
  memoryFailCount: 0n,
  pids: 1n,
  pidsLimit: 0n,
  blockIo: [],
}
