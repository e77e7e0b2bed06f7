/**
 * All registries as the engine reaches them: opens a repository at the first of its endpoints that answers, keeps
 * connections between requests, limits transfers. The configuration is read anew for every operation.
 */
import type { IncomingMessage } from 'node:http'
import { EngineError } from '../spec/errors.ts'
import type { Clock } from '../lib/clock.ts'
import { Semaphore } from '../lib/mutex.ts'
import { endpointsOf, splitRepository, type Endpoint, type RegistrySettings } from './registry-endpoints.ts'
import { KnownEndpoints } from './known-endpoints.ts'
import { RegistryClient } from './registry-client.ts'
import { RegistryUnreachable } from './registry-errors.ts'
import { RegistryRepository } from './registry-repository.ts'
import type { AuthConfig } from './registry-tokens.ts'
import { anonymous } from './registry-tokens.ts'
import { RegistryTransport } from './registry-transport.ts'

/** See the file's head. */
export class Registries implements Disposable {
  readonly #settings: () => RegistrySettings
  readonly #transport: RegistryTransport
  readonly #known: KnownEndpoints
  #limits: { settings: RegistrySettings; downloads: Semaphore; uploads: Semaphore } | undefined

  constructor(settings: () => RegistrySettings, userAgent: string, clock: Pick<Clock, 'nowMs'>) {
    this.#known = new KnownEndpoints(clock)
    this.#settings = settings
    this.#transport = new RegistryTransport(settings, userAgent)
  }

  get settings(): RegistrySettings {
    return this.#settings()
  }

  /** Places for downloads of layers. */
  get downloads(): Semaphore {
    return this.#currentLimits().downloads
  }

  /** Places for uploads of layers. */
  get uploads(): Semaphore {
    return this.#currentLimits().uploads
  }

  /** A repository at the first endpoint that does `use`; unreachable ones are passed over. */
  async withRepository<T>(
    repository: string,
    options: { auth: AuthConfig; push?: boolean; insecure?: boolean; signal: AbortSignal },
    use: (repository: RegistryRepository) => Promise<T>,
  ): Promise<T> {
    const { domain, path } = splitRepository(repository)
    const { settings } = this
    const insecure = options.insecure === true ? [...settings.insecure, domain] : settings.insecure
    const endpoints = this.#known.ordered(await endpointsOf(domain, { ...settings, insecure }, path))
    const usable = endpoints.filter((endpoint) => options.push !== true || !endpoint.isMirror)
    let failure: unknown = new EngineError('internal', `no endpoint for ${domain}`)
    for (const [index, endpoint] of usable.entries()) {
      const client = this.#client(endpoint, options.auth)
      const isRemembered = this.#known.challengesOf(endpoint) !== undefined
      try {
        await client.ping(options.signal)
        return await use(new RegistryRepository(client, { domain, path: endpoint.path }))
      } catch (error) {
        failure = error
        if (isRemembered && error instanceof RegistryUnreachable && !options.signal.aborted) {
          this.#known.forget(endpoint)
          // It is not what it was: all are asked in their order, and say themselves what is wrong.
          if (!client.hasAnswered) return this.withRepository(repository, options, use)
          throw error
        }
        const isLast = index === usable.length - 1
        // What a mirror does not have, or refuses, the registry itself may give.
        const mayGoOn =
          error instanceof RegistryUnreachable || (endpoint.isMirror && error instanceof EngineError)
        if (isLast || !mayGoOn || options.signal.aborted) throw error
      }
    }
    throw failure
  }

  /** A client of the first endpoint of a registry that answers. */
  async connect(domain: string, auth: AuthConfig, signal: AbortSignal): Promise<RegistryClient> {
    const found = await endpointsOf(domain, this.settings)
    const endpoints = this.#known.ordered(found.filter((endpoint) => !endpoint.isMirror))
    for (const [index, endpoint] of endpoints.entries()) {
      const client = this.#client(endpoint, auth)
      try {
        await client.ping(signal)
        return client
      } catch (error) {
        if (index === endpoints.length - 1 || !(error instanceof RegistryUnreachable)) throw error
      }
    }
    throw new EngineError('internal', `no endpoint for ${domain}`)
  }

  /** A request to the first address of a host that answers at all, without authorization. */
  async sendFirst(
    host: string,
    request: { path: string; headers: Record<string, string> },
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const endpoints = await endpointsOf(host, this.settings)
    for (const [index, { base, verify }] of endpoints.entries()) {
      const url = new URL(request.path, base)
      try {
        return await this.#transport.send({ method: 'GET', url, headers: request.headers, verify }, signal)
      } catch (error) {
        if (index === endpoints.length - 1) throw error
      }
    }
    throw new EngineError('internal', `no endpoint for ${host}`)
  }

  /** A request for any other address, as whoever has no name there. */
  async get(url: URL, signal: AbortSignal): Promise<IncomingMessage> {
    return this.#transport.send({ method: 'GET', url, headers: {}, verify: true }, signal)
  }

  /** Reads certificates and proxies again from now on. */
  reset(): void {
    this.#transport.reset()
    this.#known.clear()
  }

  [Symbol.dispose](): void {
    this.#transport[Symbol.dispose]()
  }

  #client(endpoint: Endpoint, auth: AuthConfig): RegistryClient {
    const { maxAttempts } = this.settings
    const own = endpoint.isMirror ? anonymous : auth
    return new RegistryClient({
      endpoint,
      auth: own,
      transport: this.#transport,
      maxAttempts,
      known: this.#known,
    })
  }

  #currentLimits(): { downloads: Semaphore; uploads: Semaphore } {
    const settings = this.settings
    const kept = this.#limits
    if (
      kept?.settings.maxDownloads === settings.maxDownloads &&
      kept.settings.maxUploads === settings.maxUploads
    ) {
      return kept
    }
    const downloads = new Semaphore(Math.max(1, settings.maxDownloads))
    const uploads = new Semaphore(Math.max(1, settings.maxUploads))
    this.#limits = { settings, downloads, uploads }
    return this.#limits
  }
}
