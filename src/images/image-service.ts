/**
 * Images as the API's routes see them: one method an operation of the Engine API. Each decodes nothing, encodes
 * nothing and throws EngineErrors with Docker's texts. A `name` is a reference, an id or an id prefix.
 */
import type { ContentStore } from '../content/content-store.ts'
import type { LayerStore } from '../layers/layer-store.ts'
import type { OverlayRootfsStore } from '../layers/rootfs-store.ts'
import type { Clock } from '../lib/clock.ts'
import { EngineError } from '../spec/errors.ts'
import type { ContainerId, Digest } from '../spec/ids.ts'
import type {
  ImageDeleted,
  ImageHistoryItem,
  ImageInspect,
  ImageSummary,
  Platform,
  ProgressMessage,
} from '../spec/image-types.ts'
import { ArchiveLoader, type LoadRequest } from './archive-loader.ts'
import { findSaved, saveImages } from './archive-saver.ts'
import { ImageCreator, type CommitRequest } from './image-creator.ts'
import type { Filters } from './image-filters.ts'
import { imageHistory, inspectImage } from './image-inspect.ts'
import { listImages, type ListOptions } from './image-list.ts'
import { imagesUsage, type ImagesUsage, type UsageSources } from './image-usage.ts'
import type { ImageMaker } from './image-maker.ts'
import type { ImageRecord } from './image-record.ts'
import { ImageRemover } from './image-remover.ts'
import type { ImageStore } from './image-store.ts'
import { parseNewPlatform } from './platform.ts'
import { importComment } from './remote-archive.ts'
import {
  canonicalText,
  familiarRepository,
  familiarText,
  parseReference,
  withDefaultTag,
  type Reference,
} from './reference.ts'

/** Tells who uses images. Implemented by containers/. */
export interface ImageUsers {
  usersOf(imageId: Digest): readonly ImageUser[]
}

/** A container that uses an image. */
export type ImageUser = { id: ContainerId; running: boolean }

/** Takes events. Implemented by daemon/. */
export interface ImageEvents {
  emit(event: { type: string; action: string; id: string; attributes: Record<string, string> }): void
}

/** What the service stands on. */
export type ImageServiceOptions = {
  content: ContentStore
  layers: LayerStore
  images: ImageStore
  maker: ImageMaker
  rootfs: OverlayRootfsStore
  users: ImageUsers
  events: ImageEvents
  host: Platform
  clock: Clock
}

/** Takes progress as it comes; resolves when the client has room for more. */
export type ProgressSink = (message: ProgressMessage) => Promise<void> | void

/**
 * What is asked of an import. An empty repository gives no name, an empty platform means this machine's; without a
 * message the image says where it came from.
 */
export type ImportRequest = {
  repository: string
  tag: string
  message: string
  source: string
  changes: string[]
  platform: string
}

/** See the file's head. */
export class ImageService {
  readonly #options: ImageServiceOptions
  readonly #loader: ArchiveLoader
  readonly #remover: ImageRemover
  readonly #creator: ImageCreator
  readonly #listing: UsageSources

