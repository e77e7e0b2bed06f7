/**
 * Where zstd frames begin and end (RFC 8878, section 3.1), without decompressing: Node's decompressor stops after
 * the first frame, while files of several frames, and skippable frames between them, are common.
 */

/** A piece of a frame; `last` ends it. Skippable frames do not come. */
export type ZstdPiece = { bytes: Buffer; last: boolean }

/** Damaged zstd data. */
class ZstdError extends Error {
  constructor(message: string) {
    super(`zstd: ${message}`)
    this.name = 'ZstdError'
  }
}

type Step = 'magic' | 'descriptor' | 'headerRest' | 'block' | 'content' | 'checksum' | 'skipSize' | 'skip'

const frameMagic = 0xfd2fb528
const skippableMagic = 0x184d2a50
const empty = Buffer.alloc(0)

/** Cuts a stream into frames. Push chunks, then `finish`. */
export class ZstdFrameSplitter {
  #step: Step = 'magic'
  /** Bytes still to come for the step. */
  #need = 4
  /** What has come of a step that is read as a number. */
  #held: Buffer = empty
  #hasChecksum = false
  #lastBlock = false

  /** Throws a ZstdError. The pieces are views of `chunk` or of its copy. */
  push(chunk: Buffer): ZstdPiece[] {
    const pieces: ZstdPiece[] = []
    let at = 0
    while (at < chunk.length) {
      const bytes = chunk.subarray(at, at + this.#need)
      at += bytes.length
      this.#need -= bytes.length
      if (this.#step === 'content' || this.#step === 'headerRest' || this.#step === 'checksum') {
        const last = this.#need === 0 && this.#endsFrame()
        pieces.push({ bytes, last })
        if (this.#need === 0) this.#nextAfterBytes(last)
      } else if (this.#step === 'skip') {
        if (this.#need === 0) this.#go('magic', 4)
      } else {
        // A copy: the chunk need not outlive the call.
        this.#held = Buffer.concat([this.#held, bytes])
        if (this.#need === 0) this.#number(pieces)
      }
    }
    return pieces
  }

  /** Throws when the data ends inside a frame. */
  finish(): void {
    if (this.#step !== 'magic' || this.#held.length > 0) throw new ZstdError('unexpected end of data')
  }

  #go(step: Step, need: number): void {
    this.#step = step
    this.#need = need
    this.#held = empty
  }

  #endsFrame(): boolean {
    if (this.#step === 'checksum') return true
    return this.#step === 'content' && this.#lastBlock && !this.#hasChecksum
  }

  #nextAfterBytes(last: boolean): void {
    if (last) this.#go('magic', 4)
    else if (this.#step === 'content' && this.#lastBlock) this.#go('checksum', 4)
    else this.#go('block', 3)
  }

  #number(pieces: ZstdPiece[]): void {
    const held = this.#held
    if (this.#step === 'magic') return this.#magic(held, pieces)
    if (this.#step === 'skipSize') {
      const size = held.readUInt32LE(0)
      return size === 0 ? this.#go('magic', 4) : this.#go('skip', size)
    }
    pieces.push({ bytes: held, last: false })
    if (this.#step === 'descriptor') return this.#descriptor(held[0] ?? 0)
    this.#block(held.readUIntLE(0, 3), pieces)
  }

  #magic(held: Buffer, pieces: ZstdPiece[]): void {
    const magic = held.readUInt32LE(0)
    if (magic === frameMagic) {
      pieces.push({ bytes: held, last: false })
      this.#go('descriptor', 1)
    } else if ((magic & 0xfffffff0) >>> 0 === skippableMagic) this.#go('skipSize', 4)
    else throw new ZstdError('bad magic number')
  }

  #descriptor(descriptor: number): void {
    const isSingleSegment = (descriptor & 0x20) !== 0
    this.#hasChecksum = (descriptor & 0x04) !== 0
    const dictionary = [0, 1, 2, 4][descriptor & 3] ?? 0
    const contentSize = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0
    const rest = (isSingleSegment ? 0 : 1) + dictionary + contentSize
    this.#go('headerRest', rest)
  }

  #block(header: number, pieces: ZstdPiece[]): void {
    this.#lastBlock = (header & 1) !== 0
    const type = (header >> 1) & 3
    if (type === 3) throw new ZstdError('reserved block type')
    const size = type === 1 ? 1 : header >> 3
    if (size > 0) return this.#go('content', size)
    // An empty block: what would follow its content follows at once.
    this.#step = 'content'
    const last = this.#endsFrame()
    if (last) pieces.push({ bytes: empty, last: true })
    this.#nextAfterBytes(last)
  }
}
