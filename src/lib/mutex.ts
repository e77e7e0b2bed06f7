/** Mutual exclusion inside the process. */

/** A lock per key. Waiters are served in order; a key without holders takes no memory. */
export class KeyedMutex {
  readonly #tails = new Map<string, Promise<void>>()

  /**
   * Waits for the key and holds it until the result is disposed. Rejects with the signal's reason when aborted
   * while waiting.
   */
  async acquire(key: string, signal?: AbortSignal): Promise<Disposable> {
    const before = this.#tails.get(key)
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    const tail = before === undefined ? released : before.then(() => released)
    this.#tails.set(key, tail)
    const dispose = () => {
      release()
      if (this.#tails.get(key) === tail) this.#tails.delete(key)
    }
    if (before !== undefined) {
      try {
        await abortable(before, signal)
      } catch (error) {
        // The place in the queue passes on once its turn comes.
        release()
        throw error
      }
    }
    return { [Symbol.dispose]: dispose }
  }

  /** Whether somebody holds the key or waits for it. */
  isHeld(key: string): boolean {
    return this.#tails.has(key)
  }
}

/** A number of places, for work that must not run all at once. */
export class Semaphore {
  #free: number
  readonly #waiters: (() => void)[] = []

  constructor(places: number) {
    this.#free = places
  }

  /** Waits for a place and holds it until the result is disposed. */
  async acquire(): Promise<Disposable> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>((resolve) => this.#waiters.push(resolve))
    let held = true
    return {
      [Symbol.dispose]: () => {
        if (!held) return
        held = false
        const next = this.#waiters.shift()
        if (next === undefined) this.#free += 1
        else next()
      },
    }
  }
}

/** The promise's outcome, or the signal's reason if that comes first. */
export async function abortable<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return promise
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
