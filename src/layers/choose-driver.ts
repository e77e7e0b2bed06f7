/** Which storage driver a data root has: the one asked for, else overlay2 where its file system can, else vfs. */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { unmount } from '../kernel/mount.ts'
import { mountOverlay } from '../kernel/overlay.ts'
import type { Log } from '../lib/log.ts'
import type { WorkerPool } from '../lib/worker-pool.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import type { LayerJob, LayerJobResult } from './layer-jobs.ts'
import { Overlay2Driver } from './overlay2-driver.ts'
import type { StorageDriver } from './storage-driver.ts'
import type { Trash } from './trash.ts'
import { VfsDriver } from './vfs-driver.ts'

/** What the choice depends on. Each driver keeps to a directory of its name, so that going back brings all back. */
export type DriverChoice = {
  /** Empty for the best that works. */
  name: string
  /** The directory of all drivers. */
  directory: string
  trash: Trash
  pool: WorkerPool<LayerJob, LayerJobResult>
  log: Log
}

/** The driver. Throws when the one asked for is unknown or cannot work here. */
export async function chooseDriver({
  name,
  directory,
  trash,
  pool,
  log,
}: DriverChoice): Promise<StorageDriver> {
  if (name === 'vfs') return new VfsDriver({ directory: join(directory, 'vfs'), trash, pool })
  if (name !== '' && name !== 'overlay2' && name !== 'overlay') {
    throw new EngineError('invalid', `error initializing graphdriver: driver not supported: ${name}`)
  }
  const problem = await overlayProblem(directory)
  if (problem === undefined)
    return new Overlay2Driver({ directory: join(directory, 'overlay2'), trash, pool })
  if (name !== '') {
    throw new EngineError(
      'invalid',
      `error initializing graphdriver: driver not supported: ${name}: ${problem}`,
    )
  }
  log.warn('overlay does not work on this file system: every layer will be a whole copy', {
    directory,
    problem,
  })
  return new VfsDriver({ directory: join(directory, 'vfs'), trash, pool })
}

/** Why overlay cannot be mounted on a directory's file system; undefined when it can. */
async function overlayProblem(directory: string): Promise<string | undefined> {
  const probe = join(directory, '.probe')
  const part = (name: string) => join(probe, name)
  await rm(probe, { recursive: true, force: true })
  for (const name of ['lower', 'upper', 'work', 'merged']) {
    await mkdir(part(name), { recursive: true, mode: 0o700 })
  }
  try {
    const upper = { directory: part('upper'), work: part('work') }
    mountOverlay({ lowers: [part('lower')], upper, target: part('merged') })
    unmount(part('merged'), { detached: true })
    return undefined
  } catch (error) {
    return errorMessage(error)
  } finally {
    await rm(probe, { recursive: true, force: true })
  }
}
