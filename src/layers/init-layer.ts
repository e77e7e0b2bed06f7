/**
 * The thin layer between an image and its containers' writable layers, as Docker has it: mount points and files
 * that the engine puts into every container, so that `diff` and `commit` do not show them (moby
 * daemon/initlayer/setup_unix.go). Its content depends on the image alone, so all containers of an image share it.
 */
import { closeSync } from 'node:fs'
import { posix } from 'node:path'
import { chmodAt, chownAt, createFileAt, symlinkAt, unlinkAt } from '../kernel/file-tree.ts'
import { mkdirAllInRoot, openFlags, openInRoot } from '../kernel/scoped-path.ts'
import type { Owner } from '../lib/id-mapping.ts'
import { errorCode } from '../spec/errors.ts'

const mode = 0o755

const entries: readonly { path: string; type: 'directory' | 'file' | 'mtab' }[] = [
  { path: '/dev/pts', type: 'directory' },
  { path: '/dev/shm', type: 'directory' },
  { path: '/proc', type: 'directory' },
  { path: '/sys', type: 'directory' },
  { path: '/.dockerenv', type: 'file' },
  { path: '/etc/resolv.conf', type: 'file' },
  { path: '/etc/hosts', type: 'file' },
  { path: '/etc/hostname', type: 'file' },
  { path: '/dev/console', type: 'file' },
  { path: '/etc/mtab', type: 'mtab' },
]

/** Puts the entries into a mounted tree. What is in the way is replaced, links on the way too. */
export function writeInitLayer(root: string, owner: Owner): void {
  const directory = { mode, ...owner }
  for (const { path, type } of entries) {
    clearWay(root, path)
    if (type === 'directory') {
      mkdirAllInRoot(root, path, directory)[Symbol.dispose]()
      continue
    }
    using parent = mkdirAllInRoot(root, posix.dirname(path), directory)
    const name = posix.basename(path)
    if (type === 'mtab') symlinkAt('/proc/mounts', parent.fd, name)
    else {
      closeSync(createFileAt(parent.fd, name))
      chmodAt(parent.fd, name, mode)
    }
    if (owner.uid !== 0 || owner.gid !== 0) chownAt(parent.fd, name, owner)
  }
}

/** Removes whatever is no directory at the path or at one of its parents. */
function clearWay(root: string, path: string): void {
  const parts = path.split('/').slice(1)
  for (let depth = 0; depth < parts.length; depth++) {
    const directory = `/${parts.slice(0, depth).join('/')}`
    try {
      using parent = openInRoot(root, directory, openFlags.O_PATH | openFlags.O_DIRECTORY)
      unlinkAt(parent.fd, parts[depth] ?? '', { directory: false })
    } catch (error) {
      const code = errorCode(error)
      if (code !== 'ENOENT' && code !== 'EISDIR') throw error
    }
  }
}
