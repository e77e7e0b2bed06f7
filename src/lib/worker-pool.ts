/**
 * Work off the main thread. A pool starts worker threads when there is work, gives each one job at a time, and ends
 * those that have been idle for a while, so that an idle process keeps no threads. The worker's file calls
 * `serveJobs` (`worker-jobs.ts`).
 */
import { getCompileCacheDir } from 'node:module'
import { Worker } from 'node:worker_threads'

/** How a pool is made. Jobs and results are copied by the structured clone algorithm. */
export type WorkerPoolOptions<Job, Result> = {
  /** The worker's file: `new URL('./x-worker.ts', import.meta.url)`. */
  script: URL
  maxWorkers: number
  /** How long an idle worker stays. */
  idleMs: number
  /** Only for its type: the shape of a job and of its result. */
  types?: { job: Job; result: Result }
}

/** What a worker answers. */
export type WorkerAnswer =
  | { kind: 'result'; value: unknown }
  | { kind: 'error'; error: unknown; code?: string }

type Pending<Job> = {
  job: Job
  resolve: (value: unknown) => void
  reject: (error: unknown) => void
  signal: AbortSignal | undefined
}

type Slot<Job> = {
  worker: Worker
  /** One number shared with the worker: 1 asks its job to stop. */
  stop: Int32Array
  current: Pending<Job> | undefined
  idle: NodeJS.Timeout | undefined
}

/**
 * Starts a worker's file with the compile cache of the main thread, if that has one: without it the worker loads the
 * type stripper, which takes 35 ms and 10 to 40 MB a worker.
 */
const bootstrap = `
const { workerData } = require('node:worker_threads')
if (workerData.cache !== undefined) require('node:module').enableCompileCache(workerData.cache)
import(workerData.script)`

/** See the file's head. Disposing ends all workers; jobs under way are rejected. */
export class WorkerPool<Job, Result> implements AsyncDisposable {
  readonly #options: WorkerPoolOptions<Job, Result>
  readonly #slots = new Set<Slot<Job>>()
  readonly #queue: Pending<Job>[] = []
  #disposed = false

  constructor(options: WorkerPoolOptions<Job, Result>) {
    this.#options = options
  }

  /** Runs a job; rejects with what it threw. An abort is seen by the job where it looks (`JobContext`). */
  async run(job: Job, signal?: AbortSignal): Promise<Result> {
    signal?.throwIfAborted()
    if (this.#disposed) throw new Error('worker pool is closed')
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const pending: Pending<Job> = { job, resolve, reject, signal }
    const onAbort = () => this.#abort(pending)
    signal?.addEventListener('abort', onAbort, { once: true })
    this.#queue.push(pending)
    this.#dispatch()
    try {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the worker's file is typed with the same pair
      return (await promise) as Result
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    for (const pending of this.#queue.splice(0)) pending.reject(new Error('worker pool is closed'))
    await Promise.all([...this.#slots].map((slot) => this.#end(slot, new Error('worker pool is closed'))))
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      let slot = [...this.#slots].find((candidate) => candidate.current === undefined)
      if (slot === undefined && this.#slots.size < this.#options.maxWorkers) slot = this.#start()
      if (slot === undefined) return
      const pending = this.#queue.shift()
      if (pending === undefined) return
      clearTimeout(slot.idle)
      slot.current = pending
      Atomics.store(slot.stop, 0, 0)
      slot.worker.ref()
      slot.worker.postMessage(pending.job)
    }
  }

  #start(): Slot<Job> {
    const stop = new Int32Array(new SharedArrayBuffer(4))
    const script = this.#options.script.href
    const worker = new Worker(bootstrap, {
      eval: true,
      workerData: { stop, script, cache: getCompileCacheDir() },
      // Descriptors opened by native calls are closed by `using`; Node does not know them.
      trackUnmanagedFds: false,
    })
    const slot: Slot<Job> = { worker, stop, current: undefined, idle: undefined }
    this.#slots.add(slot)
    worker.on('message', (answer: WorkerAnswer) => this.#answered(slot, answer))
    worker.on('error', (error) => void this.#end(slot, error))
    worker.on('exit', (code) => void this.#end(slot, new Error(`worker ended with code ${code}`)))
    return slot
  }

  #answered(slot: Slot<Job>, answer: WorkerAnswer): void {
    const pending = slot.current
    if (pending === undefined) return
    slot.current = undefined
    if (answer.kind === 'result') pending.resolve(answer.value)
    else if (pending.signal?.aborted === true) pending.reject(pending.signal.reason)
    else pending.reject(withCode(answer.error, answer.code))
    this.#dispatch()
    if (slot.current !== undefined) return
    slot.worker.unref()
    slot.idle = setTimeout(() => void this.#end(slot, undefined), this.#options.idleMs)
    slot.idle.unref()
  }

  #abort(pending: Pending<Job>): void {
    const queued = this.#queue.indexOf(pending)
    if (queued !== -1) {
      this.#queue.splice(queued, 1)
      pending.reject(pending.signal?.reason)
      return
    }
    const slot = [...this.#slots].find((candidate) => candidate.current === pending)
    if (slot !== undefined) Atomics.store(slot.stop, 0, 1)
  }

  /** Takes a worker out; its job, if any, is rejected once the thread has really ended. */
  async #end(slot: Slot<Job>, error: unknown): Promise<void> {
    if (!this.#slots.delete(slot)) return
    clearTimeout(slot.idle)
    await slot.worker.terminate()
    slot.current?.reject(error)
    if (!this.#disposed) this.#dispatch()
  }
}

/** Structured clone drops an error's own fields; the code comes beside it. */
function withCode(error: unknown, code: string | undefined): unknown {
  return error instanceof Error && code !== undefined ? Object.assign(error, { code }) : error
}
