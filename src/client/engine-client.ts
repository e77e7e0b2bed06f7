/**
 * The Engine API client: finds the API version once, keeps idle connections for the next request, turns error
 * answers into `ApiError` and unreachable engines into `ConnectionError`. Opened by the CLI for one command's
 * length; `close()` ends all idle connections.
 */
import { errorCode, errorMessage } from '../spec/errors.ts'
import type { Connection } from './connection.ts'
import { ApiError, ConnectionError } from './errors.ts'
import { Response, StaleConnection, exchange } from './exchange.ts'
import type { HijackedStream, RawRequest } from './exchange.ts'
import { openStream } from './host.ts'
import type { EngineHost } from './host.ts'

/** Query parameters; undefined, empty and false ones are left out, lists are repeated. */
export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>

/** A request beside its method and path. */
export type RequestOptions = {
  query?: Query
  /** Sent as JSON. */
  json?: unknown
  /** Sent as it is, chunked. */
  body?: Buffer | AsyncIterable<Uint8Array>
  headers?: Readonly<Record<string, string>>
  signal?: AbortSignal
}

/** What a client is made with. A fixed `version` switches negotiation off. */
export type ClientOptions = {
  host: EngineHost
  version?: string
  userAgent: string
  headers?: Readonly<Record<string, string>>
}

/** What `/_ping` says of the engine. */
export type PingResult = { apiVersion: string; osType: string; builderVersion: string; experimental: boolean }

/** The newest API version this client speaks. */
export const newestVersion = '1.55'
const oldestVersion = '1.24'

/** Compares API versions; negative when `a` is older. */
export function compareVersions(a: string, b: string): number {
  const [majorA = 0, minorA = 0] = a.split('.').map(Number)
  const [majorB = 0, minorB = 0] = b.split('.').map(Number)
  return majorA - majorB || minorA - minorB
}

/** The older of an engine's newest version and ours. Engines that name none are very old. */
function commonVersion(version: string): string {
  if (version === '') return oldestVersion
  return compareVersions(version, newestVersion) < 0 ? version : newestVersion
}

function encodeQuery(query: Query | undefined): string {
  if (query === undefined) return ''
  const parts = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined || value === '' || value === false) continue
    if (value === true) parts.append(key, '1')
    else if (typeof value === 'object') for (const item of value) parts.append(key, item)
    else parts.append(key, String(value))
  }
  const text = parts.toString()
  return text === '' ? '' : `?${text}`
}

/** The `filters` parameter for `key=value` filters; undefined for none. */
export function encodeFilters(filters: readonly (readonly [string, string])[]): string | undefined {
  if (filters.length === 0) return undefined
  const byKey: Record<string, Record<string, true>> = {}
  for (const [key, value] of filters) (byKey[key] ??= {})[value] = true
  return JSON.stringify(byKey)
}

/** Reads JSON of a shape that the API promises. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the one place where answers get their type
export function readJson<T>(text: string): T {
  return JSON.parse(text)
}

async function apiError(response: Response): Promise<ApiError> {
  const body = (await response.bytes()).toString('utf8').trim()
  let message = body
  try {
    const parsed: { message?: unknown } | null = JSON.parse(body)
    if (typeof parsed?.message === 'string') message = parsed.message.trim()
  } catch {
    // Not JSON: the text itself is the message.
  }
  if (message === '') message = `request returned ${response.status} with an empty body`
  return new ApiError(message, response.status)
}

/** See the module's description. */
export class EngineClient {
  readonly host: EngineHost
  readonly #options: ClientOptions
  readonly #idle: Connection[] = []
  readonly #open = new Set<Connection>()
  #ping: Promise<PingResult> | undefined
  /** The version in use, once it is known. */
  #version: string | undefined

  constructor(options: ClientOptions) {
    this.host = options.host
    this.#options = options
    this.#version = options.version
  }

  /** Asks the engine for its version, once. */
  ping(): Promise<PingResult> {
    return (this.#ping ??= this.#askPing())
  }

  /** The API version in use: fixed, or the older of the engine's and ours. */
  async version(): Promise<string> {
    return (this.#version ??= commonVersion((await this.ping()).apiVersion))
  }

  /** Sends a request; resolves with any 1xx to 3xx answer, throws `ApiError` for the rest. */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    const answer = await this.#ask(method, path, options)
    if (!(answer instanceof Response)) throw new Error(`unexpected upgrade by ${path}`)
    if (answer.status >= 400) throw await apiError(answer)
    return answer
  }

  /** Sends a request and reads its JSON answer. */
  async json<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const response = await this.request(method, path, options)
    return readJson<T>((await response.bytes()).toString('utf8'))
  }

  /** Sends a request and drops its answer's body. */
  async send(method: string, path: string, options: RequestOptions = {}): Promise<void> {
    const response = await this.request(method, path, options)
    await response.bytes()
  }

  /** Sends a request and takes its connection over. The caller ends the stream. */
  async hijack(method: string, path: string, options: RequestOptions = {}): Promise<HijackedStream> {
    const raw = await this.#prepare(method, path, options)
    raw.headers.push(['Connection', 'Upgrade'], ['Upgrade', 'tcp'])
    raw.hijack = true
    const answer = await this.#send(raw)
    if (!(answer instanceof Response)) return answer
    if (answer.status >= 400) throw await apiError(answer)
    answer.discard()
    throw new Error(`unable to upgrade to tcp, received ${answer.status}`)
  }

