/** Time and randomness, injected so that tests can move them. */
import { randomBytes } from 'node:crypto'

/** Source of time. */
export interface Clock {
  /** Milliseconds since 1970. */
  nowMs(): number
  /** Nanoseconds since 1970, as exact as the system gives. */
  nowNs(): bigint
}

const originNs = BigInt(Math.round(performance.timeOrigin * 1e6))

/** The system's clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  nowNs: () => {
    // The wall clock has milliseconds only; the monotonic one fills in the rest while both agree.
    const fine = originNs + BigInt(Math.round(performance.now() * 1e6))
    const coarse = BigInt(Date.now()) * 1_000_000n
    const drift = fine - coarse
    return drift >= 0n && drift < 5_000_000n ? fine : coarse
  },
}

/** Source of identifiers. */
export interface Ids {
  /** 64 random lower-case hex digits; never all decimal in the first 12, which clients would take for a number. */
  hex64(): string
}

/** Random identifiers. */
export const randomIds: Ids = {
  hex64: () => {
    for (;;) {
      const id = randomBytes(32).toString('hex')
      if (!/^[0-9]+$/.test(id.slice(0, 12))) return id
    }
  },
}

/** RFC 3339 in UTC with up to nine fraction digits and no trailing zeros, as Go's RFC3339Nano prints it. */
export function formatTimeNs(timeNs: bigint): string {
  const seconds = timeNs / 1_000_000_000n
  const fraction = (timeNs % 1_000_000_000n).toString().padStart(9, '0').replace(/0+$/, '')
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19)
  return fraction === '' ? `${whole}Z` : `${whole}.${fraction}Z`
}

/** Nanoseconds since 1970 of an RFC 3339 time, or undefined for anything else. */
export function parseTimeNs(text: string): bigint | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)$/.exec(text)
  if (match === null) return undefined
  const ms = Date.parse(`${match[1]}${match[3]}`)
  if (Number.isNaN(ms)) return undefined
  return BigInt(ms) * 1_000_000n + BigInt((match[2] ?? '').padEnd(9, '0'))
}

/** Go's zero time, as the API shows "never". */
export const zeroTime = '0001-01-01T00:00:00Z'
