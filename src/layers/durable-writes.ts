/**
 * Making much that is being written durable. While it is being written the disk is already told to begin, so that the
 * sync at the end finds little left: a disk takes as long as an archive's unpacking, and both go on side by side.
 */
import { closeSync, openSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { LayerJob } from './layer-jobs.ts'

const pauseMs = 700

/** Where syncs are done: off the main thread. */
type Pool = { run(job: LayerJob): Promise<unknown> }

/** Watches over the writes to one file system from its making on; `finish` once all is written. */
export class DurableWrites implements AsyncDisposable {
  readonly #pool: Pool
  // A sync answers for what has failed since its descriptor was opened: this one tells of the whole time.
  readonly #fd: number
  readonly #over = new AbortController()
  readonly #early: Promise<void>

  /** `directory` is anywhere on the file system, `everyMs` how long that is left alone between early syncs. */
  constructor(pool: Pool, directory: string, everyMs = pauseMs) {
    this.#pool = pool
    this.#fd = openSync(directory, 'r')
    this.#early = this.#syncEarly(everyMs)
    // Awaited by `finish`.
    this.#early.catch(() => {})
  }

  /** Resolves when everything is on the disk; rejects where something could not be written. */
  async finish(): Promise<void> {
    this.#over.abort()
    await this.#early
    await this.#sync()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort()
    await this.#early.catch(() => {})
    closeSync(this.#fd)
  }

  async #syncEarly(everyMs: number): Promise<void> {
    const { signal } = this.#over
    while (await delay(everyMs, true, { signal, ref: false }).catch(() => false)) await this.#sync()
  }

  async #sync(): Promise<void> {
    await this.#pool.run({ kind: 'sync', fd: this.#fd })
  }
}
