/**
 * Which storage driver a data root has: the one asked for, else the one whose layers it holds already, else the best
 * that works here. Each driver keeps to a directory of its name, so that going back to one brings all back.
 */
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createSubvolume, isOnBtrfs, limitSubvolume, snapshotSubvolume } from '../kernel/btrfs.ts'
import { fuseOverlay } from '../kernel/fuse-overlay.ts'
import { unmount } from '../kernel/mount.ts'
import { mountOverlay, type OverlayMount } from '../kernel/overlay.ts'
import type { IdMapping } from '../lib/id-mapping.ts'
import type { Log } from '../lib/log.ts'
import type { WorkerPool } from '../lib/worker-pool.ts'
import { EngineError, errorCode, errorMessage } from '../spec/errors.ts'
import { fileSystemName } from './file-system-name.ts'
import type { LayerJob, LayerJobResult } from './layer-jobs.ts'
import { OverlayDriver } from './overlay-driver.ts'
import type { StorageDriver } from './storage-driver.ts'
import { parseDriverOptions, refusing, sizeOnly, type DriverOptions } from './storage-options.ts'
import type { Trash } from './trash.ts'
import { TreeDriver, type TreeMaker } from './tree-driver.ts'

/** What the choice depends on. */
export type DriverChoice = {
  /** Empty for the one in use, or the best that works. */
  name: string
  /** The daemon's `storage-opts`. */
  options: readonly string[]
  /** The directory of all drivers. */
  directory: string
  /** PATH for the programs that drivers run. */
  searchPath: string | undefined
  trash: Trash
  pool: WorkerPool<LayerJob, LayerJobResult>
  /** What ids of containers are on the host. */
  ids: IdMapping | undefined
  log: Log
}

type Candidate = {
  /** Why it cannot work here; undefined when it can. */
  problem(choice: DriverChoice, directory: string): Promise<string | undefined>
  make(choice: DriverChoice, directory: string, options: DriverOptions): StorageDriver
}

/** containerd's name for what Docker calls overlay2. */
const aliases: Readonly<Record<string, string>> = { overlayfs: 'overlay2' }
/** Best first. `overlay` is overlay2 under its older name: only where asked for. */
const automatic = ['overlay2', 'fuse-overlayfs', 'btrfs', 'vfs']

const candidates: Readonly<Record<string, Candidate>> = {
  overlay2: kernelOverlay('overlay2'),
  overlay: kernelOverlay('overlay'),
  'fuse-overlayfs': {
    problem: ({ searchPath }, directory) => overlayProblem(directory, fuseOverlay(searchPath)),
    make: (choice, directory) =>
      new OverlayDriver({
        ...choice,
        name: 'fuse-overlayfs',
        directory,
        mount: fuseOverlay(choice.searchPath),
        status: [],
        rules: refusing('--storage-opt is not supported'),
      }),
  },
  btrfs: {
    problem: async (_choice, directory) =>
      isOnBtrfs(directory) ? undefined : `${directory} is on ${fileSystemName(directory)}, not on btrfs`,
    make: (choice, directory, { minimumBytes }) =>
      new TreeDriver({
        ...choice,
        name: 'btrfs',
        directory,
        trees: subvolumes,
        status: [['Btrfs', '']],
        rules: sizeOnly('btrfs', minimumBytes),
      }),
  },
  vfs: {
    problem: async () => undefined,
    make: (choice, directory) =>
      new TreeDriver({
        ...choice,
        name: 'vfs',
        directory,
        trees: copies(choice.pool),
        status: [],
        rules: refusing('Filesystem does not support, or has not enabled quotas'),
      }),
  },
}

/** The driver. Throws invalid when the one asked for is unknown or cannot work here. */
export async function chooseDriver(choice: DriverChoice): Promise<StorageDriver> {
  const asked = aliases[choice.name] ?? choice.name
  const name = asked === '' ? await automaticName(choice) : asked
  const candidate = Object.hasOwn(candidates, name) ? candidates[name] : undefined
  if (candidate === undefined) throw notSupported(name, await absence(name))
  const directory = join(choice.directory, name)
  await mkdir(directory, { recursive: true, mode: 0o711 })
  const problem = await candidate.problem(choice, directory)
  if (problem !== undefined) {
    await removeIfEmpty(directory)
    throw notSupported(name, problem)
  }
  return candidate.make(choice, directory, parseDriverOptions(name, choice.options, directory))
}

