/** Checks images with all that they stand on: blobs, layers, configurations and names. */
import { checkContent } from '../content/content-check.ts'
import { digestOf, type ContentStore } from '../content/content-store.ts'
import { checkLayers } from '../layers/layer-check.ts'
import type { LayerBlob } from '../layers/layer-restore.ts'
import type { LayerStore } from '../layers/layer-store.ts'
import type { StoreProblem } from '../lib/store-problem.ts'
import { algorithmOf, type ChainId, type Digest } from '../spec/ids.ts'
import type { ImageRecord } from './image-record.ts'
import type { ImageStore } from './image-store.ts'
import { blobsOf } from './image-targets.ts'
import { familiarText } from './reference.ts'

/** What a check of the images is given. */
export type ImageCheckOptions = {
  deep: boolean
  /** Whether a container that runs has the layer below its root. */
  isMounted: (id: ChainId) => boolean
  signal: AbortSignal
}

/** See the file's head. */
export class ImageRoomCheck {
  readonly #content: ContentStore
  readonly #layers: LayerStore
  readonly #images: ImageStore

  constructor(parts: { content: ContentStore; layers: LayerStore; images: ImageStore }) {
    this.#content = parts.content
    this.#layers = parts.layers
    this.#images = parts.images
  }

  /** How many there are of each. */
  counts(): { content: number; layers: number; images: number } {
    return {
      content: this.#content.all().length,
      layers: this.#layers.all().length,
      images: this.#images.all().length,
    }
  }

  /** Blobs: rows and files. */
  content({ deep, signal }: ImageCheckOptions): AsyncGenerator<StoreProblem> {
    return checkContent({
      content: this.#content,
      deep,
      signal,
      isNeeded: this.#images.needsBlob(),
      restorer: (id) => this.#restorer(id),
      advise: (id) =>
        `pull or load again: ${this.#users(id)
          .map((image) => this.#nameOf(image))
          .join(', ')}`,
    })
  }

  /** Unpacked layers: rows and directories. */
  layers({ deep, isMounted, signal }: ImageCheckOptions): AsyncGenerator<StoreProblem> {
    const blobs = new Map<ChainId, LayerBlob>()
    for (const { layers } of this.#images.all()) {
      for (const { chainId, blob } of layers) {
        const isThere = this.#content.get(blob.digest) !== undefined
        if (isThere) blobs.set(chainId, { digest: blob.digest, path: this.#content.path(blob.digest) })
      }
    }
    return checkLayers({ layers: this.#layers, deep, isMounted, signal, blobOf: (id) => blobs.get(id) })
  }

  /** Images: that all they name has a row, and that their configuration is what their id says. */
  async *images(): AsyncGenerator<StoreProblem> {
    for (const image of this.#images.all()) {
      const missing = [
        ...blobsOf(image).filter((id) => this.#content.get(id) === undefined),
        ...image.layers.map(({ chainId }) => chainId).filter((id) => this.#layers.get(id) === undefined),
      ]
      const advice = `remove the image and pull or load it again: ${this.#nameOf(image)}`
      if (missing.length > 0) {
        yield { kind: 'missing', object: image.id, detail: `it needs ${missing.join(', ')}`, advice }
      }
      if (digestOf(Buffer.from(this.#images.configText(image.id)), algorithmOf(image.id)) !== image.id) {
        yield {
          kind: 'damaged',
          object: image.id,
          detail: 'its configuration is not the one it is named by',
          advice,
        }
      }
    }
    for (const [reference, id] of this.#images.allReferences()) {
      if (this.#images.get(id) !== undefined) continue
      yield {
        kind: 'missing',
        object: reference,
        detail: `it names ${id}, which is not there`,
        advice: 'pull it again',
      }
    }
  }

  /** A configuration's text stands in the image's row as well. */
  #restorer(id: Digest): (() => Promise<void>) | undefined {
    if (this.#images.get(id) === undefined) return undefined
    return async () =>
      void (await this.#content.put(Buffer.from(this.#images.configText(id)), algorithmOf(id)))
  }

  #users(id: Digest): ImageRecord[] {
    return this.#images.all().filter((image) => blobsOf(image).includes(id))
  }

  #nameOf(image: ImageRecord): string {
    const [name] = this.#images.referencesOf(image.id)
    return name === undefined ? image.id : familiarText(name)
  }
}
