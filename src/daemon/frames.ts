/**
 * The framing of a hijacked stream without a terminal: before each piece its stream number, three zero bytes and
 * the length in four bytes, big end first.
 */
import { Transform, type TransformCallback } from 'node:stream'

/** Stream numbers of frame headers. */
export const frameStreams = { stdin: 0, stdout: 1, stderr: 2, systemError: 3 } as const

const headerBytes = 8

/** One frame. */
export function encodeFrame(stream: number, data: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(headerBytes + data.length)
  frame.writeUInt32BE(stream * 0x1000000, 0)
  frame.writeUInt32BE(data.length, 4)
  frame.set(data, headerBytes)
  return frame
}

/** Takes the headers out again: what is left are stdout and stderr in the order they came. */
export class FrameRemover extends Transform {
  #header = Buffer.alloc(0)
  #left = 0

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    let rest = chunk
    while (rest.length > 0) {
      if (this.#left === 0) {
        const wanted = headerBytes - this.#header.length
        this.#header = Buffer.concat([this.#header, rest.subarray(0, wanted)])
        rest = rest.subarray(wanted)
        if (this.#header.length < headerBytes) break
        this.#left = this.#header.readUInt32BE(4)
        this.#header = Buffer.alloc(0)
        continue
      }
      const piece = rest.subarray(0, this.#left)
      this.#left -= piece.length
      rest = rest.subarray(piece.length)
      this.push(piece)
    }
    done()
  }
}
