/**
 * The half of HTTP/1.1 that a client of the Engine API needs: writes a request's head, reads a response
 * incrementally. No node:http: its start-up is most of a short command's time. A parser reads one response and
 * hands back what lies behind it, which after `101` or the older hijack form is the raw stream.
 */

import { ChunkDecoder, HttpSyntaxError } from '../lib/http-chunks.ts'

/** Head of a response; header names are lower-case, repeated ones joined by a comma. */
export type ResponseHead = { status: number; reason: string; headers: Map<string, string> }

/** What a parser reports. Chunks are views of the pushed bytes. */
export type ResponseEvents = { head(head: ResponseHead): void; body(chunk: Buffer): void; end(): void }

const headLimit = 256 * 1024

/** The bytes of a request's head. */
export function encodeRequestHead(
  method: string,
  target: string,
  headers: Iterable<[string, string]>,
): Buffer {
  let text = `${method} ${target} HTTP/1.1\r\n`
  for (const [name, value] of headers) text += `${name}: ${value.replaceAll(/[\r\n]+/g, ' ')}\r\n`
  return Buffer.from(`${text}\r\n`, 'utf8')
}

function parseHead(text: string): ResponseHead {
  const lines = text.split('\r\n')
  const status = /^HTTP\/1\.[01] (\d{3})(?: (.*))?$/.exec(lines[0] ?? '')
  if (status === null) throw new HttpSyntaxError(`malformed HTTP response ${JSON.stringify(lines[0])}`)
  const headers = new Map<string, string>()
  for (const line of lines.slice(1)) {
    const at = line.indexOf(':')
    if (at <= 0) throw new HttpSyntaxError(`malformed MIME header line: ${line}`)
    const name = line.slice(0, at).toLowerCase()
    const value = line.slice(at + 1).trim()
    const known = headers.get(name)
    headers.set(name, known === undefined ? value : `${known}, ${value}`)
  }
  return { status: Number(status[1]), reason: status[2] ?? '', headers }
}

type State = 'head' | 'fixed' | 'chunked' | 'to-end' | 'raw' | 'done'

/** Reads one response. `raw` answers (101, or 200 when a hijack was asked for) end with their head. */
export class ResponseParser {
  #state: State = 'head'
  #pending: Buffer = Buffer.alloc(0)
  #remaining = 0
  readonly #chunks = new ChunkDecoder()
  readonly #events: ResponseEvents
  readonly #options: { headOnly: boolean; hijack: boolean }

  constructor(events: ResponseEvents, options: { headOnly?: boolean; hijack?: boolean } = {}) {
    this.#events = events
    this.#options = { headOnly: options.headOnly ?? false, hijack: options.hijack ?? false }
  }

  /** Whether the response is complete (or its stream handed over). */
  get done(): boolean {
    return this.#state === 'done' || this.#state === 'raw'
  }

  /** Whether the body ends with the connection. */
  get untilClose(): boolean {
    return this.#state === 'to-end'
  }

  /** Takes bytes; returns those behind the response once it is complete, else an empty buffer. */
  push(chunk: Buffer): Buffer {
    let data = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    this.#pending = Buffer.alloc(0)
    while (!this.done) {
      const before = data.length
      const state = this.#state
      data = this.#step(data)
      if (data.length === 0 && !this.#canFinish()) return data
      if (data.length === before && this.#state === state) {
        this.#pending = data
        return Buffer.alloc(0)
      }
    }
    return data
  }

  /** The connection has ended. Throws when the response had not. */
  close(): void {
    if (this.#state === 'to-end') this.#finish()
    else if (!this.done) throw new HttpSyntaxError('unexpected EOF')
  }

  #canFinish(): boolean {
    return this.#state === 'fixed' && this.#remaining === 0
  }

  #finish(): void {
    this.#state = 'done'
    this.#events.end()
  }

  #step(data: Buffer): Buffer {
    switch (this.#state) {
      case 'head':
        return this.#readHead(data)
      case 'fixed':
        return this.#readSized(data)
      case 'chunked':
        return this.#readChunks(data)
      default:
        if (data.length > 0) this.#events.body(data)
        return data.subarray(data.length)
    }
  }

  #readHead(data: Buffer): Buffer {
    const end = data.indexOf('\r\n\r\n')
    if (end < 0) {
      if (data.length > headLimit) throw new HttpSyntaxError('response head too large')
      if (data.length >= 5 && data.toString('latin1', 0, 5) !== 'HTTP/') {
        throw new HttpSyntaxError(`malformed HTTP response ${JSON.stringify(data.toString('latin1', 0, 40))}`)
      }
      return data
    }
    const head = parseHead(data.toString('utf8', 0, end))
    const rest = data.subarray(end + 4)
    // Interim answers (100 Continue) precede the real one.
    if (head.status < 200 && head.status !== 101) return rest
    const raw = head.status === 101 || (this.#options.hijack && head.status === 200)
    if (raw) this.#state = 'raw'
    else this.#chooseBody(head)
    this.#events.head(head)
    if (this.#state === 'done') this.#events.end()
    return rest
  }

  #chooseBody(head: ResponseHead): void {
    const length = head.headers.get('content-length')
    if (this.#options.headOnly || head.status === 204 || head.status === 304) this.#state = 'done'
    else if (/\bchunked$/i.test(head.headers.get('transfer-encoding') ?? '')) this.#state = 'chunked'
    else if (length === undefined) this.#state = 'to-end'
    else {
      if (!/^\d{1,15}$/.test(length))
        throw new HttpSyntaxError(`bad Content-Length ${JSON.stringify(length)}`)
      this.#remaining = Number(length)
      this.#state = this.#remaining === 0 ? 'done' : 'fixed'
    }
  }

  #readSized(data: Buffer): Buffer {
    const take = Math.min(this.#remaining, data.length)
    if (take > 0) this.#events.body(data.subarray(0, take))
    this.#remaining -= take
    if (this.#remaining === 0) this.#finish()
    return data.subarray(take)
  }

  #readChunks(data: Buffer): Buffer {
    const rest = this.#chunks.push(data, (piece) => this.#events.body(piece))
    if (this.#chunks.done) this.#finish()
    return rest
  }
}
