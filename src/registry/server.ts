/**
 * The HTTP side of the registry: finds the endpoint, asks the gate, runs the handler, and turns whatever is thrown
 * into the envelope that clients read. Handlers are in `handle-*.ts`.
 */
import { randomUUID } from 'node:crypto'
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createHttpsServer, type ServerOptions } from 'node:https'
import type { Server as TlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Log } from '../lib/log.ts'
import { EngineError, errorKinds } from '../spec/errors.ts'
import type { App } from './app.ts'
import { noSpaceError, RegistryError } from './errors.ts'
import { Exchange, type Action, type Caller } from './exchange.ts'
import type { Gate, Need } from './gate.ts'
import { deleteBlob, getBlob } from './handle-blobs.ts'
import { listCatalog, listTags, pingV1, search } from './handle-listings.ts'
import { deleteManifest, getManifest, getReferrers, putManifest } from './handle-manifests.ts'
import { appendUpload, cancelUpload, finishUpload, startUpload, uploadStatus } from './handle-uploads.ts'
import { ClientPatience, type Timeouts } from './client-patience.ts'
import { findRoute, splitTarget, type Route, type RouteKind } from './route.ts'

/** Answers a request, or throws. */
type Handler<K extends RouteKind> = (
  app: App,
  exchange: Exchange,
  route: Extract<Route, { kind: K }>,
) => Promise<void> | void

/** A request that has been answered. */
export type Served = {
  id: string
  method: string
  path: string
  route: RouteKind | 'none'
  status: number
  ms: number
  bytes: number
  user: string
  address: string
  userAgent: string
}

const extraKinds = ['token', 'health', 'ready', 'metrics', 'admin', 'page', 'pageApi'] as const
type ExtraKind = (typeof extraKinds)[number]

/** Endpoints outside of the distribution API: health, metrics, tokens, administration, the web page. */
export type ExtraEndpoints = Record<ExtraKind, (exchange: Exchange, rest: string) => Promise<void> | void>

/** What the server needs. */
export type RegistryServerOptions = {
  app: App
  gate: () => Gate
  log: Log
  extra: ExtraEndpoints
  /** Who asks for the page's data: they are known by their session. */
  identifyVisitor: (request: IncomingMessage) => Promise<Caller>
  served: (served: Served) => void
  /** Headers of every answer. */
  headers: () => Record<string, string>
  /** Throws when a client asks too much; the user is empty until they are known. */
  admit: (request: IncomingMessage, user: string) => void
  timeouts: () => Timeouts
}

const handlers: { [K in RouteKind]?: Record<string, Handler<K>> } = {
  base: { GET: (_app, exchange) => exchange.bytes(200, Buffer.from('{}'), jsonHeaders) },
  catalog: { GET: listCatalog },
  v1Ping: { GET: pingV1 },
  v1Search: { GET: search },
  manifest: { GET: getManifest, PUT: putManifest, DELETE: deleteManifest },
  blob: { GET: getBlob, DELETE: deleteBlob },
  uploads: { POST: startUpload },
  upload: { GET: uploadStatus, PATCH: appendUpload, PUT: finishUpload, DELETE: cancelUpload },
  tags: { GET: listTags },
  referrers: { GET: getReferrers },
}
const jsonHeaders = { 'Content-Type': 'application/json; charset=utf-8' }

// Who sends on after a refusal may do so for this time, to read the answer.
const lingerMs = 10_000
/** What the log says of a client that went away before it was answered. */
const goneStatus = 499

/** See the file's head. */
export class RegistryServer {
  readonly #options: RegistryServerOptions
  readonly #open = new Set<Socket>()
  readonly #patience: ClientPatience
  #requests = 0
  #idle: (() => void) | undefined

  constructor(options: RegistryServerOptions) {
    this.#options = options
    this.#patience = new ClientPatience(options.timeouts)
  }

