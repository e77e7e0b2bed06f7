/** The bytes of an archive as they come from a descriptor, without the framing of the HTTP request that they are in. */
import { readWaiting } from '../kernel/waiting-io.ts'
import { ChunkDecoder, HttpSyntaxError } from '../lib/http-chunks.ts'
import type { ArchiveInput } from './archive-job.ts'

const pieceBytes = 256 * 1024

/**
 * See the file's head. To be iterated once; a piece is valid until the next is asked for. Throws HttpSyntaxError for a
 * body that is broken or ends too early.
 */
export class InputBytes implements Iterable<Buffer> {
  readonly #input: ArchiveInput
  readonly #check: () => void
  #isClosed = false

  constructor(input: ArchiveInput, check: () => void) {
    this.#input = input
    this.#check = check
  }

  /** Nothing is read any more, whoever still asks. */
  close(): void {
    this.#isClosed = true
  }

  [Symbol.iterator](): Iterator<Buffer, void> {
    const { framing } = this.#input
    if (framing === 'none') return this.#read()
    return framing === 'chunked' ? this.#chunked() : this.#sized(framing.length)
  }

  *#read(): Generator<Buffer, void, void> {
    const { early, fd } = this.#input
    if (early.length > 0) yield Buffer.from(early)
    const buffer = Buffer.allocUnsafeSlow(pieceBytes)
    while (!this.#isClosed) {
      const count = readWaiting(fd, buffer, this.#check)
      if (count === 0) return
      yield buffer.subarray(0, count)
    }
  }

  *#sized(length: number): Generator<Buffer, void, void> {
    let left = length
    if (left === 0) return
    for (const bytes of this.#read()) {
      const piece = bytes.subarray(0, left)
      left -= piece.length
      yield piece
      if (left === 0) return
    }
    throw new HttpSyntaxError('unexpected EOF')
  }

  *#chunked(): Generator<Buffer, void, void> {
    const decoder = new ChunkDecoder()
    for (const bytes of this.#read()) {
      const pieces: Buffer[] = []
      decoder.push(bytes, (piece) => pieces.push(piece))
      yield* pieces
      if (decoder.done) return
    }
    throw new HttpSyntaxError('unexpected EOF')
  }
}
