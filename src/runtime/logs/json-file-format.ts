/**
 * Docker's json-file format: one JSON object a line, `log` first, `time` last. The bytes of `log` are taken as they
 * are, without a detour over text: output need not be UTF-8. What is not stands in `raw` (see docs/log-format.md).
 */
import type { FileHandle } from 'node:fs/promises'
import { scanLinesBackward } from '../../lib/line-scan.ts'
import { nineDigits, RecordTimes, streamNumbers } from './log-record.ts'
import type { BackwardVisitor, LogFormat, LogRecord, RecordVisitor } from './log-record.ts'

const quote = 0x22
const backslash = 0x5c
const lineFeed = 0x0a
const letterN = 0x6e
const head = Buffer.from('{"log":"')
const rawHead = Buffer.from(',"raw":"')
const streamHead = Buffer.from(',"stream":"std')

/** See the file's head. One instance a reader: it reuses its buffers. */
export class JsonFileFormat implements LogFormat {
  readonly #record = new JsonRecord()

  complete(bytes: Buffer): number {
    return bytes.lastIndexOf(lineFeed) + 1
  }

  decode(bytes: Buffer, visit: RecordVisitor): boolean {
    let start = 0
    while (start < bytes.length) {
      let end = bytes.indexOf(lineFeed, start)
      if (end < 0) end = bytes.length
      if (this.#read(bytes, start, end) && !visit(this.#record)) return false
      start = end + 1
    }
    return true
  }

  async scanBackward(file: FileHandle, end: number, visit: BackwardVisitor): Promise<void> {
    await scanLinesBackward(file, end, (line, offset) => {
      return this.#read(line, 0, line.length) ? visit(this.#record, offset) : true
    })
  }

  #read(bytes: Buffer, start: number, end: number): boolean {
    if (this.#record.read(bytes, start, end)) return true
    if (this.#record.readSlowly(bytes.subarray(start, end))) return true
    // A writer that died within a line left its beginning in front of the next one.
    const next = bytes.subarray(start, end).indexOf(head, 1)
    return next > 0 && this.#read(bytes, start + next, end)
  }
}

class JsonRecord implements LogRecord {
  stream = 1
  bytes: Buffer = Buffer.alloc(0)
  readonly start = 0
  end = 0
  #source: Buffer = this.bytes
  /** Where what follows the stream's name lies in the source: attributes and time. */
  #tailStart = 0
  #tailEnd = 0
  /** Bytes, two hexadecimal digits each, that the replacement characters of the line stand for. */
  #raw = ''
  readonly #times = new RecordTimes()

  /** Takes a line as Docker and Wharf write it. False for any other form. */
  read(line: Buffer, start: number, end: number): boolean {
    if (!startsWith(line, start, head)) return false
    if (this.bytes.length < end - start) this.bytes = Buffer.allocUnsafeSlow((end - start) * 2)
    this.#raw = ''
    const after = this.#unescape(line, start + head.length, end)
    if (after < 0 || !startsWith(line, after, streamHead)) return false
    const stream = after + streamHead.length
    // `out"` or `err"`
    this.stream = line[stream] === 0x65 ? streamNumbers.stderr : streamNumbers.stdout
    this.#source = line
    this.#tailStart = stream + 4
    this.#tailEnd = end
    if (startsWith(line, this.#tailStart, rawHead)) this.#restore(line, start)
    return line[end - 1] === 0x7d
  }

  /** Reads the text again, with the bytes that are no text. */
  #restore(line: Buffer, start: number): void {
    const first = this.#tailStart + rawHead.length
    const last = line.indexOf(quote, first)
    if (last < 0 || last >= this.#tailEnd) return
    this.#raw = line.toString('latin1', first, last)
    this.#unescape(line, start + head.length, this.#tailEnd)
    this.#tailStart = last + 1
  }

  /** Takes a line that only is JSON. */
  readSlowly(line: Buffer): boolean {
    const value = parseObject(line.toString('utf8'))
    if (value === undefined || typeof value['time'] !== 'string') return false
    const log = typeof value['log'] === 'string' ? value['log'] : ''
    this.bytes = Buffer.from(log)
    this.end = this.bytes.length
    this.stream = value['stream'] === 'stderr' ? streamNumbers.stderr : streamNumbers.stdout
    const attributes = value['attrs'] === undefined ? '' : `,"attrs":${JSON.stringify(value['attrs'])}`
    this.#source = Buffer.from(`${attributes},"time":${JSON.stringify(value['time'])}}`)
    this.#tailStart = 0
    this.#tailEnd = this.#source.length
    return true
  }

  timeNs(): bigint {
    return this.#times.parse(this.#time())
  }

  timeText(): string {
    return nineDigits(this.#time())
  }

  attributes(): Record<string, string> {
    const tail = this.#source.toString('utf8', this.#tailStart, this.#tailEnd)
    const value = parseObject(`{${tail.slice(1)}`)?.['attrs']
    if (typeof value !== 'object' || value === null) return {}
    return Object.fromEntries(Object.entries(value).map(([key, text]) => [key, String(text)]))
  }

  #time(): string {
    // The line ends with `"time":"..."}`; a time has no quotes inside.
    const end = this.#tailEnd - 2
    const start = this.#source.lastIndexOf(quote, end - 1) + 1
    return this.#source.toString('latin1', start, end)
  }

  /** Undoes the escapes up to the closing quote; the index behind it, or -1 when there is none. */
  #unescape(line: Buffer, start: number, end: number): number {
    const closing = line.indexOf(quote, start)
    const last = closing - 2
    // Most lines have no other escape than their line feed's, at the end.
    if (
      last >= start &&
      closing < end &&
      line[last] === backslash &&
      line[last + 1] === letterN &&
      line.indexOf(backslash, start) === last
    ) {
      this.end = line.copy(this.bytes, 0, start, last) + 1
      this.bytes[this.end - 1] = lineFeed
      return closing + 1
    }
    return this.#unescapeEach(line, start, end)
  }

  #unescapeEach(line: Buffer, start: number, end: number): number {
    const out = this.bytes
    let to = 0
    let rawAt = 0
    let at = start
    while (at < end) {
      const byte = line[at] ?? 0
      if (byte === quote) {
        this.end = to
        return at + 1
      }
      if (byte !== backslash) {
        out[to] = byte
        to += 1
        at += 1
      } else {
        const escape = line[at + 1] ?? 0
        if (escape === 0x75) {
          const size = unicodeSize(line, at)
          if (size === 0) return -1
          const character = line.toString('latin1', at, at + size)
          if (rawAt < this.#raw.length && character === replacement) {
            to += out.write(this.#raw.slice(rawAt, rawAt + 2), to, 'hex')
            rawAt += 2
          } else {
            to += out.write(decodeUnicode(character), to, 'utf8')
          }
          at += size
        } else {
          out[to] = simpleEscapes[escape] ?? escape
          to += 1
          at += 2
        }
      }
    }
    return -1
  }
}

/** As written for a byte that is no text. A real U+FFFD is written as it is. */
const replacement = String.raw`\ufffd`

const simpleEscapes: Readonly<Record<number, number>> = {
  0x6e: 0x0a, // n
  0x72: 0x0d, // r
  0x74: 0x09, // t
  0x62: 0x08, // b
  0x66: 0x0c, // f
}

/** Length of a `\uXXXX` escape or of a surrogate pair of two; 0 when it is none. */
function unicodeSize(line: Buffer, at: number): number {
  const text = line.toString('latin1', at, at + 12)
  if (/^\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}/.test(text)) return 12
  return /^\\u[0-9a-fA-F]{4}/.test(text) ? 6 : 0
}

function decodeUnicode(escapes: string): string {
  const units = escapes.match(/[0-9a-fA-F]{4}/g) ?? []
  return String.fromCharCode(...units.map((unit) => Number.parseInt(unit, 16)))
}

function startsWith(bytes: Buffer, at: number, prefix: Buffer): boolean {
  for (let index = 0; index < prefix.length; index += 1) {
    if (bytes[at + index] !== prefix[index]) return false
  }
  return true
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return undefined
    return { ...value }
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
