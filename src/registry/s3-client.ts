/**
 * Requests to a service that speaks S3: signed, sent over kept connections, tried again when the service is busy or
 * the connection broke. Whatever goes wrong in the end is UNAVAILABLE to the registry's clients.
 */
import { Agent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { setTimeout } from 'node:timers/promises'
import type { Clock } from '../lib/clock.ts'
import { RegistryError } from './errors.ts'
import { canonicalQuery, escapeS3, presignedQuery, sha256Hex, signedHeaders } from './s3-signature.ts'
import type { S3Credentials } from './s3-signature.ts'

/** Where a bucket is, and how it is reached. */
export type S3Options = {
  endpoint: URL
  region: string
  bucket: string
  credentials: S3Credentials
  /** The bucket in the host's name rather than in the path. */
  virtualHosted: boolean
  /** Certificates to trust beside the system's, in PEM. */
  ca: Buffer | undefined
  verify: boolean
  clock: Clock
}

/** A request: key and query as they are, not escaped. */
export type S3Call = {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  key: string
  query?: Record<string, string>
  headers?: Record<string, string>
  body?: Uint8Array
}

/** An answer with its body read. */
export type S3Answer = { status: number; headers: IncomingMessage['headers']; body: Buffer }

const idleMs = 60_000
const mostTries = 5
const firstWaitMs = 100
const mostSockets = 128
const mostBytes = 64 * 1024 * 1024
const busy = new Set([429, 500, 502, 503, 504])

/** See the file's head. */
export class S3Client implements Disposable {
  readonly #options: S3Options
  readonly #host: string
  readonly #prefix: string
  readonly #agent: Agent | HttpsAgent

  constructor(options: S3Options) {
    this.#options = options
    const { endpoint, bucket, virtualHosted } = options
    this.#host = virtualHosted ? `${bucket}.${endpoint.host}` : endpoint.host
    this.#prefix = `${endpoint.pathname.replace(/\/$/, '')}${virtualHosted ? '' : `/${escapeS3(bucket)}`}`
    const settings = { keepAlive: true, maxSockets: mostSockets, timeout: idleMs }
    this.#agent =
      endpoint.protocol === 'https:'
        ? new HttpsAgent({
            ...settings,
            ...(options.ca === undefined ? {} : { ca: options.ca }),
            rejectUnauthorized: options.verify,
          })
        : new Agent(settings)
  }

  /** Sends a request and reads the answer. A status of `expected` is an answer, any other UNAVAILABLE. */
  async call(call: S3Call, expected: readonly number[]): Promise<S3Answer> {
    return await this.#trying(call, expected, async (response) => ({
      status: response.statusCode ?? 0,
      headers: response.headers,
      body: await bodyOf(response),
    }))
  }

  /** Sends a request whose answer's body the caller reads, or destroys. */
  async stream(call: S3Call, expected: readonly number[]): Promise<IncomingMessage> {
    return await this.#trying(call, expected, (response) => Promise.resolve(response))
  }

  /** A URL by which anybody may read an object for some time. */
  presigned(key: string, expiresSeconds: number): string {
    const { credentials, region, clock, endpoint } = this.#options
    const path = this.#path(key)
    const request = { method: 'GET', host: this.#host, path, query: {}, headers: {} }
    const now = new Date(clock.nowMs())
    const query = presignedQuery(request, expiresSeconds, { credentials, region, now })
    return `${endpoint.protocol}//${this.#host}${path}?${query}`
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }

  async #trying<T>(
    call: S3Call,
    expected: readonly number[],
    read: (response: IncomingMessage) => Promise<T>,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const isLast = attempt >= mostTries
      try {
        const response = await this.#send(call)
        const status = response.statusCode ?? 0
        if (expected.includes(status)) return await read(response)
        const text = (await bodyOf(response)).toString()
        if (isLast || !busy.has(status)) throw refused(call, status, text)
      } catch (error) {
        if (error instanceof RegistryError) throw error
        if (isLast)
          throw new RegistryError('UNAVAILABLE', { message: 'storage cannot be reached', cause: error })
      }
      await setTimeout(firstWaitMs * 2 ** (attempt - 1) * (0.5 + Math.random() / 2))
    }
  }

  async #send({ method, key, query = {}, headers = {}, body }: S3Call): Promise<IncomingMessage> {
    const { credentials, region, clock, endpoint } = this.#options
    const path = this.#path(key)
    const unsigned = { method, host: this.#host, path, query, headers }
    const signed = signedHeaders(unsigned, sha256Hex(body ?? ''), {
      credentials,
      region,
      now: new Date(clock.nowMs()),
    })
    const search = canonicalQuery(query)
    const options: RequestOptions = {
      method,
      // The bucket's own name need not be one that resolvers know beside a local endpoint.
      host: endpoint.hostname.replace(/^\[|\]$/g, ''),
      port: endpoint.port === '' ? undefined : Number(endpoint.port),
      path: search === '' ? path : `${path}?${search}`,
      headers: {
        ...signed,
        ...(body === undefined && method !== 'PUT' && method !== 'POST'
          ? {}
          : { 'content-length': String(body?.length ?? 0) }),
      },
      agent: this.#agent,
    }
    return await sent(endpoint.protocol === 'https:' ? httpsRequest : httpRequest, options, body)
  }

  #path(key: string): string {
    return `${this.#prefix}/${escapeS3(key, true)}`
  }
}

async function sent(
  request: typeof httpRequest,
  options: RequestOptions,
  body: Uint8Array | undefined,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const outgoing = request(options, resolve)
  outgoing.setTimeout(idleMs, () => outgoing.destroy(new Error('storage does not answer')))
  outgoing.once('error', reject)
  outgoing.end(body)
  return await promise
}

async function bodyOf(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const data of response) {
    const chunk: Buffer = data
    size += chunk.length
    if (size > mostBytes) throw new Error('answer of the storage is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, size)
}

function refused({ method, key }: S3Call, status: number, text: string): RegistryError {
  const code = xmlValue(text, 'Code') ?? ''
  const cause = new Error(`storage answers ${status} ${code} to ${method} ${key}`)
  return new RegistryError('UNAVAILABLE', { message: 'storage refused a request', cause })
}

/** The text of the first element of a name in S3's XML, which has no attributes that matter. */
export function xmlValue(xml: string, name: string): string | undefined {
  return xmlValues(xml, name)[0]
}

/** The texts of all elements of a name. */
export function xmlValues(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>([\\s\\S]*?)</${name}>`, 'g'))].map(([, text]) =>
    unescapeXml(text ?? ''),
  )
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function unescapeXml(text: string): string {
  return text.replace(/&(?:#x([0-9a-fA-F]+)|#(\d+)|(\w+));/g, (whole, hex, decimal, name) => {
    if (typeof hex === 'string') return String.fromCodePoint(Number.parseInt(hex, 16))
    if (typeof decimal === 'string') return String.fromCodePoint(Number(decimal))
    return entities[String(name)] ?? whole
  })
}
