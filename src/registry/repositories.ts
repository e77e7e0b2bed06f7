/**
 * What can be done with repositories: blobs, manifests, tags and referrers, above the index and the tree. Callers
 * are the HTTP handlers, collection and the cache; names and digests that arrive here have been checked.
 */
import { createHash } from 'node:crypto'
import type { Clock } from '../lib/clock.ts'
import { digest as toDigest, type Digest } from '../spec/ids.ts'
import { textColumn } from '../store/database.ts'
import type { CollectFlag } from './collect-flag.ts'
import { RegistryError, RegistryErrors } from './errors.ts'
import type { Journal } from './journal.ts'
import type { Leases } from './leases.ts'
import { parseManifest, platformOf, type ParsedManifest } from './manifest.ts'
import type { DigestAlgorithm, Reference } from './names.ts'
import type { Quotas } from './quotas.ts'
import type { ManifestRow, RegistryIndex } from './registry-index.ts'
import type { ByteRange, StorageDriver, StorageSource } from './storage-driver.ts'
import {
  blobPath,
  layerLinkPath,
  repositoryPath,
  revisionLinkPath,
  tagIndexLinkPath,
  tagLinkPath,
  tagPath,
} from './tree.ts'
import type { FinishedUpload } from './uploads.ts'

/** What repositories are made of. */
export type RepositoriesOptions = {
  index: RegistryIndex
  journal: Journal
  driver: StorageDriver
  leases: Leases
  clock: Clock
  quotas: Quotas
  /** Where other processes use the tree too. */
  collectFlag: CollectFlag | undefined
}

/** A manifest to be stored: under its digest, under tags, or both. */
export type ManifestPush = {
  repository: string
  content: Buffer
  contentType: string
  reference: Reference
  tags: readonly string[]
  /** From an upstream: what it needs may come later. */
  isCached?: boolean
}

/** A stored manifest. */
export type StoredManifest = ParsedManifest & { digest: Digest; tags: string[] }

const mostCachedBytes = 32 * 1024 * 1024

/** See the file's head. */
export class Repositories {
  readonly #options: RepositoriesOptions
  readonly #contents = new Map<Digest, Buffer>()
  #cachedBytes = 0

  constructor(options: RepositoriesOptions) {
    this.#options = options
  }

  /** Size of a repository's blob; it is leased. Throws BLOB_UNKNOWN. */
  async blobSize(repository: string, digest: Digest): Promise<number> {
    const { index, leases, journal, collectFlag } = this.#options
    const id = index.repositoryId(repository)
    const size = id === undefined ? undefined : index.repositoryBlobSize(id, digest)
    if (size === undefined) throw new RegistryError('BLOB_UNKNOWN', { detail: { digest } })
    leases.touch(digest)
    if (collectFlag !== undefined && id !== undefined && this.#isOldAndUnneeded(id, digest)) {
      // Leases are this process's own: others spare what was linked lately.
      const before = await collectFlag.look()
      await journal.commit(() => this.#link(repository, digest, size))
      await this.#outlived(before, () => Promise.resolve(this.hasBlob(repository, digest)))
    }
    return size
  }

  /** Opens a blob, or a range of it, for reading. */
  async openBlob(digest: Digest, range: ByteRange): Promise<StorageSource> {
    return await this.#options.driver.open(blobPath(digest), range)
  }

  /** Puts a finished upload into a repository. */
  async addBlob(repository: string, digest: Digest, upload: FinishedUpload): Promise<void> {
    const { index, journal, driver, leases, quotas } = this.#options
    const before = await this.#options.collectFlag?.look()
    leases.touch(digest)
    {
      // Kept until the blob counts: others that are pushed at the same time must not have the same room.
      using _room = quotas.reserve(repository, digest, upload.size)
      using _lock = await journal.blobLocks.acquire(digest)
      if (index.blobSize(digest) === undefined) await driver.adopt(upload.path, blobPath(digest))
      index.database.transaction(() => this.#link(repository, digest, upload.size))
    }
    await journal.acknowledged()
    await this.#outlived(before, async () => {
      const isThere = (await driver.size(blobPath(digest))) !== undefined
      return isThere && this.hasBlob(repository, digest)
    })
  }

