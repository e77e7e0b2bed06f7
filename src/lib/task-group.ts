/** Background work that somebody owns: its errors are logged, and shutdown waits for it. */
import type { Log } from './log.ts'

/** Runs work nobody awaits. Disposing aborts `signal` and waits for what still runs. */
export class TaskGroup implements AsyncDisposable {
  readonly #running = new Set<Promise<void>>()
  readonly #abort = new AbortController()
  readonly #log: Log

  constructor(log: Log) {
    this.#log = log
  }

  /** Aborted when the group is disposed. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Starts `work`; a failure is logged as an error with `name`, unless the group is being disposed. */
  run(name: string, work: (signal: AbortSignal) => Promise<void>): void {
    const running = work(this.#abort.signal).catch((error: unknown) => {
      if (!this.#abort.signal.aborted) this.#log.error('background work failed', { work: name, error })
    })
    this.#running.add(running)
    void running.then(() => this.#running.delete(running))
  }

  /** Resolves when nothing runs any more, without stopping anything. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort()
    await this.idle()
  }
}
