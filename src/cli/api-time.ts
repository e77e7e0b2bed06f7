/** Times as `--since` and `--until` take them: durations back from now, dates, seconds since 1970. */
import { parseDuration } from '../lib/duration.ts'
import { quoteGo } from '../lib/go-quote.ts'
import { parseGoTime } from '../lib/go-time-parse.ts'
import { errorMessage } from '../spec/errors.ts'
import { CliError } from './errors.ts'

/** Seconds since 1970 with nanoseconds, as the API takes them; undefined for none. `name` is for logs' errors, events' have none. */
export function apiTime(text: string, name = '', nowMs: number = Date.now()): string | undefined {
  if (text === '') return undefined
  const back = text === '0' ? undefined : durationIfAny(text)
  if (back !== undefined) {
    const nanoseconds = BigInt(Math.round(nowMs * 1e6)) - BigInt(back)
    return `${nanoseconds / 1_000_000_000n}.${String(nanoseconds % 1_000_000_000n).padStart(9, '0')}`
  }
  try {
    const zone = -new Date(nowMs).getTimezoneOffset() * 60
    const { seconds, nanoseconds } = parseGoTime(layoutFor(text), text, zone)
    return `${seconds}.${String(nanoseconds).padStart(9, '0')}`
  } catch (error) {
    if (isTimestamp(text)) return text
    const where = name === '' ? '' : `invalid value for ${quoteGo(name)}: `
    // Docker takes whatever has a dash for a date.
    const problem = text.includes('-')
      ? errorMessage(error)
      : `failed to parse value as time or duration: ${quoteGo(text)}`
    throw new CliError(`${where}${problem}`, { cause: error })
  }
}

function durationIfAny(text: string): number | undefined {
  try {
    return parseDuration(text)
  } catch {
    return undefined
  }
}

/** Go's layout for the form that a date seems to have (moby, api/types/time/timestamp.go). */
function layoutFor(text: string): string {
  const hasZone = /[zZ+]/.test(text) || text.split('-').length === 4
  const zone = hasZone ? 'Z07:00' : ''
  if (text.includes('.')) return `2006-01-02T15:04:05.999999999${zone}`
  if (!text.includes('T')) return `2006-01-02${zone}`
  const offsetColons = hasZone && !/z/i.test(text) ? 1 : 0
  const colons = text.split(':').length - 1 - offsetColons
  const clock = colons <= 0 ? '15' : colons === 1 ? '15:04' : '15:04:05'
  return `2006-01-02T${clock}${zone}`
}

/** Whether it is seconds since 1970, with a fraction or not, within 64 bits. */
function isTimestamp(text: string): boolean {
  const max = 2n ** 63n - 1n
  return (
    /^\+?\d+(\.\+?\d+)?$/.test(text) && text.split('.').every((part) => BigInt(part.replace('+', '')) <= max)
  )
}
