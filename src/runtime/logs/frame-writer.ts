/**
 * Turns records into the bytes that the Engine API answers: each record in a frame of its own (stream number, three
 * zero bytes, length as 32 bits big-endian), or bare for a terminal, as clients count on one line a frame.
 */
import type { LogRecord } from './log-record.ts'

/** How records are shown. */
export type FrameOptions = { framed: boolean; timestamps: boolean; details: boolean }

const headerBytes = 8
const flushBytes = 128 * 1024
const lineFeed = 0x0a

/** Collects frames. Single use: the buffers handed out belong to the taker. */
export class FrameWriter {
  readonly #options: FrameOptions
  #buffer: Buffer = Buffer.allocUnsafeSlow(flushBytes + 64 * 1024)
  #length = 0
  /** Whether the next record of a stream begins a line: index is the stream's number. */
  readonly #lineStart = [true, true, true]

  constructor(options: FrameOptions) {
    this.#options = options
  }

  /** Whether enough is there to be handed on. */
  get full(): boolean {
    return this.#length >= flushBytes
  }

  get empty(): boolean {
    return this.#length === 0
  }

  /** What was collected; empty when nothing was. */
  take(): Buffer {
    const taken = this.#buffer.subarray(0, this.#length)
    if (this.#length > 0) this.#buffer = Buffer.allocUnsafeSlow(flushBytes + 64 * 1024)
    this.#length = 0
    return taken
  }

  add(record: LogRecord): void {
    const { stream, start, end, bytes } = record
    const prefix = this.#lineStart[stream] === true ? this.#prefix(record) : ''
    this.#lineStart[stream] = bytes[end - 1] === lineFeed
    const prefixBytes = prefix === '' ? 0 : Buffer.byteLength(prefix)
    const payloadBytes = prefixBytes + end - start
    this.#reserve(headerBytes + payloadBytes)
    if (this.#options.framed) this.#header(stream, payloadBytes)
    if (prefixBytes > 0) this.#length += this.#buffer.write(prefix, this.#length)
    this.#length += bytes.copy(this.#buffer, this.#length, start, end)
  }

  /** Time and details stand before a line, not before each piece of a long one. */
  #prefix(record: LogRecord): string {
    let prefix = this.#options.timestamps ? `${record.timeText()} ` : ''
    if (this.#options.details) prefix += `${detailsText(record.attributes())} `
    return prefix
  }

  #header(stream: number, payloadBytes: number): void {
    const buffer = this.#buffer
    const at = this.#length
    buffer[at] = stream
    buffer[at + 1] = 0
    buffer[at + 2] = 0
    buffer[at + 3] = 0
    buffer[at + 4] = payloadBytes >>> 24
    buffer[at + 5] = payloadBytes >>> 16
    buffer[at + 6] = payloadBytes >>> 8
    buffer[at + 7] = payloadBytes
    this.#length = at + headerBytes
  }

  #reserve(size: number): void {
    if (this.#length + size <= this.#buffer.length) return
    const larger = Buffer.allocUnsafeSlow((this.#length + size) * 2)
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}

/** `key=value` pairs in order of keys, query-escaped and joined by commas (moby, httputils.stringAttrs). */
function detailsText(attributes: Record<string, string>): string {
  return Object.entries(attributes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${queryEscape(key)}=${queryEscape(value)}`)
    .join(',')
}

/** As Go's url.QueryEscape: everything but letters, digits and `-_.~` is escaped, a space becomes a plus. */
function queryEscape(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+')
}
