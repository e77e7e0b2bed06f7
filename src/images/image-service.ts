/**
 * Images as the API's routes see them: one method an operation of the Engine API. Each decodes nothing, encodes
 * nothing and throws EngineErrors with Docker's texts. A `name` is a reference, an id or an id prefix.
 */
import type { ContentStore } from '../content/content-store.ts'
import type { LayerStore } from '../layers/layer-store.ts'
import type { OverlayRootfsStore } from '../layers/rootfs-store.ts'
import type { Clock } from '../lib/clock.ts'
import type { ContainerId, Digest } from '../spec/ids.ts'
import type { Platform } from '../spec/image-types.ts'
import { ArchiveLoader, type LoadRequest } from './archive-loader.ts'
import type { ImageMaker } from './image-maker.ts'
import type { ImageStore } from './image-store.ts'
import { canonicalText } from './reference.ts'

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

/** See the file's head. */
export class ImageService {
  readonly #options: ImageServiceOptions
  readonly #loader: ArchiveLoader

  constructor(options: ImageServiceOptions) {
    this.#options = options
    this.#loader = new ArchiveLoader({
      ...options,
      ownerOf: (reference) => options.images.allReferences().get(canonicalText(reference)),
      onLoaded: (id) => this.#emit('load', id, id),
    })
  }

  /** `docker load`: reads an archive to its end; what it reports goes to the client one JSON message a line. */
  async load(body: AsyncIterable<Uint8Array>, request: LoadRequest, signal: AbortSignal): Promise<void> {
    await this.#loader.load(body, request, signal)
  }

  #emit(action: string, id: Digest, name: string): void {
    const labels = this.#options.images.get(id)?.labels ?? {}
    this.#options.events.emit({ type: 'image', action, id, attributes: { ...labels, name } })
  }
}
