/** Time that tests move. */
import type { Clock } from '../lib/clock.ts'
import type { Timer } from './core.ts'

/** A clock that stands still until it is moved; its sleepers wake as it passes. */
export class FakeClock implements Clock, Timer {
  #nowMs = Date.UTC(2026, 0, 1)
  readonly #sleepers = new Set<{ at: number; wake: () => void }>()

  nowMs(): number {
    return this.#nowMs
  }

  nowNs(): bigint {
    return BigInt(this.#nowMs) * 1_000_000n
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const sleeper = { at: this.#nowMs + ms, wake: resolve }
      this.#sleepers.add(sleeper)
      const onAbort = () => {
        this.#sleepers.delete(sleeper)
        reject(signal.reason)
      }
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Delays that are being slept now, shortest first. */
  pendingMs(): number[] {
    return [...this.#sleepers].map(({ at }) => at - this.#nowMs).sort((a, b) => a - b)
  }

  /** Moves time on and wakes whom it passes. */
  advance(ms: number): void {
    this.#nowMs += ms
    for (const sleeper of [...this.#sleepers].sort((a, b) => a.at - b.at)) {
      if (sleeper.at > this.#nowMs) continue
      this.#sleepers.delete(sleeper)
      sleeper.wake()
    }
  }
}
