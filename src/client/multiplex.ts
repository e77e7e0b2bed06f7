/**
 * The framed stream of attach, exec and logs without a TTY (Engine API, "Stream format"): a byte for the stream
 * (1 stdout, 2 stderr, 3 an error of the engine), three of zero, the length as 32 bits big-endian, the payload.
 */

/** Which stream a payload belongs to. */
export type OutputStream = 'stdout' | 'stderr' | 'error'

const names: readonly (OutputStream | undefined)[] = ['stdout', 'stdout', 'stderr', 'error']

/** Splits chunks of any size into payloads, which are passed on piecemeal: no frame is kept whole. */
export class FrameSplitter {
  readonly #header = Buffer.alloc(8)
  #have = 0
  #remaining = 0
  #stream: OutputStream = 'stdout'

  /** Calls `emit` for every piece of payload in `chunk`. Throws for an unknown stream number. */
  push(chunk: Buffer, emit: (stream: OutputStream, payload: Buffer) => void): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#remaining === 0) {
        const take = Math.min(8 - this.#have, chunk.length - at)
        chunk.copy(this.#header, this.#have, at, at + take)
        this.#have += take
        at += take
        if (this.#have < 8) return
        const number = this.#header.readUInt8(0)
        const stream = names[number]
        if (stream === undefined) throw new Error(`unrecognized input header: ${number}`)
        this.#stream = stream
        this.#remaining = this.#header.readUInt32BE(4)
        this.#have = 0
        continue
      }
      const take = Math.min(this.#remaining, chunk.length - at)
      emit(this.#stream, chunk.subarray(at, at + take))
      this.#remaining -= take
      at += take
    }
  }

  /** Whether the stream may end here: not within a frame. */
  get atBoundary(): boolean {
    return this.#have === 0 && this.#remaining === 0
  }
}
