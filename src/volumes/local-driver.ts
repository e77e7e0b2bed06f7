/** Volumes as directories: `volumes/NAME/_data` under the data root, or a mount on it (options type, device, o). */
import { randomBytes } from 'node:crypto'
import { chownSync, existsSync, mkdirSync, renameSync, rmdirSync } from 'node:fs'
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { EngineError, errorCode } from '../spec/errors.ts'
import type { Owner } from '../lib/id-mapping.ts'
import { mountTable } from '../kernel/mount-table.ts'
import { unmount } from '../kernel/mount.ts'
import { spreadDirectories } from '../kernel/spread-directories.ts'
import { mountLocalVolume } from './local-mount.ts'
import type { DriverVolume, OwnVolumeDriver } from './volume-driver.ts'

const knownOptions = new Set(['type', 'o', 'device', 'size'])
const requiredWith: readonly (readonly [string, readonly string[]])[] = [
  ['device', ['type']],
  ['type', ['device']],
  ['o', ['device', 'type']],
]
/** No volume's name begins so. */
const draftPrefix = '.draft-'
const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/

/** See the file's head. */
export class LocalVolumeDriver implements OwnVolumeDriver {
  readonly name = 'local'
  readonly scope = 'local'
  readonly isOwn = true
  readonly #root: string
  readonly #owner: Owner | undefined
  /** Who uses a mounted volume. */
  readonly #users = new Map<string, Set<string>>()
  /** Volumes known to be plain directories, on which nothing is mounted. */
  readonly #plain = new Set<string>()
  #isSetUp = false

  /** `root` is the data root's `volumes` directory; new volumes belong to `owner`, where that is somebody else. */
  constructor(root: string, owner?: Owner) {
    this.#root = root
    this.#owner = owner
  }

