/**
 * The HTTP side of the daemon: one plain node:http server for all listeners. A request is matched, its version
 * checked, its handler run; whatever is thrown becomes Docker's error body here and nowhere else.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createHttpsServer, type Server as TlsServer, type ServerOptions } from 'node:https'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Log } from '../lib/log.ts'
import { apiVersions, formatApiVersion, matchApiVersion } from '../spec/api-version.ts'
import { EngineError, errorKinds, firstError } from '../spec/errors.ts'
import { fileErrorMessage } from '../lib/file-error.ts'
import { encodeJson } from '../lib/http-json.ts'
import { Exchange } from './exchange.ts'
import { interceptHijacks, type HijackedConnection } from './hijack.ts'
import { isLendable } from './lent-connection.ts'
import { splitTarget, type RouteMatch, type Router, type Target } from './router.ts'

/** What a refused request may still send before it is answered, and how long it may send after that. */
const drainedBytes = 256 * 1024
const lingerMs = 500

/** Who made a request, as far as it can be known. */
export type Caller = { uid?: number; pid?: number; request: string }

/** What the server needs. */
export type ApiServerOptions = {
  router: Router
  log: Log
  /** Value of the `Server` header. */
  product: string
  experimental: () => boolean
  /** Value of `Access-Control-Allow-Origin`; empty for none. */
  corsOrigin: () => string
  /** Finds the process behind a unix socket. */
  peer: (socket: Socket) => { uid: number; pid: number } | undefined
  /** Told that there is one. */
  onRequest?: () => void
  /** Told that a client has connected, which comes before its first request. */
  onConnection?: () => void
  /** Told of the beginning and end of every request. */
  trace?: (point: string) => void
}

/** See the file's head. */
export class ApiServer {
  readonly #options: ApiServerOptions
  readonly #callers = new AsyncLocalStorage<Caller>()
  readonly #open = new Set<Socket>()

  constructor(options: ApiServerOptions) {
    this.#options = options
  }

  /** The request that the running code serves; undefined outside of requests. */
  caller(): Caller | undefined {
    return this.#callers.getStore()
  }

