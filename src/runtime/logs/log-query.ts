/** Times and counts of a request for logs. */
import { parseTimeNs } from '../../lib/clock.ts'
import { EngineError } from '../../spec/errors.ts'

/**
 * Nanoseconds since 1970 of `1700000000.123456789` or of an RFC 3339 time; undefined for none, which is empty or 0.
 * Throws invalid.
 */
export function parseLogTime(name: string, text: string): bigint | undefined {
  if (text === '' || text === '0') return undefined
  const unix = /^(-?\d{1,12})(?:\.(\d{1,9})\d*)?$/.exec(text)
  if (unix !== null) {
    const [, seconds = '', fraction = ''] = unix
    return BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'))
  }
  const time = parseTimeNs(text)
  if (time === undefined) {
    const cause = `strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`
    throw new EngineError('invalid', `invalid value for "${name}": ${cause}`)
  }
  return time
}

/** A number of lines; undefined for all of them, which is also what a text that is no number means to Docker. */
export function parseTail(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}
