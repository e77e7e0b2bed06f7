/**
 * Reading on from a stream's descriptor while bytes are there, into one buffer that is used again and again. The event
 * loops make a copy and an object of everything that they read, which is most of what a client of a fast stream does.
 */
import { readSync } from 'node:fs'
import { errorCode } from '../spec/errors.ts'
import type { Connection } from './connection.ts'

const bufferBytes = 1024 * 1024
/** After so many bytes the event loop has its turn: signals and input must not wait for a pause in the output. */
const turnBytes = 16 * 1024 * 1024

/** See the file's head. To be used by whoever gets a stream's `data`; a stream that has no descriptor is left alone. */
export class DirectReads {
  readonly #stream: Connection
  #buffer: Buffer | undefined

  constructor(stream: Connection) {
    this.#stream = stream
  }

  /** Passes on what has come behind the chunk that was just got. The bytes are `take`'s until it returns. */
  drain(take: (bytes: Buffer) => void): void {
    // What the stream itself holds comes first.
    const fd = this.#stream.readableLength > 0 ? undefined : descriptorOf(this.#stream)
    if (fd === undefined) return
    this.#buffer ??= Buffer.allocUnsafeSlow(bufferBytes)
    for (let total = 0; total < turnBytes;) {
      const size = readNow(fd, this.#buffer)
      if (size === 0) return
      total += size
      take(this.#buffer.subarray(0, size))
      if (this.#stream.destroyed) return
    }
  }
}

/** Undefined for streams that are more than their descriptor (TLS), and for those without one. */
function descriptorOf(stream: Connection): number | undefined {
  if (stream.destroyed || Reflect.get(stream, 'encrypted') === true) return undefined
  const handle: unknown = Reflect.get(stream, '_handle')
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined
  return typeof fd === 'number' && fd >= 0 ? fd : undefined
}

/** 0 when there is nothing now, and at the end or an error, which the stream then finds by itself. */
function readNow(fd: number, buffer: Buffer): number {
  try {
    return readSync(fd, buffer)
  } catch (error) {
    if (errorCode(error) === undefined) throw error
    return 0
  }
}
