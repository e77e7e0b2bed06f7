/**
 * Gives memory back once nobody has asked for anything in a while. V8 collects when its heap grows and so not at all
 * in a daemon that has become quiet; after 50 containers a third of the heap is garbage (measured). A collection takes
 * some 20 ms, which is why it waits for a pause.
 */
import { releaseFreeMemory } from '../kernel/free-memory.ts'

const pauseMs = 5000

/** See the file's head. */
export class IdleRest implements Disposable {
  #timer: NodeJS.Timeout | undefined
  #lastMs = 0
  #disposed = false

  /** Something was asked for: the wait begins anew. Costs next to nothing. */
  active(): void {
    this.#lastMs = performance.now()
    if (this.#timer === undefined) this.#waitFor(pauseMs)
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    clearTimeout(this.#timer)
  }

  #waitFor(ms: number): void {
    if (this.#disposed) return
    this.#timer = setTimeout(() => this.#look(), ms)
    this.#timer.unref()
  }

  #look(): void {
    this.#timer = undefined
    const leftMs = this.#lastMs + pauseMs - performance.now()
    if (leftMs > 0) return this.#waitFor(leftMs)
    // Absent without --expose-gc, which bin/wharfd gives.
    globalThis.gc?.()
    releaseFreeMemory()
  }
}
