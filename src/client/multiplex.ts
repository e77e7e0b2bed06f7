/**
 * The framed stream of attach, exec and logs without a TTY (Engine API, "Stream format"): a byte for the stream
 * (1 stdout, 2 stderr, 3 an error of the engine), three of zero, the length as 32 bits big-endian, the payload.
 */

/** Which stream a payload belongs to. */
export type OutputStream = 'stdout' | 'stderr' | 'error'

const names: readonly (OutputStream | undefined)[] = ['stdout', 'stdout', 'stderr', 'error']

/** Pieces from this size on are passed on as they lie; shorter ones of one stream are moved together first. */
const moveBelowBytes = 4096

/** Splits chunks of any size into payloads, which are passed on piecemeal: no frame is kept whole. */
export class FrameSplitter {
  readonly #header = Buffer.alloc(8)
  #have = 0
  #remaining = 0
  #stream: OutputStream = 'stdout'

  /**
   * Calls `emit` with the payload in `chunk`, in order. Logs have a frame for every line: what lies behind one another and
   * belongs to one stream comes as one piece, for which the bytes are moved within the chunk. Throws for an unknown
   * stream number.
   */
  push(chunk: Buffer, emit: (stream: OutputStream, payload: Buffer) => void): void {
    // What is to be emitted next.
    let stream = this.#stream
    let start = 0
    let end = 0
    const flush = () => {
      if (end > start) emit(stream, chunk.subarray(start, end))
      start = end
    }
    for (let at = 0; at < chunk.length;) {
      if (this.#remaining === 0) {
        at = this.#readHeader(chunk, at, flush)
        continue
      }
      const size = Math.min(this.#remaining, chunk.length - at)
      if (stream !== this.#stream || size >= moveBelowBytes) flush()
      stream = this.#stream
      if (start === end) start = end = at
      else chunk.copyWithin(end, at, at + size)
      end += size
      at += size
      this.#remaining -= size
    }
    flush()
  }

  /** Takes a frame's header, or what is there of it; answers where it ends. */
  #readHeader(chunk: Buffer, at: number, flush: () => void): number {
    let header = chunk
    let first = at
    if (this.#have > 0 || chunk.length - at < 8) {
      const size = Math.min(8 - this.#have, chunk.length - at)
      chunk.copy(this.#header, this.#have, at, at + size)
      this.#have += size
      if (this.#have < 8) return at + size
      header = this.#header
      first = 0
      at += size - 8
    }
    this.#have = 0
    const number = header[first] ?? 0
    const stream = names[number]
    if (stream === undefined) {
      flush()
      throw new Error(`unrecognized input header: ${number}`)
    }
    this.#stream = stream
    this.#remaining = header.readUInt32BE(first + 4)
    return at + 8
  }

  /** Whether the stream may end here: not within a frame. */
  get atBoundary(): boolean {
    return this.#have === 0 && this.#remaining === 0
  }
}
