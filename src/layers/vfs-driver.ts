/**
 * The driver for file systems that overlay cannot use: every layer and every container is a whole copy of what lies
 * below it. Slow and large, and right everywhere. Below `directory`:
 *
 *     layers/NAME/{own,tree}   a layer's own files in overlay's form, and the whole tree up to it
 *     layers/NAME/init         the tree with the init layer's entries, made when first needed
 *     writable/ID/{tree,lowers}
 *     drafts/                  layers being written; emptied at start
 */
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { KeyedMutex } from '../lib/mutex.ts'
import type { WorkerPool } from '../lib/worker-pool.ts'
import type { FilesystemChange } from '../spec/container-types.ts'
import { EngineError, errorCode } from '../spec/errors.ts'
import { writeInitLayer } from './init-layer.ts'
import type { LayerJob, LayerJobResult } from './layer-jobs.ts'
import type { DraftLayer, StorageDriver } from './storage-driver.ts'
import type { Trash } from './trash.ts'

/** What the driver stands on. */
export type VfsOptions = {
  directory: string
  trash: Trash
  pool: WorkerPool<LayerJob, LayerJobResult>
}

/** Tree of an image without layers. */
const noLayer = '.none'

/** See the file's head. */
export class VfsDriver implements StorageDriver {
  readonly name = 'vfs'
  readonly #options: VfsOptions
  readonly #locks = new KeyedMutex()

  constructor(options: VfsOptions) {
    this.#options = options
  }

  async setUp(): Promise<void> {
    for (const part of ['layers', 'writable', 'drafts', join('layers', noLayer, 'tree')]) {
      await mkdir(this.#path(part), { recursive: true, mode: 0o711 })
    }
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
        const below = lowers.slice(0, 1).map((lower) => this.#path('layers', lower, 'tree'))
        await this.#copy([...below, directory], join(draft, 'tree'))
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

  layerDirectory(name: string): string {
    return this.#path('layers', name, 'own')
  }

  async createWritable(id: string, lowers: readonly string[]): Promise<void> {
    const init = await this.#ensureInit(lowers)
    await mkdir(this.#path('writable', id), { recursive: true, mode: 0o711 })
    await writeFile(this.#path('writable', id, 'lowers'), JSON.stringify(lowers))
    await this.#copy([init], this.#path('writable', id, 'tree'))
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
    try {
      const parsed: unknown = JSON.parse(await readFile(this.#path('writable', id, 'lowers'), 'utf8'))
      return Array.isArray(parsed) ? parsed.filter((name) => typeof name === 'string') : []
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      throw new EngineError('notFound', `no writable layer of ${id}`, { cause: error })
    }
  }

  async changes(id: string): Promise<FilesystemChange[]> {
    const job = { kind: 'changes', upper: this.#path('writable', id, 'tree'), whole: true } as const
    const lowers = [this.#initDirectory(await this.lowersOf(id))]
    return (await this.#options.pool.run({ ...job, lowers })).changes ?? []
  }

  /** Bytes of what the container changed, not of its copy of the image. */
  async usage(id: string): Promise<number> {
    const base = this.#initDirectory(await this.lowersOf(id))
    const directory = this.#path('writable', id, 'tree')
    return (await this.#options.pool.run({ kind: 'usage', directory, base })).bytes ?? 0
  }

  async pack(id: string, target: string): Promise<{ digest: string; bytes: number }> {
    const base = this.#initDirectory(await this.lowersOf(id))
    const directory = this.#path('writable', id, 'tree')
    const { packed } = await this.#options.pool.run({ kind: 'pack', directory, base, target })
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

  #initDirectory(lowers: readonly string[]): string {
    return this.#path('layers', lowers[0] ?? noLayer, 'init')
  }

  async #ensureInit(lowers: readonly string[]): Promise<string> {
    const target = this.#initDirectory(lowers)
    using _lock = await this.#locks.acquire(target)
    if (await exists(target)) return target
    const draft = this.#path('drafts', randomBytes(8).toString('hex'))
    try {
      await this.#copy([this.#path('layers', lowers[0] ?? noLayer, 'tree')], draft)
      writeInitLayer(draft)
      await rename(draft, target)
    } finally {
      await this.#options.trash.discard(draft)
    }
    return target
  }

  /** A new tree of some trees laid over one another, the last on top. */
  async #copy(sources: string[], target: string): Promise<void> {
    await mkdir(target, { mode: 0o755 })
    await this.#options.pool.run({ kind: 'merge', sources, target })
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false
    throw error
  }
}
