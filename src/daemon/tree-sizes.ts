/**
 * What directories take, for `system df`. Every question has all of them measured, away from the main thread; an answer
 * waits for that a moment only, and then has for those that take longer what was measured last. So an answer comes soon
 * whatever is stored, is exact where the trees are not huge, and is else as old as the question before. A directory that
 * was never measured is waited for.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '../lib/log.ts'

/** What is needed: how to measure a few directories, in their order; -1 for one that cannot be. */
export type TreeSizesParts = {
  measure(directories: readonly string[]): Promise<readonly number[]>
  log: Log
  /** How long an answer waits for what it could tell from memory, in milliseconds. */
  patienceMs?: number
}

/** Measured by one job, so that results come in while others are still measured. */
const batchSize = 64

/** See the file's head. */
export class TreeSizes {
  readonly #parts: TreeSizesParts
  readonly #known = new Map<string, number>()
  #wanted: readonly string[] = []
  #current: Promise<void> = Promise.resolve()
  /** A round that has not begun yet: what is asked for meanwhile is in it. */
  #next: Promise<void> | undefined

  constructor(parts: TreeSizesParts) {
    this.#parts = parts
  }

  /** Bytes of the files in each directory. */
  async of(directories: readonly string[]): Promise<number[]> {
    this.#wanted = directories
    this.#next ??= this.#current.then(() => this.#round())
    const measured = this.#next
    if (directories.every((directory) => this.#known.has(directory))) {
      const enough = new AbortController()
      const patience = sleep(this.#parts.patienceMs ?? 100, undefined, { signal: enough.signal })
      await Promise.race([measured, patience.catch(() => undefined)])
      enough.abort()
    } else {
      await measured
    }
    return directories.map((directory) => this.#known.get(directory) ?? -1)
  }

  async #round(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#current = promise
    this.#next = undefined
    const wanted = this.#wanted
    try {
      for (let at = 0; at < wanted.length; at += batchSize) {
        const batch = wanted.slice(at, at + batchSize)
        const sizes = await this.#parts.measure(batch)
        for (const [index, directory] of batch.entries()) this.#known.set(directory, sizes[index] ?? -1)
      }
    } catch (error) {
      this.#parts.log.warn('sizes not measured', { error })
    }
    const kept = new Set([...wanted, ...this.#wanted])
    for (const directory of this.#known.keys()) if (!kept.has(directory)) this.#known.delete(directory)
    resolve()
  }
}
