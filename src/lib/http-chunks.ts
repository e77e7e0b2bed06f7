/** The chunked framing of HTTP/1.1 (RFC 9112, section 7.1), without any I/O. */

/** Bytes that are not HTTP, or end too early. */
export class HttpSyntaxError extends Error {}

/** What stands before a chunk's bytes. */
export function chunkHead(length: number): Buffer {
  return Buffer.from(`${length.toString(16)}\r\n`, 'latin1')
}

/** What stands behind a chunk's bytes. */
export const chunkTail = Buffer.from('\r\n')

/** What ends a chunked body that has no trailers. */
export const lastChunk = Buffer.from('0\r\n\r\n')

const lineLimit = 16 * 1024

/** Takes the framing off a chunked body. Extensions and trailers are dropped. */
export class ChunkDecoder {
  #state: 'size' | 'data' | 'dataEnd' | 'trailer' | 'done' = 'size'
  #remaining = 0
  #line = ''

  /** Whether the body's end has come. */
  get done(): boolean {
    return this.#state === 'done'
  }

  /** Takes bytes and gives out what they hold, as views of them; returns those behind the body's end. Throws HttpSyntaxError. */
  push(bytes: Buffer, take: (piece: Buffer) => void): Buffer {
    let rest = bytes
    while (rest.length > 0 && !this.done)
      rest = this.#state === 'data' ? this.#data(rest, take) : this.#lineOf(rest)
    return rest
  }

  #data(bytes: Buffer, take: (piece: Buffer) => void): Buffer {
    const count = Math.min(this.#remaining, bytes.length)
    this.#remaining -= count
    if (this.#remaining === 0) this.#state = 'dataEnd'
    take(bytes.subarray(0, count))
    return bytes.subarray(count)
  }

  #lineOf(bytes: Buffer): Buffer {
    const end = bytes.indexOf('\n')
    this.#line += bytes.toString('latin1', 0, end < 0 ? bytes.length : end)
    if (this.#line.length > lineLimit) throw new HttpSyntaxError('header line too long')
    if (end < 0) return bytes.subarray(bytes.length)
    const line = this.#line.endsWith('\r') ? this.#line.slice(0, -1) : this.#line
    this.#line = ''
    this.#take(line)
    return bytes.subarray(end + 1)
  }

  #take(line: string): void {
    if (this.#state === 'dataEnd') {
      if (line !== '') throw new HttpSyntaxError('malformed chunked encoding')
      this.#state = 'size'
    } else if (this.#state === 'trailer') {
      if (line === '') this.#state = 'done'
    } else {
      const size = /^([0-9a-fA-F]{1,12})\s*(;.*)?$/.exec(line)?.[1]
      if (size === undefined) throw new HttpSyntaxError('invalid byte in chunk length')
      this.#remaining = Number.parseInt(size, 16)
      this.#state = this.#remaining === 0 ? 'trailer' : 'data'
    }
  }
}
