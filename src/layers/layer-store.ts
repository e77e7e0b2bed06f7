/**
 * Unpacked layers, shared by all images and containers that have them. A row of table `layers` names each by its
 * chain id; the driver keeps the files. Applying a chain writes all its missing layers side by side on worker
 * threads, checks their digests and publishes them by rename; the caller inserts the rows in the transaction that
 * makes its image. A layer goes when no image, no container, no lease and no layer above needs it.
 */
import { textColumn, type Database, type Row } from '../store/database.ts'
import type { IdMapping } from '../lib/id-mapping.ts'
import { KeyedMutex } from '../lib/mutex.ts'
import type { WorkerPool } from '../lib/worker-pool.ts'
import { chainId, diffId, digestOfHex, type ChainId, type DiffId } from '../spec/ids.ts'
import { LayerApply, type AppliedLayers, type LayerSource } from './layer-apply.ts'
import type { LayerJob, LayerJobResult } from './layer-jobs.ts'
import { compareLayer, restoreLayer, type LayerBlob } from './layer-restore.ts'
import type { StorageDriver } from './storage-driver.ts'

/** A layer that is there. */
export type Layer = {
  chainId: ChainId
  parent: ChainId | undefined
  diffId: DiffId
  /** Bytes of its files. */
  size: number
  /** The driver's name for it. */
  directory: string
}

/** Somebody who needs layers. */
export interface LayerUsers {
  /** Chain ids of the topmost layers in use. */
  layersInUse(): Iterable<ChainId>
}

/** What the store stands on. */
export type LayerStoreOptions = {
  database: Database
  driver: StorageDriver
  pool: WorkerPool<LayerJob, LayerJobResult>
  /** A layer that unpacks to more is refused. */
  maxLayerBytes: number
  /** What ids of containers are on the host. */
  ids: IdMapping | undefined
}

/** See the file's head. */
export class LayerStore {
  readonly #options: LayerStoreOptions
  readonly #locks = new KeyedMutex()
  readonly #users: LayerUsers[] = []
  readonly #leases = new Map<ChainId, number>()

  constructor(options: LayerStoreOptions) {
    this.#options = options
  }

  get driver(): StorageDriver {
    return this.#options.driver
  }

  /** Bytes that an archive may come to when it is decompressed: the tar around a layer may take as much again. */
  get maxArchiveBytes(): number {
    return 2 * this.#options.maxLayerBytes
  }

  /** From now on these users' layers are kept. */
  addUsers(users: LayerUsers): void {
    this.#users.push(users)
  }

  get(id: ChainId): Layer | undefined {
    const row = this.#options.database.get('SELECT * FROM layers WHERE chain_id = ?', id)
    return row === undefined ? undefined : layerOf(row)
  }

  /** The layer of a driver's name. */
  byDirectory(directory: string): Layer | undefined {
    const row = this.#options.database.get('SELECT * FROM layers WHERE directory = ?', directory)
    return row === undefined ? undefined : layerOf(row)
  }

  /** A layer and all below it, topmost first. Throws when one is missing, which only a damaged store does. */
  chain(top: ChainId): Layer[] {
    const layers: Layer[] = []
    for (let next: ChainId | undefined = top; next !== undefined;) {
      const layer = this.get(next)
      if (layer === undefined) throw new Error(`layer ${next} is missing`)
      layers.push(layer)
      next = layer.parent
    }
    return layers
  }

  /** Bytes of a layer and all below it. */
  chainBytes(top: ChainId): number {
    return this.chain(top).reduce((sum, layer) => sum + layer.size, 0)
  }

  /** All layers. */
  all(): Layer[] {
    return this.#options.database.all('SELECT * FROM layers').map(layerOf)
  }