  /** Makes a server for one listener; with TLS when options for it are given. */
  listenerServer(tls?: ServerOptions): Server | TlsServer {
    // No request timeout: images are uploaded and logs followed for hours.
    const settings = { requestTimeout: 0, keepAliveTimeout: 0, maxHeaderSize: 1024 * 1024, noDelay: true }
    // Plain HTTP servers of Node leave a connection half open; those with TLS end both ways with the client's stdin.
    const server =
      tls === undefined
        ? createHttpServer(settings)
        : createHttpsServer({ ...settings, allowHalfOpen: true, ...tls })
    server.timeout = 0
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#serve(request, response, undefined)
    })
    interceptHijacks(
      server,
      (request) => this.#isHijack(request),
      (request, connection) => this.#serve(request, connection.response, connection),
    )
    server.on('clientError', (_error: Error, socket: Socket) => refuse(socket))
    server.on('connection', (socket: Socket) => {
      this.#options.onConnection?.()
      this.#open.add(socket)
      socket.once('close', () => this.#open.delete(socket))
    })
    return server
  }

  /** Ends all connections, hijacked ones too. */
  closeConnections(): void {
    for (const socket of this.#open) socket.destroy()
  }

  #isHijack(request: IncomingMessage): boolean {
    const url = request.url ?? ''
    // Cheap test first: this runs for every request.
    if (!/\/(?:attach|start|ws|archive|export)(?:\?|$)/.test(url)) return false
    try {
      const target = splitTarget(url)
      const match = this.#options.router.match(request.method ?? '', target.path)
      if (match === undefined) return false
      return 'hijack' in match.route || (match.route.direct !== undefined && isLendable(request))
    } catch {
      // A target that cannot be taken apart is refused as a plain request.
      return false
    }
  }

  #serve(
    request: IncomingMessage,
    response: ServerResponse,
    connection: HijackedConnection | undefined,
  ): void {
    this.#options.onRequest?.()
    this.#writeStandardHeaders(response)
    const caller: Caller = {
      ...this.#options.peer(request.socket),
      request: `${request.method} ${request.url}`,
    }
    void this.#callers.run(caller, () => this.#answer(request, response, connection))
  }

  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    connection: HijackedConnection | undefined,
  ): Promise<void> {
    const started = performance.now()
    const { trace } = this.#options
    trace?.(`> ${request.method} ${request.url}`)
    try {
      const target = splitTarget(request.url ?? '/')
      await this.#dispatch({ request, response, target, connection })
    } catch (error) {
      if (connection === undefined) await drainSmallBody(request)
      this.#answerError(error, { request, response, isWhole: connection !== undefined || request.complete })
    }
    trace?.(`< ${request.method} ${request.url}`)
    this.#options.log.debug('request', {
      method: request.method,
      path: request.url,
      status: response.statusCode,
      ms: Math.round((performance.now() - started) * 10) / 10,
    })
  }

  async #dispatch(parts: {
    request: IncomingMessage
    response: ServerResponse
    target: Target
    connection: HijackedConnection | undefined
  }): Promise<void> {
    const { request, response, target, connection } = parts
    const match = this.#find(request.method ?? 'GET', target.path)
    const exchange = new Exchange({
      request,
      response,
      version: checkVersion(target.version, match.route.oldest),
      name: match.name,
      query: target.query,
      ...(connection === undefined ? {} : { body: (limit: number) => connection.body(limit) }),
    })
    const { route } = match
    const onConnection = 'handle' in route ? route.direct : route.hijack
    if (connection !== undefined && onConnection !== undefined) await onConnection(exchange, connection)
    else if ('handle' in route) await route.handle(exchange)
    else throw new EngineError('internal', 'unable to hijack the connection')
  }

  #find(method: string, path: string): RouteMatch {
    const match = this.#options.router.match(method, path)
    if (match !== undefined) return match
    if (method === 'OPTIONS') return { route: { method, path, handle: (x) => x.sendStatus(200) }, name: '' }
    throw new EngineError('notFound', 'page not found')
  }

  #writeStandardHeaders(response: ServerResponse): void {
    response.setHeader('Api-Version', formatApiVersion(apiVersions.maximum))
    response.setHeader('Docker-Experimental', this.#options.experimental() ? 'true' : 'false')
    response.setHeader('Ostype', 'linux')
    response.setHeader('Server', this.#options.product)
    const origin = this.#options.corsOrigin()
    if (origin === '') return
    response.setHeader('Access-Control-Allow-Origin', origin)
    response.setHeader(
      'Access-Control-Allow-Headers',
      'Origin, X-Requested-With, Content-Type, Accept, X-Registry-Auth',
    )
    response.setHeader('Access-Control-Allow-Methods', 'HEAD, GET, POST, DELETE, PUT, OPTIONS')
  }

  /** `isWhole`: nothing that the client still sends would be taken for a request. */
  #answerError(
    thrown: unknown,
    { request, response, isWhole }: { request: IncomingMessage; response: ServerResponse; isWhole: boolean },
  ): void {
    const error = firstError(thrown)
    if (error !== thrown) this.#options.log.error('undoing failed too', { path: request.url, error: thrown })
    const status = error instanceof EngineError ? errorKinds[error.kind] : 500
    const fields = { method: request.method, path: request.url, status, error }
    if (error instanceof EngineError && status < 500)
      this.#options.log.debug('request refused', { ...fields, error: error.message })
    else if (error instanceof EngineError)
      this.#options.log.warn('request failed', { ...fields, error: error.message })
    else if (response.socket?.destroyed === false) this.#options.log.error('request failed', fields)
    if (response.headersSent || response.destroyed || response.socket === null) {
      // In the middle of a stream the only way to say so is to cut it off.
      response.destroy()
      return
    }
    if (status === 304) {
      response.writeHead(304).end()
      return
    }
    const body = `${encodeJson({ message: fileErrorMessage(error) })}\n`
    const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }
    if (isWhole) {
      response.writeHead(status, headers).end(request.method === 'HEAD' ? undefined : body)
      return
    }
    // A body that nobody read would be taken for the next request.
    response.writeHead(status, { ...headers, Connection: 'close' })
    response.write(body)
    void closeAfter(request, response)
  }
}

/** Reads what a refused request still sends, if that is little: its client hears of the refusal only after it. */
async function drainSmallBody(request: IncomingMessage): Promise<void> {
  const length = Number(request.headers['content-length'] ?? 0)
  if (request.complete || !(length > 0 && length <= drainedBytes)) return
  request.resume()
  await ended(request)
}

/** Closing at once, with data unread, would reset the connection before its client has read the answer. */
async function closeAfter(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const patience = setTimeout(() => response.end(), lingerMs)
  request.resume()
  await ended(request)
  clearTimeout(patience)
  response.end()
}

async function ended(request: IncomingMessage): Promise<void> {
  const over = new AbortController()
  const { signal } = over
  await Promise.race(['end', 'close', 'error'].map((event) => once(request, event, { signal }))).catch(
    () => {},
  )
  over.abort()
}

function checkVersion(text: string | undefined, oldest: number | undefined): number {
  if (text === undefined) return apiVersions.maximum
  const match = matchApiVersion(text, oldest)
  if (match.kind === 'spoken') return match.minor
  if (match.kind === 'tooOld') {
    throw new EngineError(
      'invalid',
      `client version ${text} is too old. Minimum supported API version is ${formatApiVersion(apiVersions.minimum)}, please upgrade your client to a newer version`,
    )
  }
  throw new EngineError(
    'invalid',
    `client version ${text} is too new. Maximum supported API version is ${formatApiVersion(apiVersions.maximum)}`,
  )
}

function refuse(socket: Socket): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const body = '400 Bad Request'
  socket.end(
    `HTTP/1.1 ${body}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${body}`,
  )
}
