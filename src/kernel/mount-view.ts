/**
 * A thread's own view of a container's files: a mount namespace in which the container's root, with its volumes
 * over it, is `/`. For a worker thread that does nothing but synchronous file calls until it leaves: inside, every
 * path, link and `..` means what it means to the container, and nothing else can be reached.
 */
import { closeSync, fchownSync, openSync, statSync } from 'node:fs'
import type { Owner } from '../lib/id-mapping.ts'
import { errorCode } from '../spec/errors.ts'
import { libcCall } from './ffi.ts'
import { mount, mountFlags } from './mount.ts'
import { mkdirAllInRoot, openFlags, openInRoot } from './scoped-path.ts'
import type { OwnedFd } from './scoped-path.ts'

const cloneNewMounts = 0x00020000
const cloneFileSystem = 0x00000200

const setnsCall = libcCall('setns', 'int setns(int fd, int kind)')
const fchdirCall = libcCall('fchdir', 'int fchdir(int fd)')
const unshareCall = libcCall('unshare', 'int unshare(int flags)')
const chrootCall = libcCall('chroot', 'int chroot(const char *path)')
const chdirCall = libcCall('chdir', 'int chdir(const char *path)')

/** A host directory or file to lie over the root. */
export type ViewMount = { destination: string; source: string; writable: boolean }

/**
 * Moves the calling thread into the view until the result is disposed; the view goes then. Mount points that do not
 * exist are made and given to `owner`, as the runtime would at the next start. Throws a KernelError. A thread that
 * cannot leave throws too, and must end: it would see the wrong files.
 */
export function enterMountView(directory: string, mounts: readonly ViewMount[], owner: Owner): Disposable {
  using undo = new DisposableStack()
  const namespace = openSync('/proc/thread-self/ns/mnt', 'r')
  undo.defer(() => closeSync(namespace))
  const root = openSync('/', 'r')
  undo.defer(() => closeSync(root))
  unshareCall('mount namespace', cloneNewMounts | cloneFileSystem)
  undo.defer(() => {
    setnsCall('mount namespace', namespace, cloneNewMounts)
    // A namespace is entered at its own root, which need not have been the thread's.
    fchdirCall('root', root)
    chrootCall('.', '.')
  })
  build(directory, mounts, owner)
  return undo.move()
}

function build(directory: string, mounts: readonly ViewMount[], owner: Owner): void {
  mount({ source: 'none', target: '/', flags: mountFlags.recursive | mountFlags.private })
  const outermostFirst = [...mounts].sort((a, b) => depth(a.destination) - depth(b.destination))
  for (const { destination, source, writable } of outermostFirst) {
    using target = openMountPoint(directory, { destination, source, owner })
    mount({ source, target: target.path, flags: mountFlags.bind | mountFlags.recursive })
    if (writable) continue
    // Opened again: the descriptor above is of what now lies below.
    using mounted = openInRoot(directory, destination, openFlags.O_PATH)
    const flags = mountFlags.remount | mountFlags.bind | mountFlags.readOnly
    mount({ source: 'none', target: mounted.path, flags })
  }
  chrootCall(directory, directory)
  chdirCall('/', '/')
}

function openMountPoint(
  directory: string,
  { destination, source, owner: { uid, gid } }: { destination: string; source: string; owner: Owner },
): OwnedFd {
  try {
    return openInRoot(directory, destination, openFlags.O_PATH)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
  const owner = { mode: 0o755, uid, gid }
  if (statSync(source).isDirectory()) return mkdirAllInRoot(directory, destination, owner)
  const slash = destination.lastIndexOf('/')
  using _parent = mkdirAllInRoot(directory, destination.slice(0, slash), owner)
  const made = openInRoot(directory, destination, openFlags.O_CREAT | openFlags.O_WRONLY, 0o755)
  fchownSync(made.fd, uid, gid)
  closeSync(made.release())
  return openInRoot(directory, destination, openFlags.O_PATH)
}

function depth(path: string): number {
  return path.split('/').filter(Boolean).length
}