  /** Makes a server for a listener; with TLS when options for it are given. */
  listenerServer(tls?: ServerOptions): Server | TlsServer {
    const settings = this.#patience.serverSettings
    const server =
      tls === undefined
        ? createHttpServer(settings)
        : createHttpsServer({ ...settings, ...this.#patience.tlsSettings, ...tls })
    this.#patience.watch(server)
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      void this.#serve(request, response)
    })
    server.on('connection', (socket: Socket) => {
      this.#open.add(socket)
      socket.once('close', () => this.#open.delete(socket))
    })
    return server
  }

  /** Lets timeouts that have changed hold from now on. */
  renewTimeouts(server: Server | TlsServer): void {
    this.#patience.renew(server)
  }

  /** Ends all connections; those that are being answered once they are, but within this time. */
  async closeConnections(drainMs: number): Promise<void> {
    if (drainMs > 0 && this.#requests > 0) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#idle = resolve
      const timer = setTimeout(resolve, drainMs)
      await promise
      clearTimeout(timer)
    }
    for (const socket of this.#open) socket.destroy()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const startedMs = performance.now()
    this.#patience.begin(request, response)
    this.#requests += 1
    response.once('close', () => {
      this.#requests -= 1
      if (this.#requests === 0) this.#idle?.()
    })
    const state: { route: RouteKind | 'none'; user: string } = { route: 'none', user: '' }
    // A request that was broken off has none any more.
    const { socket } = request
    const written = socket.bytesWritten
    response.setHeader('Docker-Distribution-API-Version', 'registry/2.0')
    for (const [name, value] of Object.entries(this.#options.headers())) response.setHeader(name, value)
    try {
      await this.#dispatch(request, response, state)
    } catch (error) {
      this.#answerError(error, { request, response, socket })
    }
    this.#options.served({
      id: randomUUID(),
      method: request.method ?? '',
      path: request.url ?? '',
      route: state.route,
      status: response.statusCode,
      ms: performance.now() - startedMs,
      bytes: socket.bytesWritten - written,
      user: state.user,
      address: socket.remoteAddress ?? '',
      userAgent: request.headers['user-agent'] ?? '',
    })
  }

  async #dispatch(
    request: IncomingMessage,
    response: ServerResponse,
    state: { route: RouteKind | 'none'; user: string },
  ): Promise<void> {
    const { app, gate } = this.#options
    const target = splitTarget(request.url ?? '/')
    const route = this.#routeOf(request, target)
    state.route = route?.kind ?? 'none'
    this.#options.admit(request, '')
    if (route === undefined)
      throw new RegistryError('UNSUPPORTED', { message: 'page not found', status: 404 })
    const guard = gate()
    const caller = await this.#identify(request, route)
    state.user = caller.name
    if (caller.name !== '') this.#options.admit(request, caller.name)
    const exchange = new Exchange({ request, response, target, caller })
    if (route.kind === 'admin' || route.kind === 'metrics' || route.kind === 'pageApi') {
      await app.follower?.now()
    }
    if (isExtra(route)) {
      await this.#options.extra[route.kind](exchange, 'rest' in route ? route.rest : '')
      return
    }
    checkAccess({ guard, request, caller, route })
    const method = request.method === 'HEAD' ? 'GET' : (request.method ?? '')
    if (method !== 'GET' && app.settings().readOnly) {
      throw new RegistryError('UNSUPPORTED', { message: 'the registry is read-only' })
    }
    if ((method === 'PUT' || method === 'POST' || method === 'PATCH') && 'repository' in route) {
      if (app.cache.covers(route.repository))
        throw new RegistryError('UNSUPPORTED', { message: 'the repository is cached from another registry' })
    }
    const byMethod = handlersOf(route.kind)
    const handler = byMethod[method]
    if (handler === undefined) {
      throw new RegistryError('UNSUPPORTED', { headers: { Allow: Object.keys(byMethod).join(', ') } })
    }
    const isElsewhere = route.kind === 'upload' && app.peers !== undefined && !app.uploads.has(route.id)
    if (isElsewhere && (await app.peers?.passOn(exchange, route.id)) === true) return
    await this.#handle(handler, exchange, route)
  }

  /** The endpoint; repositories at a host that stands for an upstream are those below its prefix. */
  #routeOf(
    { headers }: IncomingMessage,
    { path, query }: { path: string; query: string },
  ): Route | undefined {
    const route = findRoute(path)
    const { cache } = this.#options.app
    if (route === undefined || !('repository' in route) || !cache.hasHosts) return route
    const mirrored = query.includes('ns=') ? (new URLSearchParams(query).get('ns') ?? '') : ''
    const hosts = [headers.host ?? '', mirrored].map((host) => host.toLowerCase())
    return { ...route, repository: cache.repositoryAt(hosts, route.repository) }
  }

  /** Runs a handler on an index that has what other processes did, as far as the request depends on it. */
  async #handle(handler: Handler<RouteKind>, exchange: Exchange, route: Route): Promise<void> {
    const { app } = this.#options
    const { follower } = app
    const { method } = exchange.request
    if (follower === undefined) {
      await handler(app, exchange, route)
      return
    }
    const isRead = method === 'GET' || method === 'HEAD'
    if (isRead) await follower.recent()
    // Pieces of an upload depend on the upload alone.
    else if (route.kind !== 'upload') await follower.now()
    try {
      await handler(app, exchange, route)
    } catch (error) {
      if (!isRead || !(error instanceof RegistryError) || error.status !== 404) throw error
      // It may have come a moment ago.
      await follower.now()
      await handler(app, exchange, route)
    }
  }

