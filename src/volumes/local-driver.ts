/** Volumes as directories: `volumes/NAME/_data` under the data root, or a mount on it (options type, device, o). */
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { EngineError, errorCode, errorMessage } from '../spec/errors.ts'
import { syncDirectory } from '../lib/sync-directory.ts'
import { unescapeMountPath } from '../kernel/cgroup-layout.ts'
import { mountDataAndFlags } from '../kernel/mount-options.ts'
import { mount, unmount } from '../kernel/mount.ts'
import type { VolumeDriver } from './volume-driver.ts'

const knownOptions = new Set(['type', 'o', 'device', 'size'])
const requiredWith: readonly (readonly [string, readonly string[]])[] = [
  ['device', ['type']],
  ['type', ['device']],
  ['o', ['device', 'type']],
]
const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/

/** See the file's head. */
export class LocalVolumeDriver implements VolumeDriver {
  readonly name = 'local'
  readonly scope = 'local'
  readonly #root: string
  /** Who uses a mounted volume. */
  readonly #users = new Map<string, Set<string>>()

  /** `root` is the data root's `volumes` directory. */
  constructor(root: string) {
    this.#root = root
  }

  async create(name: string, options: Readonly<Record<string, string>>): Promise<void> {
    validateName(name)
    validateOptions(options)
    await mkdir(join(this.#root, name), { recursive: true, mode: 0o701 })
    await mkdir(this.path(name), { recursive: true, mode: 0o755 })
    await syncDirectory(this.#root)
  }

  async remove(name: string): Promise<void> {
    validateName(name)
    this.#users.delete(name)
    if (await this.#isMounted(name)) unmount(this.path(name), { detached: true })
    await rm(join(this.#root, name), { recursive: true, force: true, maxRetries: 3 })
  }

  path(name: string): string {
    return join(this.#root, name, '_data')
  }

  async mount(name: string, options: Readonly<Record<string, string>>, user: string): Promise<string> {
    validateName(name)
    const path = this.path(name)
    await mkdir(path, { recursive: true })
    const { type = '', device = '' } = options
    if (type !== '' && device !== '') {
      if (!(await this.#isMounted(name))) mountVolume(options, path)
      const users = this.#users.get(name) ?? new Set()
      this.#users.set(name, users.add(user))
    }
    return path
  }

  async unmount(name: string, user: string): Promise<void> {
    const users = this.#users.get(name)
    users?.delete(user)
    if (users !== undefined && users.size > 0) return
    this.#users.delete(name)
    // Containers have mounts of their own, so those that the daemon has forgotten in a restart keep theirs.
    if (await this.#isMounted(name)) unmount(this.path(name), { detached: true })
  }

  async list(): Promise<string[]> {
    try {
      const entries = await readdir(this.#root, { withFileTypes: true })
      return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return []
      throw error
    }
  }

  async usageBytes(name: string): Promise<number> {
    return treeBytes(this.path(name))
  }

  async #isMounted(name: string): Promise<boolean> {
    const path = this.path(name)
    const text = await readFile('/proc/self/mountinfo', 'utf8')
    return text.split('\n').some((line) => unescapeMountPath(line.split(' ')[4] ?? '') === path)
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

/** Mounts with the helper-free options of mount(2). Passwords never appear in what is thrown. */
function mountVolume(options: Readonly<Record<string, string>>, target: string): void {
  const { type = '', device = '', o = '' } = options
  const { flags, data } = mountDataAndFlags(o)
  try {
    mount({ source: device, target, type, flags, data })
  } catch (error) {
    const text = errorMessage(error).replaceAll(/password=[^,]*/g, 'password=********')
    throw new EngineError(
      'internal',
      `failed to mount local volume: mount ${device}:${target}${o === '' ? '' : `, data: ${o}`}: ${text}`.replaceAll(
        /password=[^,:]*/g,
        'password=********',
      ),
    )
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
