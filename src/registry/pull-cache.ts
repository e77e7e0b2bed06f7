/**
 * The pull-through cache: repositories that come from upstreams. Tags are asked for again after a while, and what is
 * cached is served when the upstream cannot be reached; manifests and blobs by digest never change. One fetch serves
 * all who wait for the same blob, while it is under way.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { z } from 'zod'
import type { Clock } from '../lib/clock.ts'
import { KeyedMutex } from '../lib/mutex.ts'
import type { Digest } from '../spec/ids.ts'
import { BlobFetch } from './blob-fetch.ts'
import type { UpstreamConfig } from './config.ts'
import { RegistryError } from './errors.ts'
import { mediaTypes } from './manifest.ts'
import { isTag, type Reference } from './names.ts'
import type { Repositories } from './repositories.ts'
import { Upstream } from './upstream.ts'

/** What the cache is made of. */
export type PullCacheOptions = {
  upstreams: readonly UpstreamConfig[]
  repositories: Repositories
  /** Where blobs are written while they come. */
  directory: string
  clock: Clock
  maxManifestBytes: () => number
}

const accept = Object.values(mediaTypes).join(', ')
const mostRemembered = 50_000
const tagList = z.object({ tags: z.array(z.string()).nullish() })

type Source = { upstream: Upstream; name: string }

/** See the file's head. */
export class PullCache implements AsyncDisposable {
  readonly #options: PullCacheOptions
  readonly #upstreams: readonly Upstream[]
  readonly #hasHosts: boolean
  readonly #locks = new KeyedMutex()
  readonly #ending = new AbortController()
  readonly #fetches = new Map<string, BlobFetch>()
  // When a tag was last asked for, and until when something is known to be missing.
  readonly #checkedMs = new Map<string, number>()
  readonly #missingUntilMs = new Map<string, number>()

  constructor(options: PullCacheOptions) {
    this.#options = options
    // The longest prefix decides.
    this.#upstreams = options.upstreams
      .map((config) => new Upstream(config, options.clock))
      .sort((left, right) => right.config.prefix.length - left.config.prefix.length)
    this.#hasHosts = options.upstreams.some(({ hosts }) => hosts.length > 0)
  }

  /** Whether a repository comes from an upstream; it cannot be pushed to then. */
  covers(repository: string): boolean {
    return this.#source(repository) !== undefined
  }

  /** Whether any upstream has names of its own. */
  get hasHosts(): boolean {
    return this.#hasHosts
  }

  /** The repository that is meant at a host (`HOST[:PORT]`, or a mirror's `ns` parameter) of an upstream's own. */
  repositoryAt(hosts: readonly string[], repository: string): string {
    const upstream = this.#upstreams.find(({ config }) => config.hosts.some((host) => hosts.includes(host)))
    return upstream === undefined ? repository : `${upstream.config.prefix}/${repository}`
  }

