/** Times in queries: seconds since 1970 with a fraction (`1700000000.000000001`), or RFC 3339. */
import { parseTimeNs } from '../lib/clock.ts'

/** Nanoseconds since 1970, or undefined for what is no time. */
export function parseTimestamp(text: string): bigint | undefined {
  const match = /^(-?[0-9]{1,12})(?:\.([0-9]{1,9})[0-9]*)?$/.exec(text)
  if (match === null) return parseTimeNs(text)
  const fraction = BigInt((match[2] ?? '').padEnd(9, '0'))
  return BigInt(match[1] ?? '0') * 1_000_000_000n + fraction
}
