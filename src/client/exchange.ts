/**
 * One request and its response over a stream to the engine. The body is pulled: a slow reader stops the socket,
 * not the memory. A stream whose response was read to its end may carry the next request.
 */
import type { Connection } from './connection.ts'
import { ResponseParser, encodeRequestHead } from './http1.ts'
import type { ResponseHead } from './http1.ts'

/** A request as the codec needs it. A stream body is sent chunked. */
export type RawRequest = {
  method: string
  target: string
  headers: [string, string][]
  body?: Buffer | AsyncIterable<Uint8Array>
  hijack?: boolean
  signal?: AbortSignal
}

/** The raw stream behind a hijacked response; `early` bytes had come with its head. */
export type HijackedStream = { stream: Connection; early: Buffer; head: ResponseHead }

const highWater = 1024 * 1024

/** A response whose body is read by iterating it, once. */
export class Response {
  readonly #chunks: Buffer[] = []
  #size = 0
  #ended = false
  #failure: unknown
  #wake: (() => void) | undefined
  #head: ResponseHead | undefined
  readonly #stream: Connection
  readonly #release: (reusable: boolean) => void

  constructor(stream: Connection, release: (reusable: boolean) => void) {
    this.#stream = stream
    this.#release = release
  }

  get status(): number {
    return this.#head?.status ?? 0
  }

  /** A header's value; names are lower-case. */
  header(name: string): string | undefined {
    return this.#head?.headers.get(name)
  }

  /** @internal The exchange fills the response in. */
  begin(head: ResponseHead): void {
    this.#head = head
  }

  /** @internal */
  add(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#size += chunk.length
    if (this.#size > highWater) this.#stream.pause()
    this.#notify()
  }

  /** @internal */
  finish(reusable: boolean, failure?: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.#failure = failure
    this.#release(reusable)
    this.#notify()
  }

  /** Gives the response up; what was not read is dropped with its connection. */
  discard(): void {
    if (!this.#ended) this.#stream.destroy()
    this.finish(false)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void> {
    try {
      while (true) {
        const chunk = this.#chunks.shift()
        if (chunk !== undefined) {
          this.#size -= chunk.length
          if (this.#size <= highWater && !this.#ended) this.#stream.resume()
          yield chunk
        } else if (this.#failure !== undefined) throw this.#failure
        else if (this.#ended) return
        else await new Promise<void>((resolve) => (this.#wake = resolve))
      }
    } finally {
      this.discard()
    }
  }

  /** The whole body. */
  async bytes(): Promise<Buffer> {
    const parts: Buffer[] = []
    for await (const chunk of this) parts.push(chunk)
    return Buffer.concat(parts)
  }

  #notify(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }
}

function write(stream: Connection, chunk: Uint8Array): Promise<void> | undefined {
  if (stream.write(chunk)) return undefined
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done)
      stream.off('close', done)
      resolve()
    }
    stream.once('drain', done)
    stream.once('close', done)
  })
}

async function sendChunked(stream: Connection, body: AsyncIterable<Uint8Array>): Promise<void> {
  // The end of one chunk and the head of the next are one write: each is a system call, and a wake-up over there.
  let between = ''
  for await (const chunk of body) {
    if (stream.destroyed) return
    if (chunk.length === 0) continue
    await write(stream, Buffer.from(`${between}${chunk.length.toString(16)}\r\n`))
    await write(stream, chunk)
    between = '\r\n'
  }
  await write(stream, Buffer.from(`${between}0\r\n\r\n`))
}

/** The connection broke before any byte of an answer: safe to try again on a fresh one. */
export class StaleConnection extends Error {}

type Settle = { resolve(answer: Response | HijackedStream): void; reject(error: unknown): void }

class Exchange {
  readonly #stream: Connection
  readonly #request: RawRequest
  readonly #settle: Settle
  readonly #response: Response
  readonly #parser: ResponseParser
  #head: ResponseHead | undefined
  #heard = false

  constructor(
    stream: Connection,
    request: RawRequest,
    settle: Settle & { release(reusable: boolean): void },
  ) {
    this.#stream = stream
    this.#request = request
    this.#settle = settle
    this.#response = new Response(stream, (reusable) => settle.release(reusable))
    this.#parser = new ResponseParser(
      {
        head: (head) => {
          this.#head = head
          this.#response.begin(head)
          if (!this.#isRaw(head)) settle.resolve(this.#response)
        },
        body: (chunk) => this.#response.add(chunk),
        end: () => {
          this.#detach()
          stream.pause()
          this.#response.finish(this.#head?.headers.get('connection')?.toLowerCase() !== 'close')
        },
      },
      { headOnly: request.method === 'HEAD', hijack: request.hijack ?? false },
    )
  }

  start(): void {
    const { body, signal } = this.#request
    this.#stream.on('data', this.#onData)
    this.#stream.once('end', this.#onEnd)
    this.#stream.once('close', this.#onEnd)
    this.#stream.once('error', this.#onError)
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    this.#stream.resume()
    if (signal?.aborted === true) return this.#onAbort()
    const head = encodeRequestHead(this.#request.method, this.#request.target, this.#request.headers)
    if (body === undefined || Buffer.isBuffer(body)) {
      this.#stream.write(body === undefined ? head : Buffer.concat([head, body]))
    } else {
      this.#stream.write(head)
      sendChunked(this.#stream, body).catch(this.#onError)
    }
  }

  #isRaw(head: ResponseHead): boolean {
    return head.status === 101 || (this.#request.hijack === true && head.status === 200)
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#heard = true
    try {
      const early = this.#parser.push(chunk)
      if (this.#head === undefined || !this.#isRaw(this.#head)) return
      this.#detach()
      this.#stream.pause()
      this.#settle.resolve({ stream: this.#stream, early, head: this.#head })
    } catch (error) {
      this.#onError(error)
    }
  }

  readonly #onEnd = (): void => {
    if (this.#parser.done) return
    try {
      this.#parser.close()
      this.#detach()
      this.#response.finish(false)
    } catch (error) {
      this.#onError(error)
    }
  }

  readonly #onAbort = (): void => this.#onError(this.#request.signal?.reason)

  readonly #onError = (error: unknown): void => {
    this.#detach()
    this.#stream.destroy()
    this.#response.finish(false, error)
    this.#settle.reject(this.#heard ? error : new StaleConnection('connection lost', { cause: error }))
  }

  #detach(): void {
    this.#stream.off('data', this.#onData)
    this.#stream.off('end', this.#onEnd)
    this.#stream.off('close', this.#onEnd)
    this.#stream.off('error', this.#onError)
    this.#request.signal?.removeEventListener('abort', this.#onAbort)
  }
}

/**
 * Sends `request` over `stream` and resolves with its response once the head is there, or with the raw stream of a
 * hijack. `release` is called when the response is over, saying whether the stream can be used again.
 */
export function exchange(
  stream: Connection,
  request: RawRequest,
  release: (reusable: boolean) => void,
): Promise<Response | HijackedStream> {
  return new Promise((resolve, reject) => new Exchange(stream, request, { resolve, reject, release }).start())
}