  constructor(options: ImageServiceOptions) {
    this.#options = options
    const usersOf = (id: Digest) => options.users.usersOf(id)
    this.#listing = { ...options, usersOf }
    this.#creator = new ImageCreator(options)
    this.#loader = new ArchiveLoader({
      ...options,
      ownerOf: (reference, target) => {
        const known = options.images.targetOf(reference)?.descriptor.digest
        const isSame = target !== undefined && known === target.descriptor.digest
        return isSame ? undefined : options.images.allReferences().get(canonicalText(reference))
      },
      onLoaded: (id) => this.#emit('load', id, id),
    })
    this.#remover = new ImageRemover({
      ...options,
      usersOf,
      onUntag: (image) => this.#emit('untag', image.id, image.id),
      onDelete: (image) => this.#emitFor('delete', image, image.id),
    })
  }

  /** How many images there are. */
  count(): number {
    return this.#options.images.all().length
  }

  async list(options: ListOptions): Promise<ImageSummary[]> {
    return listImages(this.#listing, options)
  }

  /** What the images take on disk. */
  async usage(): Promise<ImagesUsage> {
    return imagesUsage(this.#listing)
  }

  async inspect(
    name: string,
    options: { platform?: Platform; manifests?: boolean } = {},
  ): Promise<ImageInspect> {
    return inspectImage(this.#listing, name, options)
  }

  async history(name: string, platform?: Platform): Promise<ImageHistoryItem[]> {
    return imageHistory(this.#listing, name, platform)
  }

  /** Gives an image one more name, which is taken from whatever has it. */
  async tag(source: string, repository: string, tag: string): Promise<void> {
    const reference = targetReference(repository, tag)
    if (reference === undefined) throw new EngineError('invalid', 'invalid reference format')
    const { image, target } = this.#options.images.findFor(source, undefined)
    this.#options.images.tag(reference, image.id, { target })
    this.#emit('tag', image.id, familiarText(reference))
  }

  async remove(
    name: string,
    options: { force: boolean; noPrune: boolean; platforms?: readonly Platform[] },
  ): Promise<ImageDeleted[]> {
    return (await this.#remover.remove(name, options)).records
  }

  async prune(filters: Filters): Promise<{ deleted: ImageDeleted[]; reclaimedBytes: number }> {
    const { records, bytes } = await this.#remover.prune(filters)
    this.#options.events.emit({
      type: 'image',
      action: 'prune',
      id: '',
      attributes: { reclaimed: String(bytes) },
    })
    return { deleted: records, reclaimedBytes: bytes }
  }

  /** Reads an archive of images to its end; what it reports goes to the client, a JSON message a line. */
  async load(archive: AsyncIterable<Uint8Array>, request: LoadRequest, signal: AbortSignal): Promise<void> {
    await this.#loader.load(archive, request, signal)
  }

  /**
   * The archive of some images. Throws before the first byte when one is not there. A piece is valid until the next is
   * asked for.
   */
  async save(
    names: string[],
    platforms: Platform[],
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    const saved = findSaved(this.#options.images, names, platforms)
    for (const { image } of saved) this.#emit('save', image.id, image.id)
    return saveImages(this.#options, saved, signal)
  }

  /** Makes an image of a tar of a file tree. */
  async import(
    archive: AsyncIterable<Uint8Array>,
    asked: ImportRequest,
    progress: ProgressSink,
    signal: AbortSignal,
  ): Promise<void> {
    const { host } = this.#options
    const reference = targetReference(asked.repository, asked.tag)
    const platform = asked.platform === '' ? host : parseNewPlatform(asked.platform, host)
    const message = asked.message === '' ? importComment(asked.source) : asked.message
    const request = { platform, message, changes: asked.changes, reference }
    const id = await this.#creator.import(archive, request, signal)
    if (reference !== undefined) this.#emit('tag', id, familiarText(reference))
    this.#emit('import', id, id)
    await progress({ status: id })
  }

  /** Makes an image of what a container changed. */
  async commit(request: CommitRequest, signal: AbortSignal): Promise<Digest> {
    const id = await this.#creator.commit(request, signal)
    if (request.reference !== undefined) this.#emit('tag', id, familiarText(request.reference))
    return id
  }

  /** Tells that an image went to or came from a registry. */
  noteRegistryEvent(action: 'pull' | 'push', id: Digest, name: string): void {
    const image = this.#options.images.get(id)
    if (image === undefined) return
    // Docker's event is about the reference, not the image (moby daemon/images, LogImageEvent).
    const attributes = { ...image.labels, name: familiarRepository(parseReference(name).repository) }
    this.#options.events.emit({ type: 'image', action, id: name, attributes })
  }

  #emit(action: string, id: Digest, name: string): void {
    const image = this.#options.images.get(id)
    if (image !== undefined) this.#emitFor(action, image, name)
  }

  #emitFor(action: string, { id, labels }: ImageRecord, name: string): void {
    this.#options.events.emit({ type: 'image', action, id, attributes: { ...labels, name } })
  }
}

/** The name that `repo` and `tag` of a request mean; undefined where there is none. Throws invalid. */
export function targetReference(repository: string, tag: string): Reference | undefined {
  if (repository === '') return undefined
  const reference = parseReference(repository)
  if (reference.digest !== undefined) throw new EngineError('invalid', 'cannot import digest reference')
  if (familiarRepository(reference.repository) === 'sha256') {
    throw new EngineError('invalid', 'refusing to create an ambiguous tag using digest algorithm as name')
  }
  if (tag === '') return withDefaultTag(reference)
  if (!/^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}$/.test(tag)) throw new EngineError('invalid', 'invalid tag format')
  return { ...reference, tag }
}