  /** Opens a bare stream to the engine, for `system dial-stdio`. */
  async dial(): Promise<Connection> {
    return await this.#connect()
  }

  /** Ends all connections, also those whose answer nobody has read to its end. */
  close(): void {
    this.#idle.length = 0
    for (const stream of this.#open) stream.destroy()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async #askPing(): Promise<PingResult> {
    const answer = await this.#send(this.#raw('HEAD', '/_ping', {}))
    if (!(answer instanceof Response)) throw new Error('unexpected upgrade by /_ping')
    await answer.bytes()
    return {
      apiVersion: answer.header('api-version') ?? '',
      osType: answer.header('ostype') ?? '',
      builderVersion: answer.header('builder-version') ?? '',
      experimental: answer.header('docker-experimental') === 'true',
    }
  }

  /**
   * The first request need not wait for the version, unless it cannot be sent twice: an engine that does not speak ours
   * says which one it speaks, and has done nothing then (moby daemon/server/middleware/version.go).
   */
  async #ask(method: string, path: string, options: RequestOptions): Promise<Response | HijackedStream> {
    const replayable = options.body === undefined || Buffer.isBuffer(options.body)
    if (this.#version !== undefined || !replayable) return await this.#tell(method, path, options)
    const answer = await this.#send(this.#raw(method, `/v${newestVersion}${path}`, options))
    if (!(answer instanceof Response)) return answer
    const spoken = commonVersion(answer.header('api-version') ?? newestVersion)
    if (answer.status !== 400 || spoken === newestVersion) {
      this.#version ??= spoken
      return answer
    }
    await answer.bytes()
    this.#version = spoken
    return await this.#tell(method, path, options)
  }

  async #tell(method: string, path: string, options: RequestOptions): Promise<Response | HijackedStream> {
    return await this.#send(await this.#prepare(method, path, options))
  }

  async #prepare(method: string, path: string, options: RequestOptions): Promise<RawRequest> {
    return this.#raw(method, `/v${await this.version()}${path}`, options)
  }

  #raw(method: string, path: string, options: RequestOptions): RawRequest {
    const { host } = this
    const base = host.kind === 'tcp' ? host.basePath : ''
    const name = host.kind === 'tcp' ? `${host.hostname}:${host.port}` : 'api.moby.localhost'
    const headers = new Map<string, string>([
      ['Host', name],
      ...Object.entries(this.#options.headers ?? {}),
      ['User-Agent', this.#options.userAgent],
      ...Object.entries(options.headers ?? {}),
    ])
    let { body } = options
    if (options.json !== undefined) {
      body = Buffer.from(JSON.stringify(options.json))
      headers.set('Content-Type', 'application/json')
    }
    if (Buffer.isBuffer(body)) headers.set('Content-Length', String(body.length))
    else if (body !== undefined) headers.set('Transfer-Encoding', 'chunked')
    else if (method !== 'GET' && method !== 'HEAD') headers.set('Content-Length', '0')
    return {
      method,
      target: base + path + encodeQuery(options.query),
      headers: [...headers],
      ...(body === undefined ? {} : { body }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    }
  }

  async #connect(): Promise<Connection> {
    try {
      const stream = await openStream(this.host)
      stream.on('error', () => {})
      this.#open.add(stream)
      stream.once('close', () => this.#open.delete(stream))
      return stream
    } catch (error) {
      throw this.#unreachable(error)
    }
  }

  #unreachable(error: unknown): ConnectionError {
    if (error instanceof ConnectionError) return error
    const { host } = this
    const code = errorCode(error)
    if (host.kind === 'unix' && code === 'EACCES') {
      return new ConnectionError(
        `permission denied while trying to connect to the Docker daemon socket at ${host.text}: dial unix ${host.path}: connect: permission denied`,
        { cause: error },
      )
    }
    if (code === 'ENOENT' || code === 'ECONNREFUSED') {
      const text = `Cannot connect to the Docker daemon at ${host.text}. Is the docker daemon running?`
      return new ConnectionError(text, { absent: true, cause: error })
    }
    return new ConnectionError(`error during connect: ${connectReason(error)}`, { cause: error })
  }

  async #send(request: RawRequest): Promise<Response | HijackedStream> {
    while (true) {
      const reused = this.#idle.pop()
      if (reused?.destroyed === true) continue
      const stream = reused ?? (await this.#connect())
      const release = (reusable: boolean) => {
        if (reusable && !stream.destroyed) this.#idle.push(stream)
        else stream.destroy()
      }
      try {
        return await exchange(stream, request, release)
      } catch (error) {
        if (!(error instanceof StaleConnection)) throw error
        // An idle connection may have been closed by the engine meanwhile; a fresh one may not.
        const replayable = request.body === undefined || Buffer.isBuffer(request.body)
        if (reused !== undefined && replayable) continue
        if (request.signal?.aborted === true) throw request.signal.reason
        throw new ConnectionError(`error during connect: ${connectReason(error.cause)}`, { cause: error })
      }
    }
  }
}

/** OpenSSL's report of an alert holds source lines and numbers; Go's, which scripts look for, the alert alone. */
function connectReason(error: unknown): string {
  const message = errorMessage(error)
  const alert = /SSL routines:.*?(?:tlsv1\d?|sslv3) alert ([a-z ]+)/.exec(message)?.[1]
  return alert === undefined ? message : `remote error: tls: ${alert}`
}
