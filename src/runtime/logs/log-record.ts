/** What both log file formats are read as. */
import type { FileHandle } from 'node:fs/promises'

/** Stream numbers of the 8-byte frame header. */
export const streamNumbers = { stdout: 1, stderr: 2 } as const

/**
 * One entry of a log: a line, or a piece of one that was too long. For speed a decoder hands the same object out
 * for every entry: take what is needed from it before the next one.
 */
export interface LogRecord {
  /** 1 stdout, 2 stderr. */
  readonly stream: number
  /** The output itself lies at start..end of these bytes, its line feed included where there was one. */
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
  /** Nanoseconds since 1970. */
  timeNs(): bigint
  /** RFC 3339 in UTC, always with nine fraction digits: `docker logs --timestamps`. */
  timeText(): string
  /** Labels, variables and tag that the container's log options ask for. */
  attributes(): Record<string, string>
}

/** Takes records one by one; `false` ends the reading. */
export type RecordVisitor = (record: LogRecord) => boolean

/** Takes records from the last to the first, with the offset where each begins; `false` ends the reading. */
export type BackwardVisitor = (record: LogRecord, offset: number) => boolean

/** A way of writing a log file. */
export interface LogFormat {
  /** How many of the leading bytes hold whole records; a record may still be being written behind them. */
  complete(bytes: Buffer): number
  /** Visits the records of bytes that hold whole ones only. False when the visitor ended it. Skips what is damaged. */
  decode(bytes: Buffer, visit: RecordVisitor): boolean
  /** Visits the records of a file before an offset, the last one first. */
  scanBackward(file: FileHandle, end: number, visit: BackwardVisitor): Promise<void>
}

/** Reads `2026-01-02T03:04:05.123Z`, quickly for times that follow one another. */
export class RecordTimes {
  #seconds = ''
  #ns = 0n

  /** Nanoseconds since 1970; 0 for what is no time. */
  parse(text: string): bigint {
    const seconds = text.slice(0, 19)
    if (seconds !== this.#seconds) {
      const ms = Date.parse(`${seconds}Z`)
      this.#ns = Number.isNaN(ms) ? 0n : BigInt(ms) * 1_000_000n
      this.#seconds = seconds
    }
    return this.#ns + BigInt(text.slice(20).replace('Z', '').slice(0, 9).padEnd(9, '0'))
  }

  /** The time with exactly nine fraction digits. */
  format(timeNs: bigint): string {
    let fraction = timeNs - this.#ns
    if (fraction < 0n || fraction >= 1_000_000_000n || this.#seconds === '') {
      fraction = timeNs % 1_000_000_000n
      this.#ns = timeNs - fraction
      this.#seconds = new Date(Number(this.#ns / 1_000_000n)).toISOString().slice(0, 19)
    }
    return `${this.#seconds}.${String(Number(fraction)).padStart(9, '0')}Z`
  }
}

/** The time with exactly nine fraction digits, whatever it had. */
export function nineDigits(time: string): string {
  return `${time.slice(0, 19)}.${time.slice(20).replace('Z', '').slice(0, 9).padEnd(9, '0')}Z`
}
