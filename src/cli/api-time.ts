/** Times as `--since` and `--until` take them: durations back from now, dates, seconds since 1970. */
import { parseDuration } from '../lib/duration.ts'
import { quoteGo } from '../lib/go-quote.ts'
import { CliError } from './errors.ts'

const datePattern = /^\d{4}-\d{2}-\d{2}(T\d{2}(:\d{2}(:\d{2}(\.\d+)?)?)?)?(Z|[+-]\d{2}:\d{2})?$/

/** Seconds since 1970 with nanoseconds, as the API takes them; undefined for none. `name` is for logs' errors, events' have none. */
export function apiTime(text: string, name = '', nowMs: number = Date.now()): string | undefined {
  if (text === '') return undefined
  if (/^-?\d+(\.\d+)?$/.test(text)) return text
  if (datePattern.test(text)) {
    const zone = /(Z|[+-]\d{2}:\d{2})$/.exec(text.slice(10))?.[0]
    const [date = '', clock = ''] = text.slice(0, zone === undefined ? undefined : -zone.length).split('T')
    const [hours = '00', minutes = '00', seconds = '00'] = clock === '' ? [] : clock.split(':')
    const [whole = '00', fraction = ''] = seconds.split('.')
    const time = Date.parse(`${date}T${hours}:${minutes}:${whole}${zone ?? ''}`)
    if (!Number.isNaN(time)) return `${Math.floor(time / 1000)}.${fraction.padEnd(9, '0').slice(0, 9)}`
  }
  try {
    const nanoseconds = BigInt(Math.round(nowMs * 1e6)) - BigInt(parseDuration(text))
    return `${nanoseconds / 1_000_000_000n}.${String(nanoseconds % 1_000_000_000n).padStart(9, '0')}`
  } catch (error) {
    const where = name === '' ? '' : `invalid value for ${quoteGo(name)}: `
    throw new CliError(`${where}failed to parse value as time or duration: ${quoteGo(text)}`, {
      cause: error,
    })
  }
}
