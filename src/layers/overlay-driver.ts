/**
 * The drivers overlay2 (the default), overlay and fuse-overlayfs: a directory a layer, in the kernel's form, stacked by
 * the kernel (`kernel/overlay.ts` says with which options and why) or by a FUSE process a mount. Below `directory`:
 *
 *     layers/NAME/diff            a layer's files
 *     layers/NAME/init            the init layer of images that end in this layer, made when first needed
 *     writable/ID/{diff,work,merged,lowers}
 *     drafts/                     layers being written; emptied at start
 */
import { randomBytes } from 'node:crypto'
import { chownSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { mkdir, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { unmount, unmountInBackground } from '../kernel/mount.ts'
import type { OverlayMount } from '../kernel/overlay.ts'
import { spreadDirectories } from '../kernel/spread-directories.ts'
import { rootOwner, type IdMapping } from '../lib/id-mapping.ts'
import { pathExists } from '../lib/path-exists.ts'
import { KeyedMutex } from '../lib/mutex.ts'
import type { WorkerPool } from '../lib/worker-pool.ts'
import type { FilesystemChange } from '../spec/container-types.ts'
import { errorCode } from '../spec/errors.ts'
import { fileSystemName } from './file-system-name.ts'
import { inheritAttributes } from './inherit.ts'
import { writeInitLayer } from './init-layer.ts'
import type { LayerJob, LayerJobResult } from './layer-jobs.ts'
import type { DraftLayer, StorageDriver, WritableRequest } from './storage-driver.ts'
import type { StorageOptionRules } from './storage-options.ts'
import type { Trash } from './trash.ts'
import { readBase, writeBase, type WritableBase } from './writable-file.ts'

/** What the driver stands on. `directory` must be on a file system that the mounts take as upper. */
export type OverlayDriverOptions = {
  name: string
  directory: string
  mount: (request: OverlayMount) => Promise<void>
  /** Rows of `info` beside the file system's name. */
  status: readonly [string, string][]
  rules: StorageOptionRules
  trash: Trash
  pool: WorkerPool<LayerJob, LayerJobResult>
  /** Files belong to the host's ids of these. */
  ids: IdMapping | undefined
}

/** Init layer of an image without layers. */
const noLayer = '.none'

/** See the file's head. */
export class OverlayDriver implements StorageDriver {
  readonly name: string
  readonly #options: OverlayDriverOptions
  readonly #locks = new KeyedMutex()
  /** Init layers known to be there. */
  readonly #inits = new Set<string>()
  readonly #bases = new Map<string, WritableBase>()

  constructor(options: OverlayDriverOptions) {
    this.name = options.name
    this.#options = options
  }

  status(): [string, string][] {
    return [['Backing Filesystem', fileSystemName(this.#options.directory)], ...this.#options.status]
  }

  async setUp(): Promise<void> {
    for (const part of ['layers', 'writable', 'drafts', join('layers', noLayer, 'diff')]) {
      await mkdir(this.#path(part), { recursive: true, mode: 0o711 })
    }
    const owner = rootOwner(this.#options.ids)
    chownSync(this.#path('layers', noLayer, 'diff'), owner.uid, owner.gid)
    for (const part of ['writable', 'drafts']) spreadDirectories(this.#path(part))
    for (const draft of await readdir(this.#path('drafts'))) {
      const path = this.#path('drafts', draft)
      if (isMounted(path, 'merged')) unmount(join(path, 'merged'), { detached: true })
      await this.#options.trash.discard(path)
    }
  }

  async createLayer(): Promise<DraftLayer> {
    const draft = this.#path('drafts', randomBytes(8).toString('hex'))
    const directory = join(draft, 'diff')
    await mkdir(directory, { recursive: true, mode: 0o755 })
    return {
      directory,
      publish: async (name) => {
        const target = this.#path('layers', name)
        this.#inits.delete(join(target, 'init'))
        await this.#options.trash.discard(target)
        await rename(draft, target)
      },
      [Symbol.asyncDispose]: () => this.#options.trash.discard(draft),
    }
  }

  async removeLayer(name: string): Promise<void> {
    this.#inits.delete(this.#path('layers', name, 'init'))
    await this.#options.trash.discard(this.#path('layers', name))
  }

  async listLayers(): Promise<string[]> {
    const names = await readdir(this.#path('layers'))
    return names.filter((name) => name !== noLayer)
  }

  layerDirectory(name: string): string {
    return this.#path('layers', name, 'diff')
  }

  async createWritable(id: string, { lowers, init, options, durable }: WritableRequest): Promise<void> {
    this.#options.rules.check(options)
    const base = { lowers: [...lowers], init }
    const below = init ? [await this.#ensureInit(lowers)] : this.#directoriesOf(base)
    const directory = this.#path('writable', id)
    const diff = join(directory, 'diff')
    // On every container's way, and so synchronous: on another thread each of these takes four times as long.
    mkdirSync(diff, { recursive: true, mode: 0o755 })
    mkdirSync(join(directory, 'work'), { recursive: true, mode: 0o700 })
    mkdirSync(join(directory, 'merged'), { recursive: true, mode: 0o700 })
    await writeBase(join(directory, 'lowers'), base, durable)
    inheritAttributes(diff, ['/'], below)
    this.#bases.set(id, base)
  }

  async mountWritable(id: string, { volatile }: { volatile: boolean }): Promise<string> {
    using _lock = await this.#locks.acquire(id)
    const directory = this.#path('writable', id)
    const target = join(directory, 'merged')
    if (isMounted(directory, 'merged')) return target
    const lowers = await this.#lowerDirectories(id)
    const upper = { directory: join(directory, 'diff'), work: join(directory, 'work') }
    // A volatile mount leaves a mark there, for which the kernel refuses every later one: after a power cut files may
    // lack what was written. Whatever is mounted again has seen none: it is the restart of a container.
    rmSync(join(upper.work, 'work', 'incompat'), { recursive: true, force: true })
    await this.#options.mount({ lowers, upper, target, volatile })
    return target
  }

  async unmountWritable(id: string): Promise<void> {
    using _lock = await this.#locks.acquire(id)
    const directory = this.#path('writable', id)
    if (isMounted(directory, 'merged')) await unmountInBackground(join(directory, 'merged'))
  }

  async removeWritable(id: string): Promise<void> {
    await this.unmountWritable(id)
    this.#bases.delete(id)
    await this.#options.trash.discard(this.#path('writable', id))
  }

  async listWritable(): Promise<string[]> {
    return readdir(this.#path('writable'))
  }

  async lowersOf(id: string): Promise<string[]> {
    return [...(await this.#baseOf(id)).lowers]
  }

  async changes(id: string): Promise<FilesystemChange[]> {
    const lowers = await this.#lowerDirectories(id)
    const upper = this.#path('writable', id, 'diff')
    return (await this.#options.pool.run({ kind: 'changes', upper, lowers })).changes ?? []
  }

  async usage(id: string): Promise<number> {
    const directory = this.#path('writable', id, 'diff')
    return (await this.#options.pool.run({ kind: 'usage', directory })).bytes ?? 0
  }

  async pack(id: string, target: string): Promise<{ digest: string; bytes: number }> {
    const directory = this.#path('writable', id, 'diff')
    const { pool, ids } = this.#options
    const { packed } = await pool.run({ kind: 'pack', directory, target, ids })
    if (packed === undefined) throw new Error('pack answered nothing')
    return packed
  }

  describeLayers(lowers: readonly string[]): Record<string, string> | null {
    const [top, ...rest] = lowers
    if (top === undefined) return null
    const below = rest.map((name) => this.layerDirectory(name))
    return {
      ...(below.length === 0 ? {} : { LowerDir: below.join(':') }),
      MergedDir: this.#path('layers', top, 'merged'),
      UpperDir: this.layerDirectory(top),
      WorkDir: this.#path('layers', top, 'work'),
    }
  }

  describeWritable(id: string): Record<string, string> | null {
    const directory = this.#path('writable', id)
    const directories = this.#directoriesOf(this.#bases.get(id) ?? { lowers: [], init: true })
    return {
      ID: id,
      LowerDir: directories.join(':'),
      MergedDir: join(directory, 'merged'),
      UpperDir: join(directory, 'diff'),
      WorkDir: join(directory, 'work'),
    }
  }

  #path(...parts: string[]): string {
    return join(this.#options.directory, ...parts)
  }

  #initDirectory(lowers: readonly string[]): string {
    return this.#path('layers', lowers[0] ?? noLayer, 'init')
  }

  async #baseOf(id: string): Promise<WritableBase> {
    const known = this.#bases.get(id)
    if (known !== undefined) return known
    const base = await readBase(this.#path('writable', id, 'lowers'), id)
    this.#bases.set(id, base)
    return base
  }

  async #lowerDirectories(id: string): Promise<string[]> {
    return this.#directoriesOf(await this.#baseOf(id))
  }

  #directoriesOf({ lowers, init }: WritableBase): string[] {
    const layers = lowers.map((name) => this.layerDirectory(name))
    if (init) return [this.#initDirectory(lowers), ...layers]
    return layers.length === 0 ? [this.layerDirectory(noLayer)] : layers
  }

  /** The init layer's directory, made through a mount of the image so that what lies below is kept as it is. */
  async #ensureInit(lowers: readonly string[]): Promise<string> {
    const target = this.#initDirectory(lowers)
    if (this.#inits.has(target)) return target
    using _lock = await this.#locks.acquire(target)
    if (await pathExists(target)) {
      this.#inits.add(target)
      return target
    }
    const draft = this.#path('drafts', randomBytes(8).toString('hex'))
    const upper = { directory: join(draft, 'diff'), work: join(draft, 'work') }
    const merged = join(draft, 'merged')
    for (const directory of [upper.directory, upper.work, merged]) {
      await mkdir(directory, { recursive: true, mode: 0o755 })
    }
    const directories = (lowers.length === 0 ? [noLayer] : lowers).map((name) => this.layerDirectory(name))
    try {
      inheritAttributes(upper.directory, ['/'], directories)
      await this.#options.mount({ lowers: directories, upper, target: merged })
      try {
        writeInitLayer(merged, rootOwner(this.#options.ids))
      } finally {
        unmount(merged, { detached: true })
      }
      await rename(upper.directory, target)
    } finally {
      await this.#options.trash.discard(draft)
    }
    return target
  }
}

/**
 * Whether something is mounted at a directory's entry: it then is on another device than the directory. A mount whose
 * FUSE process is gone is taken away, to be made anew.
 */
function isMounted(directory: string, name: string): boolean {
  const target = join(directory, name)
  try {
    return statSync(directory).dev !== statSync(target).dev
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false
    if (errorCode(error) !== 'ENOTCONN') throw error
    unmount(target, { detached: true })
    return false
  }
}
