/**
 * The binary format of the `local` driver (docs/log-format.md): length, body, length again. A body is a time, a
 * stream, flags and the line without its line feed.
 */
import type { FileHandle } from 'node:fs/promises'
import { readFully } from '../../lib/line-scan.ts'
import { RecordTimes } from './log-record.ts'
import type { BackwardVisitor, LogFormat, LogRecord, RecordVisitor } from './log-record.ts'

const lengthBytes = 4
const headBytes = 12
const framingBytes = 2 * lengthBytes
/** Longest body that a keeper writes, with room to spare: more is damage. */
const maxBodyBytes = 1 << 20
const incomplete = 0
const damaged = -1
const backwardBytes = 256 * 1024

/** See the file's head. One instance a reader: it hands the same record out again and again. */
export class LocalFormat implements LogFormat {
  readonly #record: LocalRecord

  /** `attributes` are those of the container: the file has none. */
  constructor(attributes: Record<string, string>) {
    this.#record = new LocalRecord(attributes)
  }

  complete(bytes: Buffer): number {
    let at = 0
    for (;;) {
      const size = recordSize(bytes, at)
      if (size === incomplete) return at
      at += size === damaged ? 1 : size
    }
  }

  decode(bytes: Buffer, visit: RecordVisitor): boolean {
    let at = 0
    for (;;) {
      const size = recordSize(bytes, at)
      if (size === incomplete) return true
      if (size > 0) {
        this.#record.read(bytes, at, at + size)
        if (!visit(this.#record)) return false
      }
      at += size === damaged ? 1 : size
    }
  }

  async scanBackward(file: FileHandle, end: number, visit: BackwardVisitor): Promise<void> {
    let blockEnd = end
    while (blockEnd > 0) {
      const blockStart = Math.max(0, blockEnd - backwardBytes)
      const block = await readFully(file, blockStart, blockEnd - blockStart)
      let at = block.length
      for (;;) {
        const start = recordBefore(block, at)
        if (start === undefined) break
        this.#record.read(block, start, at)
        if (!visit(this.#record, blockStart + start)) return
        at = start
      }
      if (at < block.length) blockEnd = blockStart + at
      else return await this.#scanForward(file, blockEnd, visit)
    }
  }

  /** Where the end is damaged or still being written, records are only found from the beginning. */
  async #scanForward(file: FileHandle, end: number, visit: BackwardVisitor): Promise<void> {
    const found: { start: number; size: number }[] = []
    for (let at = 0; at < end;) {
      const block = await readFully(file, at, Math.min(backwardBytes + maxBodyBytes, end - at))
      let inBlock = 0
      for (let size = recordSize(block, 0); size !== incomplete; size = recordSize(block, inBlock)) {
        if (size > 0) found.push({ start: at + inBlock, size })
        inBlock += size === damaged ? 1 : size
      }
      if (inBlock === 0) break
      at += inBlock
    }
    for (const { start, size } of found.reverse()) {
      this.#record.read(await readFully(file, start, size), 0, size)
      if (!visit(this.#record, start)) return
    }
  }
}

class LocalRecord implements LogRecord {
  stream = 1
  bytes: Buffer = Buffer.alloc(0)
  start = 0
  end = 0
  readonly #attributes: Record<string, string>
  readonly #times = new RecordTimes()
  #timeNs = 0n
  #withFeed: Buffer = Buffer.alloc(0)

  constructor(attributes: Record<string, string>) {
    this.#attributes = attributes
  }

  /** Takes a whole record. */
  read(source: Buffer, start: number, end: number): void {
    const body = start + lengthBytes
    this.#timeNs = source.readBigUInt64LE(body)
    this.stream = source[body + 8] === 2 ? 2 : 1
    const partial = ((source[body + 9] ?? 0) & 1) === 1
    const lineStart = body + headBytes
    const lineEnd = end - lengthBytes
    if (partial) {
      this.bytes = source
      this.start = lineStart
      this.end = lineEnd
      return
    }
    const length = lineEnd - lineStart
    if (this.#withFeed.length <= length) this.#withFeed = Buffer.allocUnsafeSlow(length * 2 + 256)
    source.copy(this.#withFeed, 0, lineStart, lineEnd)
    this.#withFeed[length] = 0x0a
    this.bytes = this.#withFeed
    this.start = 0
    this.end = length + 1
  }

  timeNs(): bigint {
    return this.#timeNs
  }

  timeText(): string {
    return this.#times.format(this.#timeNs)
  }

  attributes(): Record<string, string> {
    return this.#attributes
  }
}

/** Size of the record at an offset, or one of `incomplete` and `damaged`. */
function recordSize(bytes: Buffer, at: number): number {
  if (at + framingBytes + headBytes > bytes.length) return incomplete
  const body = bytes.readUInt32LE(at)
  if (body < headBytes || body > maxBodyBytes || !plausible(bytes, at + lengthBytes)) return damaged
  const end = at + body + framingBytes
  if (end > bytes.length) return incomplete
  return bytes.readUInt32LE(end - lengthBytes) === body ? body + framingBytes : damaged
}

/** Whether stream, flags and padding of a body are such as a keeper writes: random bytes seldom are. */
function plausible(bytes: Buffer, body: number): boolean {
  const stream = bytes[body + 8]
  return (stream === 1 || stream === 2) && (bytes[body + 9] ?? 2) <= 1 && bytes.readUInt16LE(body + 10) === 0
}

/** Where the record that ends at an offset starts, undefined when the bytes hold no whole one. */
function recordBefore(bytes: Buffer, end: number): number | undefined {
  if (end < framingBytes + headBytes) return undefined
  const body = bytes.readUInt32LE(end - lengthBytes)
  const start = end - body - framingBytes
  if (body < headBytes || body > maxBodyBytes || start < 0) return undefined
  return bytes.readUInt32LE(start) === body && plausible(bytes, start + lengthBytes) ? start : undefined
}
