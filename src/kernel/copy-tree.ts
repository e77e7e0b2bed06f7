/**
 * Copies a directory tree with all that makes a file: owner, mode, times, extended attributes, links, devices. Links
 * are copied, never followed, so a tree written by somebody else is safe to copy as long as both tops are. The target
 * must not be in use.
 */
import {
  copyFile,
  link,
  lchown,
  lstat,
  lutimes,
  mkdir,
  readdir,
  readlink,
  symlink,
  chmod,
} from 'node:fs/promises'
import { constants, type BigIntStats } from 'node:fs'
import { join } from 'node:path'
import { KernelError, lastErrno, libcCall, libcFunction } from './ffi.ts'

const mknodCall = libcCall('mknod', 'int mknod(const char *path, unsigned int mode, unsigned long device)')
const llistxattr = libcFunction('long llistxattr(const char *path, uint8_t *list, size_t size)')
const lgetxattr = libcFunction(
  'long lgetxattr(const char *path, const char *name, uint8_t *value, size_t size)',
)
const lsetxattr = libcCall(
  'lsetxattr',
  'int lsetxattr(const char *path, const char *name, const uint8_t *value, size_t size, int flags)',
)

const maxAttributeBytes = 65_536

type Copy = { links: Map<string, string>; signal: AbortSignal | undefined }

/** Copies what is in `source` into the existing directory `target`, and `source`'s own owner, mode and times onto it. */
export async function copyTree(source: string, target: string, signal?: AbortSignal): Promise<void> {
  const copy: Copy = { links: new Map(), signal }
  await copyEntries(source, target, copy)
  // `/.`: the source may be a link of /proc to an open directory.
  await copyAttributes(`${source}/.`, target, await lstatBig(`${source}/.`))
}

async function copyEntries(source: string, target: string, copy: Copy): Promise<void> {
  for (const name of await readdir(source)) {
    copy.signal?.throwIfAborted()
    await copyEntry(join(source, name), join(target, name), copy)
  }
}

async function copyEntry(source: string, target: string, copy: Copy): Promise<void> {
  const stats = await lstatBig(source)
  if (!stats.isDirectory() && stats.nlink > 1n) {
    const key = `${stats.dev}:${stats.ino}`
    const first = copy.links.get(key)
    if (first !== undefined) {
      await link(first, target)
      return
    }
    copy.links.set(key, target)
  }
  if (stats.isDirectory()) {
    await mkdir(target, 0o700)
    await copyEntries(source, target, copy)
  } else if (stats.isSymbolicLink()) await symlink(await readlink(source), target)
  else if (stats.isFile())
    await copyFile(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
  else mknodCall(target, target, Number(stats.mode), stats.rdev)
  await copyAttributes(source, target, stats)
}

async function lstatBig(path: string): Promise<BigIntStats> {
  return lstat(path, { bigint: true })
}

/** Owner before mode: chown(2) takes set-user-id bits away. */
async function copyAttributes(source: string, target: string, stats: BigIntStats): Promise<void> {
  await lchown(target, Number(stats.uid), Number(stats.gid))
  if (!stats.isSymbolicLink()) await chmod(target, Number(stats.mode & 0o7777n))
  copyExtendedAttributes(source, target)
  await lutimes(target, Number(stats.atimeNs) / 1e9, Number(stats.mtimeNs) / 1e9)
}

function copyExtendedAttributes(source: string, target: string): void {
  for (const name of attributeNames(source)) {
    const buffer = Buffer.allocUnsafe(maxAttributeBytes)
    const size = lgetxattr(source, name, buffer, buffer.length)
    if (size < 0) throw new KernelError('lgetxattr', lastErrno(), source)
    lsetxattr(target, target, name, buffer, size, 0)
  }
}

/** Names of a file's extended attributes; none where the file system has none. */
function attributeNames(path: string): string[] {
  const buffer = Buffer.allocUnsafe(maxAttributeBytes)
  const size = llistxattr(path, buffer, buffer.length)
  if (size < 0) {
    const error = new KernelError('llistxattr', lastErrno(), path)
    if (error.code === 'ENOTSUP' || error.code === 'EOPNOTSUPP') return []
    throw error
  }
  const names = buffer.toString('utf8', 0, size).split('\0')
  // Attributes of overlayfs describe its layers, not the file.
  return names.filter((name) => name !== '' && !name.startsWith('trusted.overlay.'))
}
