/** One request and its answer, as handlers see them. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { RegistryError } from './errors.ts'

/** What a caller may ask of a repository. */
export type Action = 'pull' | 'push' | 'delete'

/** Who is asking, and what they may do. */
export type Caller = {
  /** Empty for somebody who did not say. */
  readonly name: string
  may(action: Action, repository: string): boolean
  /** Whether listings show the repository, and the page what is in it. */
  sees(repository: string): boolean
  /** Whether the catalog names all repositories, whatever else the caller may do with them. */
  readonly seesCatalog?: boolean
  /** Whether they may collect, and read what concerns the whole registry. */
  readonly isAdmin: boolean
}

/** See the file's head. */
export class Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly path: string
  readonly query: URLSearchParams
  readonly caller: Caller

  constructor(parts: {
    request: IncomingMessage
    response: ServerResponse
    target: { path: string; query: string }
    caller: Caller
  }) {
    this.request = parts.request
    this.response = parts.response
    this.path = parts.target.path
    this.query = new URLSearchParams(parts.target.query)
    this.caller = parts.caller
  }

  /** A request header; empty where there is none. */
  header(name: string): string {
    const value = this.request.headers[name]
    return typeof value === 'string' ? value : (value?.join(', ') ?? '')
  }

  /** The body's length where the client said so. Throws SIZE_INVALID for nonsense. */
  get contentLength(): number | undefined {
    const text = this.request.headers['content-length']
    if (text === undefined) return undefined
    const length = Number(text)
    if (!Number.isSafeInteger(length) || length < 0) throw new RegistryError('SIZE_INVALID')
    return length
  }

  /** Whether the request has a body with something in it, as far as its headers tell. */
  get hasBody(): boolean {
    return this.request.headers['transfer-encoding'] !== undefined || (this.contentLength ?? 0) > 0
  }

  /** The body whole. Throws `tooLarge` beyond the limit. */
  async body(limitBytes: number, tooLarge: () => RegistryError): Promise<Buffer> {
    if ((this.contentLength ?? 0) > limitBytes) throw tooLarge()
    const chunks: Buffer[] = []
    let size = 0
    // Not destroyed when it is too long: the client is still to be told.
    for await (const chunk of this.request.iterator({ destroyOnReturn: false })) {
      const bytes: Buffer = chunk
      size += bytes.length
      if (size > limitBytes) throw tooLarge()
      chunks.push(bytes)
    }
    return Buffer.concat(chunks, size)
  }

  /** Answers without a body. */
  empty(status: number, headers: Record<string, string | string[]> = {}): void {
    // A 204 has no length (RFC 9110, 8.6).
    this.response.writeHead(status, status === 204 ? headers : { 'Content-Length': '0', ...headers })
    this.response.end()
  }

  /** Answers with JSON. */
  json(value: unknown, headers: Record<string, string | string[]> = {}): void {
    this.bytes(200, Buffer.from(`${JSON.stringify(value)}\n`), {
      'Content-Type': 'application/json; charset=utf-8',
      ...headers,
    })
  }

  /** Answers with some bytes; to HEAD with their headers alone. */
  bytes(status: number, data: Uint8Array, headers: Record<string, string | string[]>): void {
    this.response.writeHead(status, { 'Content-Length': String(data.length), ...headers })
    this.response.end(this.request.method === 'HEAD' ? undefined : data)
  }
}

/** The `Link` header of a listing that goes on. */
export function nextLink(path: string, parameters: Record<string, string>): Record<string, string> {
  return { Link: `<${path}?${new URLSearchParams(parameters).toString()}>; rel="next"` }
}
