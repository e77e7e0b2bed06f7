/**
 * The registry as a whole: an index, a tree, uploads and an HTTP server over them. `startRegistry` puts it together
 * and listens; disposing it ends connections, brings the tree up to date and closes the index.
 *
 *     DATA/docker/registry/v2   blobs and links, as the reference registry lays them out
 *     DATA/wharf/index.db       the index           DATA/wharf/uploads   half uploads
 */
import { once } from 'node:events'
import type { Server } from 'node:http'
import { Server as HttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { systemClock, type Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { TaskGroup } from '../lib/task-group.ts'
import { WorkerPool } from '../lib/worker-pool.ts'
import { createAccess, type Access, type AccessMemory } from './access.ts'
import { handleAdmin } from './admin.ts'
import type { App, AppSettings } from './app.ts'
import { collect, type CollectOptions, type CollectResult } from './collect.ts'
import { parseAddress, type RegistryConfig } from './config.ts'
import { RegistryError } from './errors.ts'
import { RegistryEvents } from './events.ts'
import { Metrics } from './metrics.ts'
import { PageApi } from './page/page-api.ts'
import { PageFiles } from './page/page-files.ts'
import type { PasswordJob } from './password-worker.ts'
import { PullCache } from './pull-cache.ts'
import { RateLimit } from './rate-limit.ts'
import { RegistryServer, type ExtraEndpoints, type Served } from './server.ts'
import { SharedKeys } from './shared-keys.ts'
import { openStore, type RegistryStore } from './store.ts'
import { tlsOptions } from './tls.ts'
import { Webhooks } from './webhooks.ts'

/** What a registry is started with. */
export type RegistryOptions = { config: RegistryConfig; log: Log; clock?: Clock }

const choresMs = 60_000
/** Nothing is there; that can be told where the storage is in reach. */
const readyPath = 'wharf/ready'
const passwordWorkers = 2
const passwordIdleMs = 60_000
const pageDirectory = fileURLToPath(new URL('../../build/console/registry', import.meta.url))

/** A registry that listens. */
export class Registry implements AsyncDisposable {
  readonly app: App
  readonly store: RegistryStore
  readonly #log: Log
  readonly #clock: Clock
  readonly #memory: AccessMemory
  readonly #metrics = new Metrics()
  readonly #pageFiles = new PageFiles(pageDirectory)
  readonly #pageApi: PageApi
  readonly #rates: RateLimit
  readonly #owned = new AsyncDisposableStack()
  #config: RegistryConfig
  #access: Access
  #http: Server | HttpsServer | undefined
  #server: RegistryServer | undefined
  #collecting: Promise<unknown> = Promise.resolve()
  #isReady = false

  /** Use `startRegistry`. */
  constructor(parts: {
    config: RegistryConfig
    log: Log
    clock: Clock
    store: RegistryStore
    access: Access
    memory: AccessMemory
    passwords: AsyncDisposable
  }) {
    this.#config = parts.config
    this.#memory = parts.memory
    this.#log = parts.log
    this.#clock = parts.clock
    this.#access = parts.access
    this.#rates = new RateLimit(parts.clock)
    this.store = parts.store
    const { index, repositories, cards, uploads, driver } = parts.store
    const events = new RegistryEvents()
    const cache = new PullCache({
      upstreams: parts.config.upstreams,
      repositories,
      directory: uploads.directory,
      clock: parts.clock,
      maxManifestBytes: () => this.#config.limits.manifest,
    })
    this.#owned.use(parts.store)
    this.#owned.use(parts.passwords)
    this.#owned.use(cache)
    this.app = {
      settings: () => settingsOf(this.#config),
      index,
      repositories,
      cards,
      uploads,
      driver,
      events,
      cache,
      follower: parts.store.follower,
      peers: parts.store.peers,
    }
    events.listen(({ action, kind }) => this.#metrics.event(action, kind))
    this.#pageApi = new PageApi({
      app: this.app,
      clock: parts.clock,
      gate: () => this.#access.gate,
      retention: () => this.#config.collect.retention,
      collect: (options) => this.collect(options),
    })
  }

  /** What holds now. */
  get config(): RegistryConfig {
    return this.#config
  }

  /** Where the registry listens. */
  get address(): AddressInfo {
    const address = this.#http?.address()
    if (address === null || address === undefined || typeof address === 'string') {
      throw new Error('the registry does not listen')
    }
    return address
  }

  /** Begins to listen and to do the chores. */
  async start(): Promise<void> {
    const { index } = this.store
    const webhooks = this.#owned.use(
      new Webhooks({
        index,
        clock: this.#clock,
        log: this.#log.child('webhooks'),
        endpoints: this.#config.webhooks,
      }),
    )
    this.app.events.listen((event) => webhooks.add(event))
    const server = new RegistryServer({
      app: this.app,
      gate: () => this.#access.gate,
      log: this.#log.child('http'),
      extra: this.#extra(),
      identifyVisitor: (request) => this.#pageApi.identify(request),
      served: (served) => this.#served(served),
      headers: () => this.#config.headers,
      admit: (request, user) => {
        const { requestsPerSecond, userRequestsPerSecond } = this.#config.limits
        if (user !== '') this.#rates.take(`user ${user}`, userRequestsPerSecond)
        else this.#rates.take(request.socket.remoteAddress ?? '', requestsPerSecond)
      },
      timeouts: () => this.#config.timeouts,
    })
    const http = server.listenerServer(await tlsOptions(this.#config.tls))
    const { connections } = this.#config.limits
    if (connections > 0) http.maxConnections = connections
    const { host, port } = parseAddress(this.#config.addr)
    // Without a host Node takes what the machine has: both families, or IPv4 alone.
    http.listen(host === '' ? { port } : { port, host })
    await once(http, 'listening')
    this.#http = http
    this.#server = server
    this.#owned.defer(async () => {
      const closed = once(http, 'close')
      http.close()
      await server.closeConnections(this.#config.timeouts.drain)
      await closed
    })
    const tasks = this.#owned.use(new TaskGroup(this.#log))
    tasks.run('chores', (signal) => this.#chores(signal))
    this.#isReady = true
  }

  /**
   * Takes a configuration over without losing a connection: users, rules, certificates, limits. What the registry
   * was started on (addresses, folders, webhooks) stays. Throws `invalid`, and changes nothing then.
   */
  async reload(config: RegistryConfig): Promise<void> {
    const access = await createAccess(config, this.#clock, this.#memory)
    const tls = await tlsOptions(config.tls)
    if (tls !== undefined && this.#http instanceof HttpsServer) this.#http.setSecureContext(tls)
    this.#access = access
    this.#config = config
    if (this.#http !== undefined) this.#server?.renewTimeouts(this.#http)
  }

  /** Collects garbage; one collection at a time. */
  async collect(options: Partial<CollectOptions>): Promise<CollectResult> {
    const { untagged, retention } = this.#config.collect
    const before = this.#collecting
    const run = before.then(() => collect(this.store, { dryRun: false, untagged, retention, ...options }))
    this.#collecting = run.catch(() => {})
    const result = await run
    if (options.dryRun !== true) {
      const { blobs, bytes, links, manifests, tags } = result
      this.#log.info('collected', { blobs, bytes, links, manifests: manifests.length, tags: tags.length })
    }
    return result
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isReady = false
    await this.#owned.disposeAsync()
  }

  async #chores(signal: AbortSignal): Promise<void> {
    let collectedMs = this.#clock.nowMs()
    while (!signal.aborted) {
      // Aborted while waiting: the registry ends.
      await setTimeout(choresMs, undefined, { signal, ref: false }).catch(() => {})
      if (signal.aborted) return
      const { every } = this.#config.collect
      const isDue = every > 0 && !this.#config.readOnly && this.#clock.nowMs() - collectedMs >= every
      if (isDue) collectedMs = this.#clock.nowMs()
      try {
        const expired = await this.store.uploads.expire()
        if (expired > 0) this.#log.info('uploads expired', { uploads: expired })
        // Who has no requests must not miss what is trimmed one day.
        await this.store.follower?.now()
        await this.store.changes?.trim()
        await this.store.peers?.renew()
        if (isDue) await this.collect({})
      } catch (error) {
        // A full disk, say: the next round may do better.
        this.#log.error('chores failed', { error })
      }
    }
  }

  #served(served: Served): void {
    this.#metrics.served(served)
    if (!this.#config.log.access) return
    const { ms, ...fields } = served
    this.#log.info('request', { ...fields, ms: Math.round(ms * 100) / 100 })
  }

  #extra(): ExtraEndpoints {
    const text = { 'Content-Type': 'text/plain; charset=utf-8' }
    return {
      page: async (exchange, rest) => {
        if (rest === '') await this.#pageFiles.sendPage(exchange)
        else await this.#pageFiles.sendAsset(exchange, rest)
      },
      pageApi: (exchange, rest) => this.#pageApi.handle(exchange, rest),
      health: (exchange) => exchange.bytes(200, Buffer.from('ok\n'), text),
      ready: async (exchange) => {
        // Ready is who can read the index, write to the disk, and reach the storage.
        if (!this.#isReady) throw new RegistryError('UNAVAILABLE')
        await this.store.index.durable()
        await this.store.driver.size(readyPath)
        exchange.bytes(200, Buffer.from('ok\n'), text)
      },
      metrics: (exchange) => {
        if (!exchange.caller.isAdmin)
          throw this.#access.gate.refusal(exchange.request, exchange.caller, undefined)
        const body = Buffer.from(this.#metrics.text(this.store.index))
        exchange.bytes(200, body, { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' })
      },
      token: async (exchange) => {
        const { issueToken } = this.#access
        if (issueToken === undefined)
          throw new RegistryError('UNSUPPORTED', { message: 'page not found', status: 404 })
        await issueToken(exchange)
      },
      admin: (exchange, rest) =>
        handleAdmin(
          { app: this.app, gate: () => this.#access.gate, collect: (options) => this.collect(options) },
          exchange,
          rest,
        ),
    }
  }
}

/** See the file's head. Throws `invalid` for a configuration that cannot be used. */
export async function startRegistry({
  config,
  log,
  clock = systemClock,
}: RegistryOptions): Promise<Registry> {
  await using undo = new AsyncDisposableStack()
  // What is reloaded later holds for the store too.
  const started: { registry?: Registry } = {}
  const current = () => started.registry?.config ?? config
  const store = undo.use(await openStore(config, { clock, log, current }))
  const sharedKeys = store.driver.isShared ? new SharedKeys(store.driver, clock) : undefined
  const repositories = (last: string, limit: number) => store.index.repositories(last, limit)
  const passwords = undo.use(
    new WorkerPool<PasswordJob, boolean>({
      script: new URL('./password-worker.ts', import.meta.url),
      maxWorkers: passwordWorkers,
      idleMs: passwordIdleMs,
    }),
  )
  const matches = (password: string, hash: string) => passwords.run({ password, hash })
  const memory: AccessMemory = { tokens: undefined, sharedKeys, matches, repositories }
  const access = await createAccess(config, clock, memory)
  const registry = new Registry({ config, log, clock, store, access, memory, passwords })
  started.registry = registry
  undo.move()
  try {
    await registry.start()
  } catch (error) {
    await registry[Symbol.asyncDispose]()
    throw error
  }
  return registry
}

function settingsOf({ readOnly, limits, relativeUrls, externalUrl, ...config }: RegistryConfig): AppSettings {
  return {
    readOnly,
    allowDelete: config.delete,
    maxManifestBytes: limits.manifest,
    minChunkBytes: limits.minChunk,
    maxPage: limits.page,
    relativeUrls,
    externalUrl,
  }
}