  /** Sees to it that a manifest is here, if there is one. Throws MANIFEST_UNKNOWN, and UNAVAILABLE. */
  async prepareManifest(repository: string, reference: Reference): Promise<void> {
    const source = this.#source(repository)
    if (source === undefined) return
    const what = 'tag' in reference ? reference.tag : reference.digest
    const key = `${repository}/manifests/${what}`
    using _lock = await this.#locks.acquire(key)
    const isCached = this.#has(repository, reference)
    if (isCached && ('digest' in reference || this.#isFresh(key, source.upstream.config.ttl))) return
    this.#checkMissing(key)
    if ('digest' in reference) this.#checkPlatform(source, repository, reference.digest)
    try {
      await this.#fetchManifest(source, { repository, reference, key })
    } catch (error) {
      // Better what was there than nothing.
      if (!isCached || !(error instanceof RegistryError) || error.code !== 'UNAVAILABLE') throw error
    }
  }

  /** A page of the upstream's tags, after one; undefined where it cannot be asked, or knows nothing of the repository. */
  async tags(
    repository: string,
    { last, n }: { last: string; n: number },
  ): Promise<{ tags: string[]; more: boolean } | undefined> {
    const source = this.#source(repository)
    if (source === undefined) return undefined
    const query = new URLSearchParams({ n: String(n), ...(last === '' ? {} : { last }) })
    const target = { name: source.name, path: `tags/list?${query.toString()}` }
    try {
      const answer = await source.upstream.request('GET', target)
      if (!answer.ok) {
        await answer.body?.cancel()
        return undefined
      }
      const known = tagList.parse(await answer.json()).tags ?? []
      // Older registries know no pages, and answer with all.
      const tags = known.filter((tag) => tag > last && isTag(tag)).sort()
      const isCut = /rel="?next"?/.test(answer.headers.get('link') ?? '')
      return { tags: tags.slice(0, n), more: isCut || tags.length > n }
    } catch (error) {
      // Better what is here than nothing.
      if (error instanceof RegistryError || error instanceof z.ZodError || error instanceof SyntaxError)
        return undefined
      throw error
    }
  }

  /** A fetch of a blob that is not here yet; undefined where it is, or comes from nowhere. */
  async fetchBlob(repository: string, digest: Digest): Promise<BlobFetch | undefined> {
    const source = this.#source(repository)
    if (source === undefined || this.#hasBlob(repository, digest)) return undefined
    const key = `${repository}/blobs/${digest}`
    using _lock = await this.#locks.acquire(key)
    const running = this.#fetches.get(key)
    if (running !== undefined || this.#hasBlob(repository, digest)) return running
    this.#checkMissing(key)
    const answer = await source.upstream.request(
      'GET',
      { name: source.name, path: `blobs/${digest}` },
      this.#ending.signal,
    )
    const size = Number(answer.headers.get('content-length') ?? Number.NaN)
    if (!answer.ok || answer.body === null || !Number.isSafeInteger(size)) {
      await answer.body?.cancel()
      throw this.#missing(key, answer, { source, code: 'BLOB_UNKNOWN' })
    }
    const fetch = new BlobFetch({
      digest,
      size,
      path: join(this.#options.directory, `fetch-${randomUUID()}`),
      body: answer.body,
      store: (path) => this.#options.repositories.addBlob(repository, digest, { path, size }),
    })
    this.#fetches.set(key, fetch)
    const forget = () => void this.#fetches.delete(key)
    fetch.stored.then(forget, forget)
    return fetch
  }

  /** Ends what is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort()
    await Promise.allSettled([...this.#fetches.values()].map(({ stored }) => stored))
  }

  async #fetchManifest(
    { upstream, name }: Source,
    wanted: { repository: string; reference: Reference; key: string },
  ): Promise<void> {
    const { repository, reference, key } = wanted
    const { repositories, maxManifestBytes, clock } = this.#options
    const what = 'tag' in reference ? reference.tag : reference.digest
    const answer = await upstream.request('GET', { name, path: `manifests/${what}`, accept })
    if (!answer.ok) {
      await answer.body?.cancel()
      throw this.#missing(key, answer, { source: { upstream, name }, code: 'MANIFEST_UNKNOWN' })
    }
    const content = Buffer.from(await answer.arrayBuffer())
    if (content.length > maxManifestBytes()) {
      throw new RegistryError('UNAVAILABLE', {
        message: 'manifest of the upstream is too large',
        status: 502,
      })
    }
    const contentType = answer.headers.get('content-type') ?? ''
    await repositories.putManifest({ repository, content, contentType, reference, tags: [], isCached: true })
    if (this.#checkedMs.size >= mostRemembered) this.#checkedMs.clear()
    this.#checkedMs.set(key, clock.nowMs())
  }

  #source(repository: string): Source | undefined {
    for (const upstream of this.#upstreams) {
      const name = upstream.nameOf(repository)
      if (name !== undefined) return { upstream, name }
    }
    return undefined
  }

  #isFresh(key: string, ttlMs: number): boolean {
    const checkedMs = this.#checkedMs.get(key)
    return checkedMs !== undefined && this.#options.clock.nowMs() - checkedMs < ttlMs
  }

  #has(repository: string, reference: Reference): boolean {
    return this.#options.repositories.find(repository, reference) !== undefined
  }

  #hasBlob(repository: string, digest: Digest): boolean {
    return this.#options.repositories.hasBlob(repository, digest)
  }

  /** Throws MANIFEST_UNKNOWN for an image that all indexes here say is for a platform that is not wanted. */
  #checkPlatform({ upstream }: Source, repository: string, digest: Digest): void {
    const { platforms } = upstream.config
    if (platforms.length === 0) return
    const isWanted = (found: string) =>
      found === 'unknown/unknown' || platforms.some((wanted) => `${found}/`.startsWith(`${wanted}/`))
    const found = this.#options.repositories.platforms(repository, digest)
    if (found.length === 0 || found.some(isWanted)) return
    throw new RegistryError('MANIFEST_UNKNOWN', {
      message: `images for ${found.join(', ')} are not cached here`,
    })
  }

  #checkMissing(key: string): void {
    const until = this.#missingUntilMs.get(key)
    if (until === undefined) return
    if (this.#options.clock.nowMs() < until) {
      throw new RegistryError(key.includes('/manifests/') ? 'MANIFEST_UNKNOWN' : 'BLOB_UNKNOWN')
    }
    this.#missingUntilMs.delete(key)
  }

  #missing(
    key: string,
    answer: Response,
    { source, code }: { source: Source; code: 'BLOB_UNKNOWN' | 'MANIFEST_UNKNOWN' },
  ): RegistryError {
    if (answer.status !== 404 && answer.status !== 401 && answer.status !== 403) {
      return new RegistryError('UNAVAILABLE', { message: `upstream answers ${answer.status}`, status: 502 })
    }
    if (this.#missingUntilMs.size >= mostRemembered) this.#missingUntilMs.clear()
    this.#missingUntilMs.set(key, this.#options.clock.nowMs() + source.upstream.config.missingTtl)
    return new RegistryError(code)
  }
}
