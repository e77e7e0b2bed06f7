/** Blobs that somebody was just told about, and may soon name in a manifest: collection leaves them alone. */
import type { Clock } from '../lib/clock.ts'
import type { Digest } from '../spec/ids.ts'

const mostLeases = 200_000

/** Leases by digest, each for `graceMs` from its last touch. */
export class Leases {
  readonly graceMs: number
  readonly #clock: Clock
  // In the order of their ends, as every lease is equally long.
  readonly #ends = new Map<Digest, number>()
  // Leases that were lost with the last process, or pushed out by too many others, hold until then.
  #allUntilMs: number

  constructor(clock: Clock, graceMs: number) {
    this.#clock = clock
    this.graceMs = graceMs
    this.#allUntilMs = clock.nowMs() + graceMs
  }

  /** Leases a blob anew. */
  touch(digest: Digest): void {
    this.#ends.delete(digest)
    this.#ends.set(digest, this.#clock.nowMs() + this.graceMs)
    if (this.#ends.size <= mostLeases) return
    const oldest = this.#ends.entries().next().value
    if (oldest === undefined) return
    this.#ends.delete(oldest[0])
    this.#allUntilMs = Math.max(this.#allUntilMs, oldest[1])
  }

  /** Whether the blob must be kept. */
  holds(digest: Digest): boolean {
    const now = this.#clock.nowMs()
    return now < this.#allUntilMs || now < (this.#ends.get(digest) ?? 0)
  }
}
