/**
 * Removal in two steps: out of sight by rename, which is one short call, then the files, in the background. A crash
 * in between leaves the files in the trash directory, which the next start empties.
 */
import { randomBytes } from 'node:crypto'
import type { Dirent } from 'node:fs'
import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Sweep } from '../kernel/sweeper.ts'
import type { TaskGroup } from '../lib/task-group.ts'
import type { WorkerPool } from '../lib/worker-pool.ts'
import { errorCode } from '../spec/errors.ts'
import type { LayerJob, LayerJobResult } from './layer-jobs.ts'

/** Where a trash is and who empties it. The directory is on the file system of what goes there. */
export type TrashOptions = {
  directory: string
  pool: WorkerPool<LayerJob, LayerJobResult>
  tasks: TaskGroup
  /** Removes small trees at once. */
  sweep: Sweep | undefined
}

/** See the file's head. */
export class Trash {
  readonly #options: TrashOptions

  constructor(options: TrashOptions) {
    this.#options = options
  }

  /** Makes the directory and empties it of what a former run left. */
  async setUp(): Promise<void> {
    await mkdir(this.#options.directory, { recursive: true, mode: 0o700 })
    for (const name of await readdir(this.#options.directory)) {
      this.#delete(join(this.#options.directory, name))
    }
  }

  /** Takes a file or tree away; nothing happens when it is not there. */
  async discard(path: string): Promise<void> {
    const target = join(this.#options.directory, randomBytes(8).toString('hex'))
    try {
      await rename(path, target)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return
      throw error
    }
    this.#delete(target)
  }

  #delete(path: string): void {
    this.#options.tasks.run('empty trash', async () => {
      if ((await this.#options.sweep?.([{ kind: 'tree', path }])) === true) return
      // Whatever was in the way of this one, the thorough removal overcomes or tells.
      const left = await removeSmall(path, smallEntries).catch(() => -1)
      if (left >= 0) return
      await this.#options.pool.run({ kind: 'remove', path })
    })
  }
}

/** A tree with more is a matter for a worker thread, whose start costs 30 ms and 10 MB. */
const smallEntries = 48

/** Removes a tree of at most so many entries; how many more it could have had. Negative when it stopped half-way. */
async function removeSmall(path: string, most: number): Promise<number> {
  let left = most
  const entries = await entriesOf(path)
  if (entries === undefined) {
    await rm(path, { force: true })
    return left - 1
  }
  left -= entries.length
  for (const entry of entries) {
    if (left < 0) return left
    const below = join(path, entry.name)
    if (entry.isDirectory()) left = await removeSmall(below, left)
    else await rm(below, { force: true })
  }
  if (left >= 0) await rmdir(path)
  return left
}

/** What a directory holds; undefined for what is none or is not there. */
async function entriesOf(path: string): Promise<Dirent[] | undefined> {
  try {
    return await readdir(path, { withFileTypes: true })
  } catch (error) {
    if (errorCode(error) === 'ENOTDIR' || errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}
