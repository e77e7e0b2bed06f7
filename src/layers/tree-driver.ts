/**
 * The drivers vfs and btrfs: every layer and every container is a whole tree, of what lies below it and its own. vfs
 * copies, which is slow and large and right everywhere; btrfs takes snapshots of subvolumes. Below `directory`:
 *
 *     layers/NAME/tree   the whole tree up to the layer
 *     layers/NAME/init   that with the init layer's entries, made when first needed
 *     writable/ID/{tree,lowers}
 *     drafts/            layers being written, in overlay's form; emptied at start
 */
import { randomBytes } from 'node:crypto'
import { chown, mkdir, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { spreadDirectories } from '../kernel/spread-directories.ts'
import { rootOwner, type IdMapping } from '../lib/id-mapping.ts'
import { pathExists } from '../lib/path-exists.ts'
import { KeyedMutex } from '../lib/mutex.ts'
import type { WorkerPool } from '../lib/worker-pool.ts'
import type { FilesystemChange } from '../spec/container-types.ts'
import { writeInitLayer } from './init-layer.ts'
import type { LayerJob, LayerJobResult } from './layer-jobs.ts'
import type { DraftLayer, StorageDriver, WritableRequest } from './storage-driver.ts'
import type { StorageOptionRules } from './storage-options.ts'
import type { Trash } from './trash.ts'
import { readBase, writeBase, type WritableBase } from './writable-file.ts'

/** How a driver makes trees. */
export type TreeMaker = {
  /** Makes an empty tree. */
  create(target: string): Promise<void>
  /** Makes a tree with the content of another. */
  clone(source: string, target: string): Promise<void>
  /** Lets a tree grow to so many bytes at most; absent where it cannot be limited. */
  limit?(tree: string, bytes: number): void
}

/** What the driver stands on. */
export type TreeDriverOptions = {
  name: string
  directory: string
  trees: TreeMaker
  status: [string, string][]
  rules: StorageOptionRules
  trash: Trash
  pool: WorkerPool<LayerJob, LayerJobResult>
  /** Files belong to the host's ids of these. */
  ids: IdMapping | undefined
}

/** Tree of an image without layers. */
const noLayer = '.none'

/** See the file's head. */
export class TreeDriver implements StorageDriver {
  readonly name: string
  readonly #options: TreeDriverOptions
  readonly #locks = new KeyedMutex()

  constructor(options: TreeDriverOptions) {
    this.name = options.name
    this.#options = options
  }

  status(): [string, string][] {
    return this.#options.status
  }

  async setUp(): Promise<void> {
    for (const part of ['layers', 'writable', 'drafts', join('layers', noLayer)]) {
      await mkdir(this.#path(part), { recursive: true, mode: 0o711 })
    }
    for (const part of ['writable', 'drafts']) spreadDirectories(this.#path(part))
    const none = this.#path('layers', noLayer, 'tree')
    if (!(await pathExists(none))) await this.#options.trees.create(none)
    const { uid, gid } = rootOwner(this.#options.ids)
    await chown(none, uid, gid)
    for (const draft of await readdir(this.#path('drafts'))) {
      await this.#options.trash.discard(this.#path('drafts', draft))
    }
  }

  async createLayer(): Promise<DraftLayer> {
    const draft = this.#path('drafts', randomBytes(8).toString('hex'))
    const directory = join(draft, 'own')
    await mkdir(directory, { recursive: true, mode: 0o755 })
    return {
      directory,
      publish: async (name, lowers) => {
        const tree = join(draft, 'tree')
        await this.#options.trees.clone(this.#path('layers', lowers[0] ?? noLayer, 'tree'), tree)
        await this.#options.pool.run({ kind: 'merge', sources: [directory], target: tree })
        await this.#options.trash.discard(directory)
        await this.#options.trash.discard(this.#path('layers', name))
        await rename(draft, this.#path('layers', name))
      },
      [Symbol.asyncDispose]: () => this.#options.trash.discard(draft),
    }
  }

  async removeLayer(name: string): Promise<void> {
    await this.#options.trash.discard(this.#path('layers', name))
  }

  async listLayers(): Promise<string[]> {
    return (await readdir(this.#path('layers'))).filter((name) => name !== noLayer)
  }

  /** The whole tree, as what shows at a path through all layers is what shows in the topmost. */
  layerDirectory(name: string): string {
    return this.#path('layers', name, 'tree')
  }

  async createWritable(id: string, { lowers, init, options, durable }: WritableRequest): Promise<void> {
    const sizeBytes = this.#options.rules.check(options)
    const base = { lowers: [...lowers], init }
    if (init) await this.#ensureInit(lowers)
    const tree = this.#path('writable', id, 'tree')
    await mkdir(this.#path('writable', id), { recursive: true, mode: 0o711 })
    await writeBase(this.#path('writable', id, 'lowers'), base, durable)
    await this.#options.trees.clone(this.#below(base), tree)
    if (sizeBytes !== undefined) this.#options.trees.limit?.(tree, sizeBytes)
  }

  async mountWritable(id: string): Promise<string> {
    await this.lowersOf(id)
    return this.#path('writable', id, 'tree')
  }

  async unmountWritable(): Promise<void> {
    // Nothing is mounted: a tree is a plain directory.
  }

  async removeWritable(id: string): Promise<void> {
    await this.#options.trash.discard(this.#path('writable', id))
  }

  async listWritable(): Promise<string[]> {
    return readdir(this.#path('writable'))
  }

  async lowersOf(id: string): Promise<string[]> {
    return (await this.#baseOf(id)).lowers
  }

  async changes(id: string): Promise<FilesystemChange[]> {
    const job = { kind: 'changes', upper: this.#path('writable', id, 'tree'), whole: true } as const
    const lowers = [this.#below(await this.#baseOf(id))]
    return (await this.#options.pool.run({ ...job, lowers })).changes ?? []
  }

  /** Bytes of what the container changed, not of its copy of the image. */
  async usage(id: string): Promise<number> {
    const base = this.#below(await this.#baseOf(id))
    const directory = this.#path('writable', id, 'tree')
    return (await this.#options.pool.run({ kind: 'usage', directory, base })).bytes ?? 0
  }

  async pack(id: string, target: string): Promise<{ digest: string; bytes: number }> {
    const base = this.#below(await this.#baseOf(id))
    const directory = this.#path('writable', id, 'tree')
    const { pool, ids } = this.#options
    const { packed } = await pool.run({ kind: 'pack', directory, base, target, ids })
    if (packed === undefined) throw new Error('pack answered nothing')
    return packed
  }

  describeLayers(): Record<string, string> | null {
    return null
  }

  describeWritable(): Record<string, string> | null {
    return null
  }

  #path(...parts: string[]): string {
    return join(this.#options.directory, ...parts)
  }

  async #baseOf(id: string): Promise<WritableBase> {
    return readBase(this.#path('writable', id, 'lowers'), id)
  }

  /** The tree that a writable one began as. */
  #below({ lowers, init }: WritableBase): string {
    return init ? this.#initDirectory(lowers) : this.#path('layers', lowers[0] ?? noLayer, 'tree')
  }

  #initDirectory(lowers: readonly string[]): string {
    return this.#path('layers', lowers[0] ?? noLayer, 'init')
  }

  async #ensureInit(lowers: readonly string[]): Promise<string> {
    const target = this.#initDirectory(lowers)
    using _lock = await this.#locks.acquire(target)
    if (await pathExists(target)) return target
    const draft = this.#path('drafts', randomBytes(8).toString('hex'))
    try {
      await this.#options.trees.clone(this.#path('layers', lowers[0] ?? noLayer, 'tree'), draft)
      writeInitLayer(draft, rootOwner(this.#options.ids))
      await rename(draft, target)
    } finally {
      await this.#options.trash.discard(draft)
    }
    return target
  }
}
