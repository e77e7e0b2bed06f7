/**
 * Images' files as mounts inside containers. Each is a writable layer that nobody writes to, so that every driver can
 * mount it; while it is there, the image's layers stay, also when the image is removed.
 */
import { EngineError } from '../spec/errors.ts'
import type { ChainId } from '../spec/ids.ts'
import type { LayerStore, LayerUsers } from './layer-store.ts'
import type { StorageDriver } from './storage-driver.ts'

/** What the mounts stand on. */
export type ImageMountParts = {
  driver: StorageDriver
  layers: LayerStore
  /** The topmost layer of an image, by any of its names. Throws notFound. */
  topLayerOf: (image: string) => ChainId | undefined
}

/** Tells these layers from those of containers, which are named by an id alone. */
const keyPattern = /^[0-9a-f]{64}-[0-9a-f]{16}$/

/** Implements volumes/'s `ImageMounts`. Call `load` once before anything else. */
export class ImageMountStore implements LayerUsers {
  readonly #parts: ImageMountParts
  readonly #tops = new Map<string, ChainId | undefined>()

  constructor(parts: ImageMountParts) {
    this.#parts = parts
    parts.layers.addUsers(this)
  }

  /** Learns which layers the mounts on disk need. */
  async load(): Promise<void> {
    const { driver, layers } = this.#parts
    for (const key of await this.list()) {
      try {
        const [top] = await driver.lowersOf(key)
        this.#tops.set(key, top === undefined ? undefined : layers.byDirectory(top)?.chainId)
      } catch (error) {
        // Half-made by a run that died: the sweep takes it away.
        if (!(error instanceof EngineError)) throw error
      }
    }
  }

  /** See `LayerUsers`. */
  layersInUse(): Iterable<ChainId> {
    return [...this.#tops.values()].filter((top) => top !== undefined)
  }

  async prepare(key: string, image: string): Promise<void> {
    const { driver, layers, topLayerOf } = this.#parts
    const top = topLayerOf(image)
    this.#tops.set(key, top)
    const lowers = top === undefined ? [] : layers.chain(top).map((row) => row.directory)
    await driver.createWritable(key, { lowers, init: false, options: {}, durable: false })
  }

  async mount(key: string): Promise<string> {
    return this.#parts.driver.mountWritable(key, { volatile: true })
  }

  async unmount(key: string): Promise<void> {
    await this.#parts.driver.unmountWritable(key)
  }

  async remove(key: string): Promise<void> {
    const { driver, layers } = this.#parts
    await driver.removeWritable(key)
    const top = this.#tops.get(key)
    this.#tops.delete(key)
    if (top !== undefined) await layers.collect([top])
  }

  async list(): Promise<string[]> {
    return (await this.#parts.driver.listWritable()).filter((name) => keyPattern.test(name))
  }
}
