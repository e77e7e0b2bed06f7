/** Times by a layout of Go's `time` package: `time.Parse`, its errors included, for the parts that RFC 3339 has. */
import { quoteGo } from './go-quote.ts'

/** What is read so far. */
type Parts = { value: string; offsetSeconds: number | undefined } & Record<Field, number>
type Field = 'year' | 'month' | 'day' | 'hour' | 'minute' | 'second' | 'nanosecond'

/** A part of a layout: what it looks like in the text, and what it may be. */
type Numeral = { pattern: RegExp; field: Field; min: number; max: number }

const numerals: Readonly<Record<string, Numeral>> = {
  '2006': { pattern: /^\d{4}/, field: 'year', min: 0, max: 9999 },
  '01': { pattern: /^\d\d/, field: 'month', min: 1, max: 12 },
  // What a month has is checked when all is read.
  '02': { pattern: /^\d\d/, field: 'day', min: 0, max: 99 },
  '15': { pattern: /^\d\d?/, field: 'hour', min: 0, max: 23 },
  '04': { pattern: /^\d\d/, field: 'minute', min: 0, max: 59 },
  '05': { pattern: /^\d\d/, field: 'second', min: 0, max: 59 },
}
const layoutPart = /2006|0[1245]|15|Z07:00|\.9+|./g

/**
 * A time's seconds since 1970 and the nanoseconds after them. `localOffsetSeconds` is the zone of a layout without one.
 * Throws Go's text.
 */
export function parseGoTime(
  layout: string,
  text: string,
  localOffsetSeconds: number,
): { seconds: number; nanoseconds: number } {
  const refused = (message: string) => new Error(`parsing time ${quoteGo(text)}${message}`)
  const parts: Parts = { value: text, offsetSeconds: undefined, ...epoch }
  for (const part of layout.match(layoutPart) ?? []) {
    const problem = readPart(parts, part)
    if (problem === 'unlike')
      throw refused(` as ${quoteGo(layout)}: cannot parse ${quoteGo(parts.value)} as ${quoteGo(part)}`)
    if (problem !== undefined) throw refused(`: ${problem} out of range`)
  }
  if (parts.value !== '') throw refused(`: extra text: ${quoteGo(parts.value)}`)
  const date = new Date(0)
  date.setUTCFullYear(parts.year, parts.month - 1, parts.day)
  if (parts.day < 1 || date.getUTCMonth() !== parts.month - 1) throw refused(': day out of range')
  date.setUTCHours(parts.hour, parts.minute, parts.second)
  const seconds = date.getTime() / 1000 - (parts.offsetSeconds ?? localOffsetSeconds)
  return { seconds, nanoseconds: parts.nanosecond }
}

const epoch = { year: 1970, month: 1, day: 1, hour: 0, minute: 0, second: 0, nanosecond: 0 }

/** Reads a part of a layout off the text; answers `unlike`, or the name of what is out of its range. */
function readPart(parts: Parts, part: string): string | undefined {
  // Seconds take a fraction whether or not the layout says so.
  if (part.startsWith('.9')) return undefined
  if (part === 'Z07:00') return readZone(parts)
  const numeral = numerals[part]
  if (numeral === undefined) {
    if (!parts.value.startsWith(part)) return 'unlike'
    parts.value = parts.value.slice(part.length)
    return undefined
  }
  const digits = numeral.pattern.exec(parts.value)?.[0]
  if (digits === undefined) return 'unlike'
  const number = Number(digits)
  if (number < numeral.min || number > numeral.max) return numeral.field
  parts[numeral.field] = number
  parts.value = parts.value.slice(digits.length)
  if (numeral.field === 'second') readFraction(parts)
  return undefined
}

function readFraction(parts: Parts): void {
  const [whole, digits] = /^[.,](\d+)/.exec(parts.value) ?? []
  if (whole === undefined || digits === undefined) return
  parts.nanosecond = Number(digits.slice(0, 9).padEnd(9, '0'))
  parts.value = parts.value.slice(whole.length)
}

function readZone(parts: Parts): string | undefined {
  const [whole, sign, hours, minutes] = /^(?:Z|([+-])(\d\d):(\d\d))/.exec(parts.value) ?? []
  if (whole === undefined) return 'unlike'
  // Go lets zones of 24 hours and of 60 minutes pass.
  if (Number(minutes ?? 0) > 60) return 'time zone offset minute'
  if (Number(hours ?? 0) > 24) return 'time zone offset hour'
  const seconds = Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60
  parts.offsetSeconds = sign === '-' ? -seconds : seconds
  parts.value = parts.value.slice(whole.length)
  return undefined
}
