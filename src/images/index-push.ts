/**
 * Pushing an index as it came: its images that are here go up like any other, those that are not are taken over from
 * a repository that the index has been in, then the index's own bytes. Where some of it is nowhere to be had, the
 * one image that is here goes up in its place, as Docker does it, and the client is told.
 */
import type { ContentStore } from '../content/content-store.ts'
import { EngineError } from '../spec/errors.ts'
import { isDigest, type Digest } from '../spec/ids.ts'
import type { Descriptor } from '../spec/image-types.ts'
import {
  isIndexType,
  Manifest,
  manifestsOf,
  parseJson,
  type ImageRecord,
  type StoredManifest,
  type Target,
} from './image-record.ts'
import type { ImageStore } from './image-store.ts'
import type { Report } from './pull-progress.ts'
import type { RegistryRepository } from './registry-repository.ts'

/** What has been pushed, and what its name by digest stands for. */
export type PushedManifest = { digest: Digest; size: number; target: Target | undefined }

/** What pushing an index needs. */
export type IndexPushOptions = {
  content: ContentStore
  images: ImageStore
  repository: RegistryRepository
  pushImage: (image: ImageRecord, stored: StoredManifest, tagOrDigest: string) => Promise<PushedManifest>
  /** Repositories where the index has been. */
  sources: () => Promise<RegistryRepository[]>
  report: Report
  signal: AbortSignal
}

const maxDepth = 4

/** See the file's head. */
export class IndexPush {
  readonly #options: IndexPushOptions
  #sources: Promise<RegistryRepository[]> | undefined

  constructor(options: IndexPushOptions) {
    this.#options = options
  }

  /** Pushes the index under a tag. Throws notFound where parts of it are missing. */
  async push(target: Target, tag: string): Promise<PushedManifest> {
    const { content, repository, signal } = this.#options
    const { manifests = [], nested = [] } = target.index ?? {}
    const missing: Descriptor[] = []
    const here: { image: ImageRecord; stored: StoredManifest }[] = []
    for (const entry of manifests) {
      const found = this.#local(entry.digest)
      if (found !== undefined) here.push(found)
      else if (!(await this.#takeOver(entry, 0))) missing.push(entry)
    }
    if (missing.length > 0) return this.#instead(target, { missing, here }, tag)
    for (const { image, stored } of here) await this.#options.pushImage(image, stored, stored.manifest.digest)
    for (const { digest: id, mediaType } of nested.toReversed()) {
      await repository.putManifest(id, { data: await content.read(id), mediaType }, signal)
    }
    const { digest: id, mediaType, size } = target.descriptor
    await repository.putManifest(tag, { data: await content.read(id), mediaType }, signal)
    return { digest: id, size, target }
  }

  #local(manifest: Digest): { image: ImageRecord; stored: StoredManifest } | undefined {
    const image = this.#options.images.imageOfManifest(manifest)
    if (image === undefined) return undefined
    const stored = manifestsOf(image).find((one) => one.manifest.digest === manifest)
    return stored === undefined ? undefined : { image, stored }
  }

  async #instead(
    target: Target,
    { missing, here }: { missing: Descriptor[]; here: { image: ImageRecord; stored: StoredManifest }[] },
    tag: string,
  ): Promise<PushedManifest> {
    const [only, second] = here
    if (only === undefined || second !== undefined) {
      throw new EngineError(
        'notFound',
        `missing content: ${missing.map(({ digest }) => digest).join(', ')}\nNote: this name stands for several platforms, and not all of them are here or in the registry. Pull the others first, or push one of them with --platform.`,
      )
    }
    const pushed = await this.#options.pushImage(only.image, only.stored, tag)
    this.#options.report({
      progressDetail: {},
      aux: {
        ManifestPushedInsteadOfIndex: true,
        OriginalIndex: target.descriptor,
        SelectedManifest: only.stored.manifest,
      },
    })
    return pushed
  }

  /** Sees to it that the registry has a manifest and all it names; false where nobody has it. */
  async #takeOver(entry: Descriptor, depth: number): Promise<boolean> {
    const { repository, signal } = this.#options
    if (await repository.hasManifest(entry.digest, signal)) return true
    if (depth > maxDepth) return false
    this.#sources ??= this.#options.sources()
    for (const source of await this.#sources) {
      if (await this.#takeOverFrom(source, entry, depth).catch(onlyRefused)) return true
    }
    return false
  }

  async #takeOverFrom(source: RegistryRepository, entry: Descriptor, depth: number): Promise<boolean> {
    const { repository, signal } = this.#options
    const found = await source.manifest(entry.digest, signal)
    const manifest = parseJson(Manifest, found.data, 'image manifest')
    for (const inner of manifest.manifests ?? []) {
      if (!isDigest(inner.digest)) return false
      const { mediaType, digest, size } = inner
      if (!(await this.#takeOver({ mediaType, digest, size }, depth + 1))) return false
    }
    for (const blob of [
      ...(manifest.config === undefined ? [] : [manifest.config]),
      ...(manifest.layers ?? []),
    ]) {
      if (isDigest(blob.digest)) await this.#takeOverBlob(source, { digest: blob.digest, size: blob.size })
    }
    const mediaType = entry.mediaType === '' ? found.mediaType : entry.mediaType
    await repository.putManifest(entry.digest, { data: found.data, mediaType }, signal)
    this.#options.report({
      status: isIndexType(mediaType) ? 'Copied index' : 'Copied manifest',
      progressDetail: {},
      id: entry.digest.slice(entry.digest.indexOf(':') + 1).slice(0, 12),
    })
    return true
  }

  async #takeOverBlob(source: RegistryRepository, blob: { digest: Digest; size: number }): Promise<void> {
    const { repository, signal } = this.#options
    if (await repository.hasBlob(blob.digest, signal)) return
    if (source.domain === repository.domain && (await repository.mount(blob.digest, source.path, signal)))
      return
    const answer = await source.blob(blob.digest, 0, signal)
    await repository.upload(blob, () => answer, signal)
  }
}

/** A registry that does not have it, or will not give it, is no reason to stop. */
function onlyRefused(error: unknown): false {
  if (error instanceof EngineError) return false
  throw error
}
