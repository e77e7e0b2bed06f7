/** Entries of containers' logs, and how `GET /containers/{id}/logs` prints them. */
import { EngineError } from '../spec/errors.ts'
import type { Exchange } from './exchange.ts'
import { parseTimestamp } from './timestamps.ts'

/** One entry of a log: a line with its newline where it had one. */
export type LogEntry = {
  source: 'stdout' | 'stderr'
  line: Uint8Array
  timeNs: bigint
  /** Labels, environment and tag that the log keeps. */
  attributes?: Record<string, string>
}

/** What to read. Times are nanoseconds since 1970; `tail` is a number of lines, undefined for all. */
export type LogReadOptions = {
  stdout: boolean
  stderr: boolean
  follow: boolean
  sinceNs: bigint | undefined
  untilNs: bigint | undefined
  tail: number | undefined
  running: boolean
}

/** Decodes the parameters of a logs request. Throws `invalid`. */
export function parseLogOptions(
  x: Exchange,
  wanted: { stdout: boolean; stderr: boolean },
  running: boolean,
): LogReadOptions {
  const tail = x.text('tail')
  return {
    ...wanted,
    running,
    follow: x.flag('follow'),
    sinceNs: logTime(x.text('since'), 'since'),
    untilNs: logTime(x.text('until'), 'until'),
    // As Docker: what is not a number means all lines.
    tail: /^[0-9]+$/.test(tail) ? Number(tail) : undefined,
  }
}

function logTime(text: string, name: string): bigint | undefined {
  // `until=0` is what clients send for "no limit".
  if (text === '' || text === '0') return undefined
  const time = parseTimestamp(text)
  if (time === undefined) {
    throw new EngineError(
      'invalid',
      `invalid value for "${name}": strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`,
    )
  }
  return time
}

/** The bytes that a client sees of an entry. */
export function formatLogEntry(entry: LogEntry, show: { timestamps: boolean; details: boolean }): Uint8Array {
  if (!show.timestamps && !show.details) return entry.line
  const time = show.timestamps ? `${fixedTime(entry.timeNs)} ` : ''
  const details = show.details ? `${formatAttributes(entry.attributes ?? {})} ` : ''
  return Buffer.concat([Buffer.from(time + details), entry.line])
}

/** RFC 3339 with always nine fraction digits. */
function fixedTime(timeNs: bigint): string {
  const whole = new Date(Number(timeNs / 1_000_000_000n) * 1000).toISOString().slice(0, 19)
  return `${whole}.${(timeNs % 1_000_000_000n).toString().padStart(9, '0')}Z`
}

function formatAttributes(attributes: Record<string, string>): string {
  return Object.keys(attributes)
    .toSorted()
    .map((key) => `${queryEscape(key)}=${queryEscape(attributes[key] ?? '')}`)
    .join(',')
}

/** Go's url.QueryEscape. */
function queryEscape(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+')
}