  /**
   * Makes the layers of a chain that are not there yet and holds all of them until the result is disposed. Throws
   * when a digest is not the expected one; nothing is left then.
   */
  async apply(sources: readonly LayerSource[], signal: AbortSignal): Promise<AppliedLayers> {
    const apply = new LayerApply({ ...this.#options, store: this, locks: this.#locks, signal })
    return apply.run(sources)
  }

  /** Keeps a chain for as long as the result is not disposed. */
  lease(ids: readonly ChainId[]): Disposable {
    for (const id of ids) this.#leases.set(id, (this.#leases.get(id) ?? 0) + 1)
    return {
      [Symbol.dispose]: () => {
        for (const id of ids) {
          const left = (this.#leases.get(id) ?? 1) - 1
          if (left === 0) this.#leases.delete(id)
          else this.#leases.set(id, left)
        }
      },
    }
  }

  /** Inserts rows of layers that are published; inside the caller's transaction. */
  insert(layers: readonly Layer[]): void {
    for (const { chainId: id, parent, diffId: diff, size, directory } of layers) {
      this.#options.database.run(
        'INSERT OR IGNORE INTO layers (chain_id, parent, diff_id, size, directory) VALUES (?, ?, ?, ?, ?)',
        id,
        parent ?? null,
        diff,
        size,
        directory,
      )
    }
  }

  /** Removes those of the chains that nobody needs, from the top down; answers what went, in that order. */
  async collect(tops: readonly ChainId[]): Promise<Layer[]> {
    const used = this.#heldLayers()
    const removed: Layer[] = []
    this.#options.database.transaction(() => {
      for (const top of tops) this.#collectChain(top, used, removed)
    })
    for (const layer of removed) {
      using _lock = await this.#locks.acquire(layer.chainId)
      // Applied again meanwhile: then the directory is the new one's.
      if (this.get(layer.chainId) === undefined) await this.#options.driver.removeLayer(layer.directory)
    }
    return removed
  }

  /** Layers that somebody needs, those below them included. */
  neededLayers(): Set<ChainId> {
    const needed = new Set<ChainId>()
    for (const held of this.#heldLayers()) {
      // A lease may be on a layer that is still being made.
      for (let next: ChainId | undefined = held; next !== undefined && !needed.has(next);) {
        needed.add(next)
        next = this.get(next)?.parent
      }
    }
    return needed
  }

  /** Unpacks a layer anew where its files were lost. Throws when the blob is not what the layer was made of. */
  async restore(layer: Layer, blob: LayerBlob, signal: AbortSignal): Promise<void> {
    using _lock = await this.#locks.acquire(layer.chainId, signal)
    const below = layer.parent === undefined ? [] : this.chain(layer.parent)
    await restoreLayer(this.#options, { layer, below, blob }, signal)
  }

  /** What differs between a layer's files and what its blob unpacks to; undefined when nothing does. */
  async compare(layer: Layer, blob: LayerBlob, signal: AbortSignal): Promise<string | undefined> {
    return compareLayer(this.#options, { layer, blob }, signal)
  }

  /** Removes the files of a name that no row has, unless a layer of that name came meanwhile. */
  async removeUnowned(directory: string): Promise<void> {
    const name = digestOfHex(directory)
    using _lock = await this.#locks.acquire(name ?? directory)
    const isOwned =
      name !== undefined && (this.get(chainId(name)) ?? this.#leases.get(chainId(name))) !== undefined
    if (!isOwned) await this.#options.driver.removeLayer(directory)
  }

  /** Layers that somebody holds by name: topmost ones of users, and those of work under way. */
  #heldLayers(): Set<ChainId> {
    const held = new Set<ChainId>(this.#leases.keys())
    for (const users of this.#users) for (const id of users.layersInUse()) held.add(id)
    return held
  }

  #collectChain(top: ChainId, used: ReadonlySet<ChainId>, removed: Layer[]): void {
    const database = this.#options.database
    for (let next: ChainId | undefined = top; next !== undefined && !used.has(next);) {
      const layer = this.get(next)
      const child = database.get('SELECT 1 FROM layers WHERE parent = ? LIMIT 1', next)
      if (layer === undefined || child !== undefined) return
      database.run('DELETE FROM layers WHERE chain_id = ?', next)
      removed.push(layer)
      next = layer.parent
    }
  }

  /** At start, once all users are known: removes layers that nobody needs and directories without a row. */
  async sweep(): Promise<void> {
    const rows = this.all()
    const parents = new Set(rows.map((layer) => layer.parent))
    await this.collect(rows.map((layer) => layer.chainId).filter((id) => !parents.has(id)))
    const known = new Set(this.all().map((layer) => layer.directory))
    for (const name of await this.#options.driver.listLayers()) {
      if (!known.has(name)) await this.#options.driver.removeLayer(name)
    }
  }
}

function layerOf(row: Row): Layer {
  const { parent } = row
  return {
    chainId: chainId(textColumn(row, 'chain_id')),
    parent: typeof parent === 'string' ? chainId(parent) : undefined,
    diffId: diffId(textColumn(row, 'diff_id')),
    size: Number(row['size']),
    directory: textColumn(row, 'directory'),
  }
}
