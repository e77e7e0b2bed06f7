/** What stands behind a mount when a container starts: sources that exist, subpaths, and content from the image. */
import { chmod, chown, lchown, mkdir, readdir, rm, rmdir, stat, statfs, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { mount, mountFlags, unmount } from '../kernel/mount.ts'
import { mountHolding } from '../kernel/mount-table.ts'
import { lstatInRoot, openFlags, openInRoot } from '../kernel/scoped-path.ts'
import type { Owner } from '../lib/id-mapping.ts'
import { EngineError, errorCode, errorMessage } from '../spec/errors.ts'
import { mountConfigError } from './mount-parser.ts'
import type { StoredMount } from './container-mounts.ts'

/** Copies a tree's content and attributes into an existing directory. */
export type TreeCopy = (source: string, target: string) => Promise<void>

/** Makes a missing source where the mount asks for it, and gives it to `owner`. Throws invalid otherwise. */
export async function bindSource({ point, createSource }: StoredMount, owner?: Owner): Promise<void> {
  if (!(await exists(point.Source))) {
    if (!createSource) throw mountConfigError('bind', `bind source path does not exist: ${point.Source}`)
    try {
      await makeDirectories(point.Source, owner)
    } catch (error) {
      const reason = errorMessage(error).replace(/^[A-Z0-9]+: (.*), (mkdir) '(.*)'$/, '$2 $3: $1')
      throw new EngineError(
        'internal',
        `error while creating mount source path '${point.Source}': ${reason}`,
        { cause: error },
      )
    }
  }
  checkPropagation(point.Source, point.Propagation)
}

/** As mkdir(2) does one by one: Node's own way reports a read-only file system as a path that is not there. */
async function makeDirectories(path: string, owner: Owner | undefined): Promise<void> {
  try {
    await mkdir(path)
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return
    if (errorCode(error) !== 'ENOENT') throw error
    await makeDirectories(dirname(path), owner)
    await mkdir(path)
  }
  // Not where a link leads: a container may have put one in its place.
  if (owner !== undefined) await lchown(path, owner.uid, owner.gid)
}

/** moby daemon/oci_linux.go: a bind can only share what its source's mount shares. */
function checkPropagation(source: string, propagation: string): void {
  const wantsShared = propagation === 'shared' || propagation === 'rshared'
  if (!wantsShared && propagation !== 'slave' && propagation !== 'rslave') return
  const { mountPoint, isShared, isSlave } = mountHolding(source)
  if (isShared || (isSlave && !wantsShared)) return
  throw new EngineError(
    'internal',
    `path ${source} is mounted on ${mountPoint} but it is not a ${wantsShared ? 'shared' : 'shared or slave'} mount`,
  )
}

const procMagic = 0x9fa0
/** Files of /proc that programs like lxcfs replace (runc libcontainer/rootfs_linux.go, checkProcMount). */
const replaceable = new Set(
  'cpuinfo diskstats meminfo stat swaps uptime loadavg slabinfo net/dev sys/kernel/ns_last_pid sys/crypto/fips_enabled'.split(
    ' ',
  ),
)

/** As runc does: what hides parts of a container is in /proc. crun would let anything lie over it. */
export async function checkProc(source: string, destination: string): Promise<void> {
  const refuse = (reason: string) => {
    throw new EngineError(
      'invalid',
      `failed to create task for container: failed to create shim task: OCI runtime create failed: error mounting ${JSON.stringify(source)} to rootfs at ${JSON.stringify(destination)}: ${JSON.stringify(destination)} cannot be mounted because it is ${reason}: unknown`,
    )
  }
  if (destination === '/proc') {
    if ((await statfs(source)).type !== procMagic) refuse('not of type proc')
  } else if (destination.startsWith('/proc/') && !replaceable.has(destination.slice('/proc/'.length))) {
    refuse('inside /proc')
  }
}

const restrictions = ['ro', 'nosuid', 'nodev', 'noexec']

/** What the source's mount forbids: crun would allow it in the container's, where runc and the kernel keep it. */
export function inheritedOptions(source: string): string[] {
  const { options } = mountHolding(source)
  return restrictions.filter((option) => options.includes(option))
}

/** Whether a bind of a source can be a slave of the source's mount. */
export function canFollow(source: string): boolean {
  const { isShared, isSlave } = mountHolding(source)
  return isShared || isSlave
}

/** A volume is a directory: it cannot lie over a file of the image. */
export function rejectFile(rootfs: string, destination: string): void {
  try {
    if (lstatInRoot(rootfs, destination).isFile()) {
      throw new EngineError('internal', `cannot mount volume over existing file, file exists ${destination}`)
    }
  } catch (error) {
    if (error instanceof EngineError) throw error
    if (!['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errorCode(error) ?? '')) throw error
  }
}

/** Copies what the image has at the destination into the volume, if the volume is empty. */
export async function copyUp(
  from: { rootfs: string; destination: string },
  volume: string,
  copy: TreeCopy,
): Promise<void> {
  if ((await readdir(volume)).length > 0) return
  try {
    using source = openInRoot(from.rootfs, from.destination, openFlags.O_PATH | openFlags.O_DIRECTORY)
    await copy(source.path, volume)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'ENOTDIR' && errorCode(error) !== 'ELOOP')
      throw error
  }
}

/**
 * A path below a directory as a mount of our own at `slot`: resolved once, inside the directory, so that a container
 * that shares it cannot swap the path for a link to the host before the runtime looks. `owner` is the containers' root,
 * where that is another than the host's.
 */
export async function bindSubpath(
  base: { directory: string; subpath: string; what: string },
  slot: string,
  owner?: Owner,
): Promise<string> {
  const { directory, subpath, what } = base
  const missing = (reason: string, cause?: unknown) =>
    new EngineError('invalid', `cannot access path ${join(directory, subpath)} of ${what}: ${reason}`, {
      cause,
    })
  try {
    using file = openInRoot(directory, subpath, openFlags.O_PATH)
    await makeSlotDirectory(dirname(slot), owner)
    const isDirectory = (await stat(file.path)).isDirectory()
    await (isDirectory ? mkdir(slot, { recursive: true }) : writeFile(slot, ''))
    // The descriptor itself is the source: a bind of its /proc link is a bind of the very file.
    mount({ source: file.path, target: slot, flags: mountFlags.bind | mountFlags.recursive })
    return slot
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT') throw missing('no such file or directory', error)
    if (code === 'ELOOP' || code === 'ENOTDIR') throw missing(errorMessage(error), error)
    throw error
  }
}

/** Whatever lies there is behind the doors of its own place no more: nobody comes through but the two roots. */
async function makeSlotDirectory(directory: string, owner: Owner | undefined): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  if (owner === undefined) return
  for (const path of [dirname(directory), directory]) {
    await chown(path, 0, owner.gid)
    await chmod(path, 0o710)
  }
}

/** Takes such a mount away again; nothing happens when there is none. */
export async function removeSlot(slot: string): Promise<void> {
  try {
    unmount(slot, { detached: true })
  } catch (error) {
    if (errorCode(error) !== 'EINVAL' && errorCode(error) !== 'ENOENT') throw error
  }
  await rm(slot, { recursive: true, force: true })
  await rmdir(dirname(slot)).catch(ignoreFull)
}

/** Whether there is anything at a path. */
export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return false
    throw error
  }
}

function ignoreFull(error: unknown): void {
  const code = errorCode(error)
  if (code !== 'ENOTEMPTY' && code !== 'ENOENT') throw error
}
