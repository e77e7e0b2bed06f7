/**
 * Removal in two steps: out of sight by rename, which is one short call, then the files, in the background. A crash
 * in between leaves the files in the trash directory, which the next start empties.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { TaskGroup } from '../lib/task-group.ts'
import type { WorkerPool } from '../lib/worker-pool.ts'
import { errorCode } from '../spec/errors.ts'
import type { LayerJob, LayerJobResult } from './layer-jobs.ts'

/** Where a trash is and who empties it. The directory is on the file system of what goes there. */
export type TrashOptions = {
  directory: string
  pool: WorkerPool<LayerJob, LayerJobResult>
  tasks: TaskGroup
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
      await this.#options.pool.run({ kind: 'remove', path })
    })
  }
}