/** moby daemon/graphdriver: what a data root holds already decides before what would work best. */
async function automaticName(choice: DriverChoice): Promise<string> {
  const prior: string[] = []
  for (const name of Object.keys(candidates)) {
    if (await holdsLayers(join(choice.directory, name))) prior.push(name)
  }
  if (prior.length > 1) {
    throw new EngineError(
      'invalid',
      `error initializing graphdriver: ${choice.directory} contains several valid graphdrivers: ${prior.join(', ')}; Please cleanup or explicitly choose storage driver (-s <DRIVER>)`,
    )
  }
  const [only] = prior
  if (only !== undefined) return only
  const problems: Record<string, string> = {}
  for (const name of automatic) {
    const problem = await candidates[name]?.problem(choice, choice.directory)
    if (problem !== undefined) {
      problems[name] = problem
      continue
    }
    if (name === 'vfs') choice.log.warn('every layer and container will be a whole copy', { problems })
    return name
  }
  return 'vfs'
}

async function holdsLayers(directory: string): Promise<boolean> {
  for (const part of ['layers', 'writable']) {
    const names = await namesIn(join(directory, part))
    if (names.some((name) => !name.startsWith('.'))) return true
  }
  return false
}

/** A directory that a driver was to have and that holds nothing must not count as one in use. */
async function removeIfEmpty(directory: string): Promise<void> {
  if ((await namesIn(directory)).length === 0) await rm(directory, { recursive: true, force: true })
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}

function notSupported(name: string, reason: string | undefined): EngineError {
  const text = `error initializing graphdriver: driver not supported: ${name}`
  return new EngineError('invalid', reason === undefined ? text : `${text}: ${reason}`)
}

/** Why Docker's further drivers cannot be had; undefined for a name that means nothing. */
async function absence(name: string): Promise<string | undefined> {
  if (name === 'devicemapper') {
    return existsSync('/dev/mapper/control')
      ? 'Docker has removed it in version 25, and this engine never had it'
      : 'the kernel has no device mapper (no /dev/mapper/control)'
  }
  if (name !== 'zfs' && name !== 'aufs') return undefined
  const known = (await readFile('/proc/filesystems', 'utf8')).split(/\s+/).includes(name)
  return known
    ? `the kernel has ${name}, but this engine has no driver for it`
    : `the kernel has no ${name} (see /proc/filesystems)`
}

function kernelOverlay(name: string): Candidate {
  const mount = async (request: OverlayMount) => mountOverlay(request)
  const status: [string, string][] = [['Supports d_type', 'true']]
  if (name === 'overlay2') {
    status.push(['Using metacopy', 'false'], ['Native Overlay Diff', 'true'], ['userxattr', 'false'])
  }
  return {
    problem: (_choice, directory) => overlayProblem(directory, mount),
    make: (choice, directory) =>
      new OverlayDriver({
        ...choice,
        name,
        directory,
        mount,
        status,
        rules: refusing("--storage-opt is supported only for overlay over xfs with 'pquota' mount option"),
      }),
  }
}

/** Why overlay cannot be mounted on a directory's file system; undefined when it can. */
async function overlayProblem(
  directory: string,
  mount: (request: OverlayMount) => Promise<void>,
): Promise<string | undefined> {
  const probe = join(directory, '.probe')
  const part = (name: string) => join(probe, name)
  await rm(probe, { recursive: true, force: true })
  for (const name of ['lower', 'upper', 'work', 'merged']) {
    await mkdir(part(name), { recursive: true, mode: 0o700 })
  }
  try {
    const upper = { directory: part('upper'), work: part('work') }
    await mount({ lowers: [part('lower')], upper, target: part('merged') })
    unmount(part('merged'), { detached: true })
    return undefined
  } catch (error) {
    return errorMessage(error)
  } finally {
    await rm(probe, { recursive: true, force: true, maxRetries: 5 })
  }
}

const subvolumes: TreeMaker = {
  create: async (target) => createSubvolume(target),
  clone: async (source, target) => snapshotSubvolume(source, target),
  limit: (tree, bytes) => limitSubvolume(tree, bytes),
}

function copies(pool: WorkerPool<LayerJob, LayerJobResult>): TreeMaker {
  const create = async (target: string) => {
    await mkdir(target, { mode: 0o755 })
  }
  return {
    create,
    clone: async (source, target) => {
      await create(target)
      await pool.run({ kind: 'copy', source, target })
    },
  }
}
