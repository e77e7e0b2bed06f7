/** Root file systems of containers: a writable layer on top of an image's chain, mounted while it is needed. */
import type { FilesystemChange } from '../spec/container-types.ts'
import { EngineError } from '../spec/errors.ts'
import { containerId, type ChainId, type ContainerId } from '../spec/ids.ts'
import type { LayerStore, LayerUsers } from './layer-store.ts'
import type { StorageDriver } from './storage-driver.ts'

/** Implements containers/'s `RootfsStore`. Call `load` once before anything else. */
export class OverlayRootfsStore implements LayerUsers {
  readonly #driver: StorageDriver
  readonly #layers: LayerStore
  /** Topmost layer of every writable layer there is. */
  readonly #tops = new Map<ContainerId, ChainId | undefined>()

  constructor(driver: StorageDriver, layers: LayerStore) {
    this.#driver = driver
    this.#layers = layers
    layers.addUsers(this)
  }

  get driverName(): string {
    return this.#driver.name
  }

  /** `DriverStatus` of info. */
  driverStatus(): [string, string][] {
    return this.#driver.status()
  }

  /** Learns which layers the writable ones on disk need. */
  async load(): Promise<void> {
    for (const id of await this.list()) {
      try {
        const [top] = await this.#driver.lowersOf(id)
        this.#tops.set(id, top === undefined ? undefined : this.#layers.byDirectory(top)?.chainId)
      } catch (error) {
        // Half-made by a run that died: no row names it, and the sweep takes it away.
        if (!(error instanceof EngineError)) throw error
        this.#tops.set(id, undefined)
      }
    }
  }

  /** See `LayerUsers`. */
  layersInUse(): Iterable<ChainId> {
    return [...this.#tops.values()].filter((top) => top !== undefined)
  }

  async prepare(
    id: ContainerId,
    topLayer: ChainId | undefined,
    storageOpt: Record<string, string>,
    { durable }: { durable: boolean } = { durable: true },
  ): Promise<void> {
    this.#tops.set(id, topLayer)
    try {
      const lowers = topLayer === undefined ? [] : this.#layers.chain(topLayer).map((row) => row.directory)
      await this.#driver.createWritable(id, { lowers, init: true, options: storageOpt, durable })
    } catch (error) {
      await this.remove(id)
      throw error
    }
  }

  async mount(id: ContainerId, options: { volatile: boolean }): Promise<string> {
    return this.#driver.mountWritable(id, options)
  }

  async unmount(id: ContainerId): Promise<void> {
    await this.#driver.unmountWritable(id)
  }

  async remove(id: ContainerId): Promise<void> {
    await this.#driver.removeWritable(id)
    const top = this.#tops.get(id)
    this.#tops.delete(id)
    // An image removed by force lives on in its containers: the last of them takes the layers along.
    if (top !== undefined) await this.#layers.collect([top])
  }

  async usage(id: ContainerId): Promise<{ writableBytes: number; rootBytes: number }> {
    const writableBytes = await this.#driver.usage(id)
    const top = this.#tops.get(id)
    const imageBytes = top === undefined ? 0 : this.#layers.chainBytes(top)
    return { writableBytes, rootBytes: writableBytes + imageBytes }
  }

  async changes(id: ContainerId): Promise<FilesystemChange[]> {
    return this.#driver.changes(id)
  }

  /** Writes what the container changed as a layer's tar to a new file, for commit. */
  async pack(id: ContainerId, target: string): Promise<{ digest: string; bytes: number }> {
    return this.#driver.pack(id, target)
  }

  describe(id: ContainerId): { Name: string; Data: Record<string, string> | null } {
    return { Name: this.#driver.name, Data: this.#driver.describeWritable(id) }
  }

  async list(): Promise<ContainerId[]> {
    return (await this.#driver.listWritable()).filter((name) => /^[0-9a-f]{64}$/.test(name)).map(containerId)
  }
}