  /**
   * Gives a repository a blob that is here already, from a repository that the caller may read; answers its size,
   * undefined where there is none. Without `from`, any of those that `mayRead` allows.
   */
  async mount(
    repository: string,
    digest: Digest,
    source: { from: string | undefined; mayRead: (name: string) => boolean },
  ): Promise<number | undefined> {
    const { index, journal, leases, quotas } = this.#options
    const before = await this.#options.collectFlag?.look()
    const size = index.blobSize(digest)
    if (size === undefined || !this.#owners(digest, source.from).some(source.mayRead)) return undefined
    leases.touch(digest)
    await journal.commit(() => {
      quotas.check(repository, digest, size)
      this.#link(repository, digest, size)
    })
    await this.#outlived(before, () => Promise.resolve(this.hasBlob(repository, digest)))
    return size
  }

  /** Takes a blob from a repository. Throws BLOB_UNKNOWN. */
  async deleteBlob(repository: string, digest: Digest): Promise<void> {
    const { index, journal } = this.#options
    const id = index.repositoryId(repository)
    const removed = await journal.commit(() => {
      if (id === undefined || !index.unlinkBlob(id, digest)) return false
      journal.remove(layerLinkPath(repository, digest).replace(/\/link$/, ''))
      return true
    })
    if (!removed) throw new RegistryError('BLOB_UNKNOWN', { detail: { digest } })
  }

  /** Whether a repository has a blob. */
  hasBlob(repository: string, digest: Digest): boolean {
    const { index } = this.#options
    const id = index.repositoryId(repository)
    return id !== undefined && index.repositoryBlobSize(id, digest) !== undefined
  }

  /** A manifest of a repository; undefined where it has none. */
  find(repository: string, reference: Reference): ManifestRow | undefined {
    const { index } = this.#options
    const id = index.repositoryId(repository)
    if (id === undefined) return undefined
    const digest = 'digest' in reference ? reference.digest : index.tag(id, reference.tag)
    return digest === undefined ? undefined : index.manifest(id, digest)
  }

  /** A manifest of a repository. Throws MANIFEST_UNKNOWN, or NAME_UNKNOWN where there is no such repository. */
  manifest(repository: string, reference: Reference): ManifestRow {
    const { index } = this.#options
    if (index.repositoryId(repository) === undefined) {
      throw new RegistryError('NAME_UNKNOWN', { detail: { name: repository } })
    }
    const found = this.find(repository, reference)
    if (found === undefined) throw new RegistryError('MANIFEST_UNKNOWN', { detail: reference })
    // Who asks by digest may be about to name it in an index.
    if ('digest' in reference) this.#options.leases.touch(found.digest)
    return found
  }

  /** Platforms that indexes of a repository give for a manifest. */
  platforms(repository: string, digest: Digest): string[] {
    const { index } = this.#options
    const id = index.repositoryId(repository)
    const parents = id === undefined ? [] : index.parents(id, digest)
    return parents
      .map((parent) => platformOf(this.content(parent), digest))
      .filter((platform) => platform !== undefined)
  }

  /** Bytes of a manifest that is there. */
  content(digest: Digest): Buffer {
    const cached = this.#contents.get(digest)
    if (cached !== undefined) return cached
    const content = this.#options.index.manifestContent(digest)
    if (content === undefined) throw new RegistryError('MANIFEST_UNKNOWN', { detail: { digest } })
    if (this.#cachedBytes + content.length > mostCachedBytes) {
      this.#contents.clear()
      this.#cachedBytes = 0
    }
    this.#contents.set(digest, content)
    this.#cachedBytes += content.length
    return content
  }

  /** Stores a manifest. Throws MANIFEST_INVALID, DIGEST_INVALID and MANIFEST_BLOB_UNKNOWN. */
  async putManifest(push: ManifestPush): Promise<StoredManifest> {
    const { index, journal, clock, quotas } = this.#options
    const { repository, content, reference } = push
    const parsed = parseManifest(content, push.contentType)
    const digest = digestFor(content, reference)
    const tags = 'tag' in reference ? [reference.tag, ...push.tags] : [...push.tags]
    const before = await this.#options.collectFlag?.look()
    await journal.commit(() => {
      // Checked where it is inserted: collection may run between requests.
      if (push.isCached !== true) this.#checkNeeds(repository, parsed)
      quotas.check(repository, digest, content.length)
      const nowMs = clock.nowMs()
      const id = index.ensureRepository(repository, nowMs)
      index.insertManifest(id, { ...parsed, digest, content, size: content.length }, nowMs)
      journal.write(blobPath(digest), content)
      journal.write(revisionLinkPath(repository, digest), digest)
      for (const name of tags) {
        index.setTag(id, { name, digest }, nowMs)
        journal.write(tagIndexLinkPath(repository, name, digest), digest)
        journal.write(tagLinkPath(repository, name), digest)
      }
    })
    await this.#outlived(before, () => {
      const id = index.repositoryId(repository)
      const isWhole = push.isCached === true || this.#missing(repository, parsed).length === 0
      return Promise.resolve(id !== undefined && index.manifest(id, digest) !== undefined && isWhole)
    })
    return { ...parsed, digest, tags: [...new Set(tags)] }
  }

  /** Removes a tag, or a manifest with all its tags; answers what went. Throws MANIFEST_UNKNOWN, NAME_UNKNOWN. */
  async deleteManifest(repository: string, reference: Reference): Promise<{ tags: string[] }> {
    const { index, journal } = this.#options
    const id = index.repositoryId(repository)
    if (id === undefined) throw new RegistryError('NAME_UNKNOWN', { detail: { name: repository } })
    const tags = await journal.commit(() => {
      const gone =
        'digest' in reference
          ? index.deleteManifest(id, reference.digest)
          : index.deleteTag(id, reference.tag) && [reference.tag]
      if (gone === undefined || gone === false) return undefined
      for (const tag of gone) journal.remove(tagPath(repository, tag))
      if ('digest' in reference) {
        journal.remove(revisionLinkPath(repository, reference.digest).replace(/\/link$/, ''))
      }
      return gone
    })
    if (tags === undefined) throw new RegistryError('MANIFEST_UNKNOWN', { detail: reference })
    return { tags }
  }

  /** Removes a repository with all in it; its blobs go with the next collection. Throws NAME_UNKNOWN. */
  async deleteRepository(repository: string): Promise<void> {
    const { index, journal } = this.#options
    const removed = await journal.commit(() => {
      const id = index.repositoryId(repository)
      if (id === undefined) return false
      index.dropRepository(repository, id)
      for (const part of ['_layers', '_manifests', '_wharf'])
        journal.remove(`${repositoryPath(repository)}/${part}`)
      return true
    })
    if (!removed) throw new RegistryError('NAME_UNKNOWN', { detail: { name: repository } })
  }

  /** Forgets cached bytes of manifests that are gone. */
  forget(digests: Iterable<Digest>): void {
    for (const digest of digests) {
      this.#cachedBytes -= this.#contents.get(digest)?.length ?? 0
      this.#contents.delete(digest)
    }
  }

  #link(repository: string, digest: Digest, size: number): void {
    const { index, journal, clock } = this.#options
    const nowMs = clock.nowMs()
    index.linkBlob(index.ensureRepository(repository, nowMs), digest, size, nowMs)
    journal.write(layerLinkPath(repository, digest), digest)
  }

  #owners(digest: Digest, from: string | undefined): string[] {
    const { index } = this.#options
    if (from === undefined) {
      return index.database
        .all(
          `SELECT name FROM repository_blobs JOIN repositories ON repositories.id = repository
           WHERE digest = ? LIMIT 1000`,
          digest,
        )
        .map((row) => textColumn(row, 'name'))
    }
    const id = index.repositoryId(from)
    return id !== undefined && index.repositoryBlobSize(id, digest) !== undefined ? [from] : []
  }

  /** Where others collect too: throws UNAVAILABLE when a collection took away what was pushed meanwhile. */
  async #outlived(before: string | undefined, isThere: () => Promise<boolean>): Promise<void> {
    const { collectFlag } = this.#options
    if (collectFlag === undefined || before === undefined) return
    if (!(await collectFlag.passed(before)) || (await isThere())) return
    throw new RegistryError('UNAVAILABLE', {
      message: 'pushed while garbage was collected: try again',
      headers: { 'Retry-After': '1' },
    })
  }

  /** Whether a collection in another process might take the blob: no manifest needs it, and its link is old. */
  #isOldAndUnneeded(repository: number, digest: Digest): boolean {
    const { index, clock, leases } = this.#options
    const row = index.database.get(
      `SELECT 1 FROM repository_blobs WHERE repository = ? AND digest = ? AND linked_ms < ?
       AND NOT EXISTS (SELECT 1 FROM manifest_needs WHERE manifest_needs.repository = repository_blobs.repository
         AND manifest_needs.digest = repository_blobs.digest)`,
      repository,
      digest,
      clock.nowMs() - leases.graceMs / 2,
    )
    return row !== undefined
  }

  #checkNeeds(repository: string, parsed: ParsedManifest): void {
    const [first, ...rest] = this.#missing(repository, parsed)
    if (first !== undefined) throw new RegistryErrors(first, rest)
  }

  #missing(repository: string, { blobs, manifests }: ParsedManifest): RegistryError[] {
    const { index } = this.#options
    const id = index.repositoryId(repository)
    return [
      ...blobs.filter((digest) => id === undefined || index.repositoryBlobSize(id, digest) === undefined),
      ...manifests.filter((digest) => id === undefined || index.manifest(id, digest) === undefined),
    ].map((digest) => new RegistryError('MANIFEST_BLOB_UNKNOWN', { detail: { digest } }))
  }
}

function digestFor(content: Buffer, reference: Reference): Digest {
  if (!('digest' in reference)) return digestOf(content, 'sha256')
  const algorithm = reference.digest.startsWith('sha512:') ? 'sha512' : 'sha256'
  const digest = digestOf(content, algorithm)
  if (digest === reference.digest) return digest
  throw new RegistryError('DIGEST_INVALID', { detail: { digest: reference.digest, actual: digest } })
}

function digestOf(content: Buffer, algorithm: DigestAlgorithm): Digest {
  const text = `${algorithm}:${createHash(algorithm).update(content).digest('hex')}`
  // Made of a hash, so it cannot be anything else.
  return toDigest(text)
}
