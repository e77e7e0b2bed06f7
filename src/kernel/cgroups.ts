/**
 * Containers' cgroups. The OCI runtime makes a container's cgroup from the path of its configuration; all that comes
 * after is here: reading, freezing, changing limits, killing, removing. A cgroup is named by its path below the
 * hierarchies' roots (`/wharf/ID`); in version 1 and hybrid layouts the same path exists once in each hierarchy.
 */
import { readFileSync } from 'node:fs'
import { readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { basename, join, posix } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Resources } from '../spec/container-config.ts'
import { fileErrorReason } from '../lib/file-error.ts'
import { EngineError, errorCode } from '../spec/errors.ts'
import type { TaskStats } from '../spec/task-types.ts'
import { controllerDirectory, type CgroupLayout } from './cgroup-layout.ts'
import { limitWritesV1, limitWritesV2, type CgroupWrite, type CurrentLimits } from './cgroup-limits.ts'
import {
  parseOomState,
  parsePids,
  parseStatsV1,
  parseStatsV2,
  statsFilesV1,
  statsFilesV2,
  type CgroupTexts,
  type OomState,
} from './cgroup-stats.ts'

/** Parent of all containers that name none. */
const defaultCgroupParent = '/wharf'

/** How long processes may take to die or freeze before an operation gives up. */
const patienceMs = 10_000
const pollMs = 5

/** See the file's head. */
export class Cgroups {
  readonly layout: CgroupLayout
  readonly #parent: string

  /** `parent` is the daemon's `cgroup-parent`; empty for `/wharf`. */
  constructor(layout: CgroupLayout, parent = '') {
    this.layout = layout
    this.#parent = parent === '' ? defaultCgroupParent : parent
  }

  /** The path of a container's cgroup. A parent cannot lead out of the hierarchy. */
  pathFor(id: string, parent: string): string {
    return posix.join(posix.resolve('/', parent === '' ? this.#parent : parent), id)
  }

  /** A reading of everything. Throws notFound when the cgroup is gone. */
  async stats(path: string): Promise<TaskStats> {
    if (this.layout.mode === 'v2') return parseStatsV2(await this.#texts('', statsFilesV2, path))
    const parts = await Promise.all(
      Object.entries(statsFilesV1).map(async ([controller, files]) => this.#texts(controller, files, path)),
    )
    return parseStatsV1(Object.assign({}, ...parts))
  }

  /** Process ids in the cgroup and those below it, as the daemon's pid namespace numbers them. */
  async pids(path: string): Promise<number[]> {
    const pids: number[] = []
    for (const directory of await this.#tree(this.#mainDirectory(path))) {
      const text = await readOptional(join(directory, 'cgroup.procs'))
      if (text !== undefined) pids.push(...parsePids(text))
    }
    return pids
  }

  /** Stops all processes; resolves when they stand still. */
  async freeze(path: string): Promise<void> {
    await this.#setFrozen(path, true)
  }

  /** Lets them go on. */
  async thaw(path: string): Promise<void> {
    await this.#setFrozen(path, false)
  }

  /** Whether the cgroup is frozen now. */
  async isFrozen(path: string): Promise<boolean> {
    const { stateFile, frozenText } = this.#freezer(path)
    return (await readOptional(stateFile))?.includes(frozenText) ?? false
  }

  /** Applies the limits that are set. Throws `internal` with the kernel's reason and what it was asked. */
  async update(path: string, resources: Resources): Promise<void> {
    const current = await this.#currentLimits(path)
    const v2 = this.layout.mode === 'v2'
    const writes = v2 ? limitWritesV2(resources, current) : limitWritesV1(resources, current)
    for (const write of writes) await this.#write(path, write)
  }

  /** How many processes the kernel has killed here for memory. 0 when the cgroup is gone. */
  async oomKills(path: string): Promise<number> {
    return (await this.oomState(path))?.kills ?? 0
  }

  /** What the kernel says about running out of memory here. Undefined when the cgroup is gone. */
  async oomState(path: string): Promise<OomState | undefined> {
    const file = this.oomFile(path)
    const text = file === undefined ? undefined : readNow(file)
    return text === undefined ? undefined : parseOomState(text)
  }

  /** The file that tells; undefined where there is no memory controller. */
  oomFile(path: string): string | undefined {
    const directory = controllerDirectory(this.layout, 'memory', path)
    if (directory === undefined) return undefined
    return join(directory, this.layout.mode === 'v2' ? 'memory.events' : 'memory.oom_control')
  }

  /** Kills all processes and waits until none is left. */
  async kill(path: string): Promise<void> {
    const deadline = Date.now() + patienceMs
    // A frozen process takes its signal only once it is thawed; a running one may fork meanwhile, so go round.
    for (;;) {
      const pids = await this.pids(path)
      if (pids.length === 0) return
      if (Date.now() > deadline) throw new EngineError('internal', `processes of cgroup ${path} do not die`)
      for (const pid of pids) killQuietly(pid)
      await this.thaw(path).catch(ignoreGone)
      await delay(pollMs)
    }
  }

  /** Its directory in every hierarchy. */
  directories(path: string): string[] {
    if (path === '/' || path === '') throw new TypeError('the root cgroup cannot be removed')
    return this.layout.mounts.map((mount) => join(mount, path))
  }

  /** Removes the cgroup and all below it from every hierarchy. Idempotent; processes must have ended. */
  async remove(path: string): Promise<void> {
    await Promise.all(this.directories(path).map(async (directory) => this.#removeTree(directory)))
  }

  /** Names of the cgroups below a parent (default: the daemon's), in any hierarchy. */
  async list(parent = ''): Promise<string[]> {
    const directory = posix.resolve('/', parent === '' ? this.#parent : parent)
    const names = new Set<string>()
    for (const mount of this.layout.mounts) {
      for (const name of await subdirectories(join(mount, directory))) names.add(basename(name))
    }
    return [...names].sort()
  }

  /** Where processes of the cgroup are listed: the version 2 tree, or a version 1 hierarchy that always exists. */
  #mainDirectory(path: string): string {
    for (const controller of ['pids', 'memory', 'cpu', 'devices']) {
      const directory = controllerDirectory(this.layout, controller, path)
      if (directory !== undefined) return directory
    }
    throw new EngineError('internal', 'no cgroup hierarchy is mounted')
  }

  async #texts(controller: string, files: readonly string[], path: string): Promise<CgroupTexts> {
    const directory = controllerDirectory(this.layout, controller, path)
    if (directory === undefined) return {}
    const pairs = await Promise.all(
      files.map(async (file) => [file, await readOptional(join(directory, file))] as const),
    )
    if (pairs.every(([, text]) => text === undefined)) await this.#requireExisting(directory, path)
    return Object.fromEntries(pairs)
  }

  async #requireExisting(directory: string, path: string): Promise<void> {
    if ((await readOptional(join(directory, 'cgroup.procs'))) === undefined) {
      throw new EngineError('notFound', `no cgroup ${path}`)
    }
  }

  #freezer(path: string): { file: string; stateFile: string; frozenText: string; on: string; off: string } {
    const v1 = this.layout.controllers.get('freezer')
    if (v1 !== undefined) {
      const file = join(v1, path, 'freezer.state')
      return { file, stateFile: file, frozenText: 'FROZEN', on: 'FROZEN', off: 'THAWED' }
    }
    if (this.layout.unified === undefined) throw new EngineError('internal', 'no freezer cgroup is mounted')
    const directory = join(this.layout.unified, path)
    const stateFile = join(directory, 'cgroup.events')
    return { file: join(directory, 'cgroup.freeze'), stateFile, frozenText: 'frozen 1', on: '1', off: '0' }
  }

  async #setFrozen(path: string, frozen: boolean): Promise<void> {
    const { file, stateFile, frozenText, on, off } = this.#freezer(path)
    const deadline = Date.now() + patienceMs
    await writeFile(file, frozen ? on : off)
    while ((await readFile(stateFile, 'utf8')).includes(frozenText) !== frozen) {
      if (Date.now() > deadline) {
        await writeFile(file, off)
        throw new EngineError('internal', `cgroup ${path} does not ${frozen ? 'freeze' : 'thaw'}`)
      }
      await delay(pollMs)
      // Version 1: a process that forked while freezing is caught only by asking again.
      if (frozen) await writeFile(file, on)
    }
  }

  async #currentLimits(path: string): Promise<CurrentLimits> {
    const directory = controllerDirectory(this.layout, 'memory', path)
    if (directory === undefined) return {}
    const read = async (file: string) => {
      const text = (await readOptional(join(directory, file)))?.trim() ?? ''
      const value = Number(text)
      return /^\d+$/.test(text) && value < 2 ** 62 ? value : undefined
    }
    const v2 = this.layout.mode === 'v2'
    const memoryBytes = await read(v2 ? 'memory.max' : 'memory.limit_in_bytes')
    const swapBytes = await read(v2 ? 'memory.swap.max' : 'memory.memsw.limit_in_bytes')
    return {
      ...(memoryBytes !== undefined && { memoryBytes }),
      ...(swapBytes !== undefined && { swapBytes }),
    }
  }

  async #write(path: string, { controller, file, value, optional = false }: CgroupWrite): Promise<void> {
    const directory = controllerDirectory(this.layout, controller, path)
    if (directory === undefined) return
    try {
      // Not writeFile's default flags: a missing file must not be taken for a new one.
      await writeFile(join(directory, file), value, { flag: 'r+' })
    } catch (error) {
      if (optional && errorCode(error) === 'ENOENT') return
      throw new EngineError('internal', `failed to write "${value}" to ${file}: ${fileErrorReason(error)}`, {
        cause: error,
      })
    }
  }

