/** Clients that wait for a container to stop or to go. */
import type { WaitCondition } from './contract.ts'

/** What a waiting client is told. */
export type WaitResult = { exitCode: number; error: string }

type Waiter = { condition: WaitCondition; resolve(result: WaitResult): void }

/** Waits of one container. */
export class Waiters {
  readonly #waiters = new Set<Waiter>()

  /** Registers at once; the promise resolves when the condition comes true, rejects when the signal aborts. */
  async add(condition: WaitCondition, signal?: AbortSignal): Promise<WaitResult> {
    const { promise, resolve, reject } = Promise.withResolvers<WaitResult>()
    const waiter: Waiter = { condition, resolve }
    this.#waiters.add(waiter)
    const onAbort = () => reject(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted === true) onAbort()
    try {
      return await promise
    } finally {
      this.#waiters.delete(waiter)
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** The container stopped, also when its policy starts it again. */
  stopped(result: WaitResult): void {
    for (const waiter of this.#waiters) if (waiter.condition !== 'removed') waiter.resolve(result)
  }

  /** The container is gone, or could not be removed. */
  removed(result: WaitResult): void {
    for (const waiter of this.#waiters) waiter.resolve(result)
  }
}