  async create(name: string, options: Readonly<Record<string, string>>): Promise<void> {
    validateName(name)
    validateOptions(options)
    await this.#setUp()
    if (existsSync(join(this.#root, name))) this.#makeData(this.path(name))
    else this.#make(name)
    // Not synced: the row's commit takes the directories along where the file system has one journal, and elsewhere
    // `mount` makes again what a power cut took, which is empty.
    if (options['device'] === undefined) this.#plain.add(name)
  }

  /**
   * Makes the directory under a name by chance and gives it its own then: ext4 spreads directories by name, and would
   * bring this one back to where a volume of the same name has just been removed. Synchronous: each call takes less
   * than the way to another thread.
   */
  #make(name: string): void {
    const draft = this.#draftPath()
    mkdirSync(draft, { mode: 0o701 })
    this.#makeData(join(draft, '_data'))
    renameSync(draft, join(this.#root, name))
  }

  /** The directory of a volume's files, if it is not there yet. */
  #makeData(path: string): void {
    if (existsSync(path)) return
    mkdirSync(path, { mode: 0o755 })
    if (this.#owner !== undefined) chownSync(path, this.#owner.uid, this.#owner.gid)
  }

  #draftPath(): string {
    return join(this.#root, `${draftPrefix}${randomBytes(8).toString('hex')}`)
  }

  /** Once, when the daemon comes up: the directory of volumes, without what one that died had not finished. */
  async #setUp(): Promise<void> {
    if (this.#isSetUp) return
    await mkdir(this.#root, { recursive: true, mode: 0o701 })
    spreadDirectories(this.#root)
    this.#isSetUp = true
    for (const entry of await readdir(this.#root)) {
      if (entry.startsWith(draftPrefix)) await rm(join(this.#root, entry), { recursive: true })
    }
  }

  async remove(name: string): Promise<void> {
    validateName(name)
    this.#users.delete(name)
    if (this.#isMounted(name)) unmount(this.path(name), { detached: true })
    this.#plain.delete(name)
    const leaving = this.#draftPath()
    try {
      renameSync(join(this.#root, name), leaving)
      rmdirSync(join(leaving, '_data'))
      rmdirSync(leaving)
    } catch {
      // It has files, or is not there at all, or is not to be had: the last is told by these.
      await rm(join(this.#root, name), { recursive: true, force: true, maxRetries: 3 })
      await rm(leaving, { recursive: true, force: true, maxRetries: 3 })
    }
  }

  path(name: string): string {
    return join(this.#root, name, '_data')
  }

  async get(name: string): Promise<DriverVolume> {
    return { name, mountpoint: this.path(name) }
  }

  async mount(name: string, options: Readonly<Record<string, string>>, user: string): Promise<string> {
    validateName(name)
    const path = this.path(name)
    await mkdir(join(this.#root, name), { recursive: true })
    this.#makeData(path)
    const { type = '', device = '' } = options
    if (type !== '' && device !== '') {
      if (!this.#isMounted(name)) await mountLocalVolume({ type, device, options: options['o'] ?? '' }, path)
      const users = this.#users.get(name) ?? new Set()
      this.#users.set(name, users.add(user))
    } else this.#plain.add(name)
    return path
  }

  async unmount(name: string, user: string): Promise<void> {
    const users = this.#users.get(name)
    users?.delete(user)
    if (users !== undefined && users.size > 0) return
    this.#users.delete(name)
    // Containers have mounts of their own, so those that the daemon has forgotten in a restart keep theirs.
    if (this.#isMounted(name)) unmount(this.path(name), { detached: true })
  }

  async list(): Promise<DriverVolume[]> {
    await this.#setUp()
    try {
      const entries = await readdir(this.#root, { withFileTypes: true })
      const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
      const whole = names.filter((name) => !name.startsWith(draftPrefix))
      return whole.map((name) => ({ name, mountpoint: this.path(name) }))
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return []
      throw error
    }
  }

  async usageBytes(name: string): Promise<number> {
    return treeBytes(this.path(name))
  }

  #isMounted(name: string): boolean {
    if (this.#plain.has(name)) return false
    const path = this.path(name)
    return mountTable().some(({ mountPoint }) => mountPoint === path)
  }
}

function validateName(name: string): void {
  if (name.length === 1) {
    throw new EngineError(
      'invalid',
      'volume name is too short, names should be at least two alphanumeric characters',
    )
  }
  if (!namePattern.test(name)) {
    throw new EngineError(
      'invalid',
      `${JSON.stringify(name)} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    )
  }
}

function validateOptions(options: Readonly<Record<string, string>>): void {
  for (const name of Object.keys(options)) {
    if (!knownOptions.has(name)) throw new EngineError('invalid', `invalid option: ${JSON.stringify(name)}`)
  }
  if (options['size'] !== undefined) {
    throw new EngineError('invalid', 'quota size requested but no quota support')
  }
  for (const [name, needed] of requiredWith) {
    if (options[name] === undefined) continue
    const missing = needed.find((each) => options[each] === undefined)
    if (missing !== undefined) throw new EngineError('invalid', `missing required option: "${missing}"`)
  }
}

/** Bytes of all files below a directory, a file with several names counted once. */
async function treeBytes(top: string): Promise<number> {
  const seen = new Set<string>()
  const todo = [top]
  let total = 0
  for (let directory = todo.pop(); directory !== undefined; directory = todo.pop()) {
    for (const entry of await readdir(directory, { withFileTypes: true }).catch(ignoreGone)) {
      const path = join(directory, entry.name)
      if (entry.isDirectory()) todo.push(path)
      else if (entry.isFile()) total += await fileBytes(path, seen)
    }
  }
  return total
}

async function fileBytes(path: string, seen: Set<string>): Promise<number> {
  const stats = await stat(path).catch(() => undefined)
  if (stats === undefined) return 0
  const key = `${stats.dev}:${stats.ino}`
  if (stats.nlink > 1 && seen.has(key)) return 0
  seen.add(key)
  return stats.size
}

function ignoreGone(error: unknown): [] {
  const code = errorCode(error)
  if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES') return []
  throw error
}