  /** The directory and all below it, deepest last; empty when it is gone. */
  async #tree(directory: string): Promise<string[]> {
    const found = [directory]
    for (let index = 0; index < found.length; index++)
      found.push(...(await subdirectories(found[index] ?? '')))
    return found
  }

  async #removeTree(directory: string): Promise<void> {
    const deadline = Date.now() + patienceMs
    const directories = (await this.#tree(directory)).reverse()
    for (const each of directories) {
      while (!(await removeDirectory(each))) {
        if (Date.now() > deadline) throw new EngineError('internal', `cgroup ${each} is busy`)
        await delay(pollMs)
      }
    }
  }
}

/** Whether it is gone; false while a dying process still holds it. */
async function removeDirectory(path: string): Promise<boolean> {
  try {
    await rmdir(path)
    return true
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return true
    if (errorCode(error) === 'EBUSY') return false
    throw error
  }
}

async function subdirectories(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true })
    return entries.filter((entry) => entry.isDirectory()).map((entry) => join(directory, entry.name))
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENODEV') return []
    throw error
  }
}

/** The file's text, undefined when the kernel has no such file or the cgroup is gone. */
async function readOptional(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(undefinedWhenAbsent)
}

/** The same at once: one short reading is not worth the five calls on other threads. */
function readNow(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    return undefinedWhenAbsent(error)
  }
}

function undefinedWhenAbsent(error: unknown): undefined {
  const code = errorCode(error)
  if (code !== 'ENOENT' && code !== 'ENODEV' && code !== 'EOPNOTSUPP') throw error
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error
  }
}

function ignoreGone(error: unknown): void {
  const code = errorCode(error)
  if (code !== 'ENOENT' && code !== 'ENODEV') throw error
}
