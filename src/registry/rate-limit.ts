/** How many requests one client may make: a bucket that fills at the allowed rate and holds a few seconds' worth. */
import type { Clock } from '../lib/clock.ts'
import { RegistryError } from './errors.ts'

const burstSeconds = 5
const mostClients = 50_000

type Bucket = { left: number; atMs: number }

/** See the file's head. */
export class RateLimit {
  readonly #clock: Clock
  readonly #buckets = new Map<string, Bucket>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Counts a request. Throws TOOMANYREQUESTS; a rate of 0 is no limit. */
  take(client: string, perSecond: number): void {
    if (perSecond <= 0) return
    const now = this.#clock.nowMs()
    const most = Math.max(1, perSecond * burstSeconds)
    const bucket = this.#buckets.get(client) ?? { left: most, atMs: now }
    const left = Math.min(most, bucket.left + ((now - bucket.atMs) / 1000) * perSecond)
    if (this.#buckets.size >= mostClients) this.#buckets.clear()
    this.#buckets.set(client, { left: left >= 1 ? left - 1 : left, atMs: now })
    if (left >= 1) return
    const seconds = Math.ceil((1 - left) / perSecond)
    throw new RegistryError('TOOMANYREQUESTS', { headers: { 'Retry-After': String(seconds) } })
  }
}
