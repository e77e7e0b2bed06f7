/** Reading a log file forward in chunks of whole records. */
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { OpenLogFile } from './log-files.ts'
import type { LogFormat } from './log-record.ts'

const chunkBytes = 256 * 1024

/** How far a file was read; reading goes on from there, so that a file that grows is read piece by piece. */
export class FilePosition {
  readonly file: OpenLogFile
  #offset: number
  #buffer: Buffer = Buffer.allocUnsafeSlow(chunkBytes)
  #consumed: number
  /** Bytes of a record that was not whole yet, at the start of the buffer. */
  #rest = 0

  constructor(file: OpenLogFile, offset: number) {
    this.file = file
    this.#offset = offset
    this.#consumed = offset
  }

  /** Where the chunks handed out so far end. */
  get consumed(): number {
    return this.#consumed
  }

  /** Whole records up to the file's present end. A chunk is valid until the next one is asked for. */
  async *chunks(format: LogFormat): AsyncGenerator<Buffer> {
    if (this.file.compressed) {
      yield* this.#inflated(format)
      return
    }
    for (;;) {
      if (this.#rest === this.#buffer.length) this.#grow(this.#buffer.length * 2)
      const room = this.#buffer.length - this.#rest
      const { bytesRead } = await this.file.handle.read(this.#buffer, this.#rest, room, this.#offset)
      if (bytesRead === 0) {
        if (!(await this.#wasCut())) return
        continue
      }
      this.#offset += bytesRead
      const filled = this.#buffer.subarray(0, this.#rest + bytesRead)
      const whole = format.complete(filled)
      this.#consumed += whole
      if (whole > 0) yield filled.subarray(0, whole)
      this.#rest = filled.length - whole
      this.#buffer.copyWithin(0, whole, filled.length)
    }
  }

  /** A log of one file starts over by being cut to nothing: then so do we. */
  async #wasCut(): Promise<boolean> {
    const { size } = await this.file.handle.stat()
    if (size >= this.#offset) return false
    this.#offset = 0
    this.#consumed = 0
    this.#rest = 0
    return true
  }

  async *#inflated(format: LogFormat): AsyncGenerator<Buffer> {
    for await (const piece of inflate(this.file)) {
      this.#grow(this.#rest + piece.length)
      piece.copy(this.#buffer, this.#rest)
      const filled = this.#buffer.subarray(0, this.#rest + piece.length)
      const whole = format.complete(filled)
      if (whole > 0) yield filled.subarray(0, whole)
      this.#rest = filled.length - whole
      this.#buffer.copyWithin(0, whole, filled.length)
    }
  }

  #grow(size: number): void {
    if (size <= this.#buffer.length) return
    const larger = Buffer.allocUnsafeSlow(size)
    this.#buffer.copy(larger, 0, 0, this.#rest)
    this.#buffer = larger
  }
}

/** The bytes of a compressed log file. The descriptor stays open and may be read again. */
async function* inflate(file: OpenLogFile): AsyncGenerator<Buffer> {
  const source = createReadStream('', {
    fd: file.handle,
    autoClose: false,
    start: 0,
    highWaterMark: chunkBytes,
  })
  const gunzip = createGunzip({ chunkSize: chunkBytes })
  // Errors of either reach whoever iterates over the last.
  pipeline(source, gunzip, () => {})
  yield* gunzip
}