  async #identify(request: IncomingMessage, { kind }: Route): Promise<Caller> {
    if (kind === 'health' || kind === 'ready' || kind === 'token' || kind === 'page') return nobody
    if (kind === 'pageApi') return await this.#options.identifyVisitor(request)
    return await this.#options.gate().identify(request)
  }

  #answerError(
    error: unknown,
    { request, response, socket }: { request: IncomingMessage; response: ServerResponse; socket: Socket },
  ): void {
    const known = asRegistryError(error)
    if (known.status >= 500 && !request.destroyed) {
      this.#options.log.error('request failed', { method: request.method, path: request.url, error })
    }
    if (response.headersSent || response.destroyed || !socket.writable) {
      if (!response.headersSent)
        response.statusCode = error instanceof RegistryError ? known.status : goneStatus
      // In the middle of an answer the only way to say so is to cut it off.
      response.destroy()
      return
    }
    if (!request.complete && hasLongBody(request)) {
      // Closed at once, the connection would take the answer along; kept open, a body without end would keep it busy.
      const timer = setTimeout(() => !request.complete && socket.destroy(), lingerMs).unref()
      socket.once('close', () => clearTimeout(timer))
      request.resume()
    }
    const { body } = known
    response.writeHead(known.status, {
      ...jsonHeaders,
      'Content-Length': String(Buffer.byteLength(body)),
      ...known.headers,
    })
    response.end(request.method === 'HEAD' ? undefined : body)
  }
}

const nobody: Caller = { name: '', may: () => false, sees: () => false, isAdmin: false }

function isExtra(route: Route): route is Extract<Route, { kind: ExtraKind }> {
  return extraKinds.some((kind) => kind === route.kind)
}

function handlersOf(kind: RouteKind): Record<string, Handler<RouteKind>> {
  // Every handler is listed under the kind of route that it takes.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return (handlers[kind] ?? {}) as Record<string, Handler<RouteKind>>
}

function checkAccess(parts: { guard: Gate; request: IncomingMessage; caller: Caller; route: Route }): void {
  const { guard, request, caller, route } = parts
  if (route.kind === 'base') {
    if (!guard.isSignedIn(caller)) throw guard.refusal(request, caller, undefined)
    return
  }
  if (route.kind === 'catalog') guard.checkCatalog(request, caller)
  if (!('repository' in route)) return
  const need: Need = { repository: route.repository, actions: actionsFor(route.kind, request.method ?? '') }
  if (!need.actions.every((action) => caller.may(action, need.repository))) {
    throw guard.refusal(request, caller, need)
  }
}

function actionsFor(kind: RouteKind, method: string): readonly Action[] {
  if (kind === 'uploads' || kind === 'upload') return ['push']
  if (method === 'DELETE') return ['delete']
  return method === 'PUT' ? ['push'] : ['pull']
}

const shortBody = 64 * 1024

function hasLongBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length']
  return length === undefined
    ? request.headers['transfer-encoding'] !== undefined
    : Number(length) > shortBody
}

function asRegistryError(error: unknown): RegistryError {
  if (error instanceof RegistryError) return error
  if (error instanceof EngineError) {
    return new RegistryError('UNKNOWN', {
      message: error.message,
      status: errorKinds[error.kind],
      cause: error,
    })
  }
  return noSpaceError(error) ?? new RegistryError('UNKNOWN', { cause: error })
}
