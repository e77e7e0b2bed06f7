/**
 * One request and its answer, as a route's handler sees them: parameters decoded on demand, one way to answer for
 * each kind of body.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { z } from 'zod'
import { decodeJson, encodeJson, encodeJsonForHtml, parseJson } from '../lib/http-json.ts'
import { parseFilters, parseQuery, queryFlag, queryInteger } from '../lib/http-query.ts'
import { EngineError } from '../spec/errors.ts'
import { readBody } from './request-body.ts'

/** Largest JSON body that is read, in bytes. */
const maxBodyBytes = 4 * 1024 * 1024

/** What an exchange is made of. */
export type ExchangeParts = {
  request: IncomingMessage
  response: ServerResponse
  /** Minor version of the API that the client speaks. */
  version: number
  /** What stood in the place of the route's `{name}`. */
  name: string
  query: string
  /** Reads the body whole; the request's own stream when absent. */
  body?: (limitBytes: number) => Promise<Buffer>
}

/** See the file's head. */
export class Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly version: number
  readonly name: string
  readonly #queryText: string
  readonly #body: (limitBytes: number) => Promise<Buffer>
  #query: URLSearchParams | undefined
  #abort: AbortController | undefined

  constructor(parts: ExchangeParts) {
    this.request = parts.request
    this.response = parts.response
    this.version = parts.version
    this.name = parts.name
    this.#queryText = parts.query
    this.#body = parts.body ?? ((limit) => readBody(parts.request, limit))
  }

  /** The query, parsed once. Throws `invalid` for a broken escape. */
  get query(): URLSearchParams {
    this.#query ??= parseQuery(this.#queryText)
    return this.#query
  }

  /** A text parameter, empty when absent. */
  text(name: string): string {
    return this.query.get(name) ?? ''
  }

  /** See `queryFlag`. */
  flag(name: string, fallback = false): boolean {
    return queryFlag(this.query, name, fallback)
  }

  /** See `queryInteger`. */
  integer(name: string): number | undefined {
    return queryInteger(this.query, name)
  }

  /** The `filters` parameter. */
  filters(): Map<string, readonly string[]> {
    return parseFilters(this.text('filters'))
  }

  /** Aborted when the client goes away before it has been answered. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      const abort = new AbortController()
      this.#abort = abort
      this.response.once('close', () => {
        if (!this.response.writableFinished) abort.abort(new Error('client went away'))
      })
      if (this.response.destroyed) abort.abort(new Error('client went away'))
    }
    return this.#abort.signal
  }

  /**
   * The JSON body, decoded. An empty body is the schema's value of `{}`. Throws `invalid` or `tooLarge`.
   * `structName` is Go's name of the type, for messages.
   */
  async json<Schema extends z.ZodType>(schema: Schema, structName: string): Promise<z.infer<Schema>> {
    return decodeJson(schema, (await this.jsonValue()) ?? {}, structName)
  }

  /** The JSON body as parsed; undefined when there is none. */
  async jsonValue(): Promise<unknown> {
    const contentType = this.request.headers['content-type']
    const length = this.request.headers['content-length']
    const empty = (length === undefined && !this.#isChunked()) || length === '0'
    checkJsonType(contentType, empty)
    if (empty) return undefined
    return parseJson((await this.#body(maxBodyBytes)).toString('utf8'))
  }

  #isChunked(): boolean {
    return this.request.headers['transfer-encoding'] !== undefined
  }

  /** Answers with JSON. */
  sendJson(status: number, value: unknown): void {
    this.sendText(status, `${encodeJson(value)}\n`, 'application/json')
  }

  /** Answers with a text. */
  sendText(status: number, body: string, contentType: string): void {
    const length = Buffer.byteLength(body)
    this.response.writeHead(status, { 'Content-Type': contentType, 'Content-Length': length })
    if (this.request.method === 'HEAD') this.response.end()
    // Told that it is ASCII, Node takes a third of the memory for it, which is new for every answer.
    else this.response.end(body, length === body.length ? 'latin1' : 'utf8')
  }

  /** Answers without a body. */
  sendStatus(status: number): void {
    if (status !== 204 && status !== 304) this.response.setHeader('Content-Length', 0)
    this.response.writeHead(status)
    this.response.end()
  }

  /** Sends the head of a streamed answer at once, before there is anything to stream. */
  startStream(contentType: string | undefined): void {
    if (contentType !== undefined) this.response.setHeader('Content-Type', contentType)
    this.response.writeHead(200)
    this.response.flushHeaders()
  }

  /** Writes a chunk of a streamed answer; resolves when the client has room for more, or has gone. */
  async write(chunk: string | Uint8Array): Promise<void> {
    if (this.response.destroyed || this.response.write(chunk)) return
    await Promise.race([
      once(this.response, 'drain', { signal: this.signal }),
      once(this.response, 'close', { signal: this.signal }),
    ]).catch(() => undefined)
  }

  /** One value of a stream of JSON values. */
  async writeJson(value: unknown, separator = '\n', before = ''): Promise<void> {
    await this.write(`${before}${encodeJsonForHtml(value)}${separator}`)
  }
}

function checkJsonType(contentType: string | undefined, empty: boolean): void {
  if (contentType === undefined || contentType === '') {
    if (empty) return
    throw new EngineError('invalid', 'malformed Content-Type header (): mime: no media type')
  }
  const mediaType = contentType.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (mediaType === 'application/json') return
  throw new EngineError(
    'invalid',
    `unsupported Content-Type header (${contentType}): must be 'application/json'`,
  )
}
