/**
 * Copies a directory tree with all that makes a file: owner, mode, times, extended attributes, links, devices. Links
 * are copied, never followed, so a tree written by somebody else is safe to copy as long as both tops are. Names are
 * bytes. The target must not be in use.
 */
import {
  chmod,
  copyFile,
  link,
  lchown,
  lstat,
  lutimes,
  mkdir,
  readdir,
  readlink,
  symlink,
} from 'node:fs/promises'
import { constants, type BigIntStats } from 'node:fs'
import { decodePath, encodePath, fsPath } from '../lib/path-bytes.ts'
import { libcCall } from './ffi.ts'
import { getXattr, listXattrs, setXattr } from './xattr.ts'

const mknodCall = libcCall('mknod', 'int mknod(const uint8_t *path, unsigned int mode, unsigned long device)')

type Copy = { links: Map<string, string>; signal: AbortSignal | undefined }

/** Copies what is in `source` into the existing directory `target`, and `source`'s own owner, mode and times onto it. */
export async function copyTree(source: string, target: string, signal?: AbortSignal): Promise<void> {
  const copy: Copy = { links: new Map(), signal }
  await copyEntries(source, target, copy)
  // `/.`: the source may be a link of /proc to an open directory.
  await copyAttributes(`${source}/.`, target, await lstatBig(`${source}/.`))
}

async function copyEntries(source: string, target: string, copy: Copy): Promise<void> {
  for (const bytes of await readdir(fsPath(source), { encoding: 'buffer' })) {
    copy.signal?.throwIfAborted()
    const name = decodePath(bytes)
    await copyEntry(`${source}/${name}`, `${target}/${name}`, copy)
  }
}

async function copyEntry(source: string, target: string, copy: Copy): Promise<void> {
  const stats = await lstatBig(source)
  if (!stats.isDirectory() && stats.nlink > 1n) {
    const key = `${stats.dev}:${stats.ino}`
    const first = copy.links.get(key)
    if (first !== undefined) {
      await link(fsPath(first), fsPath(target))
      return
    }
    copy.links.set(key, target)
  }
  if (stats.isDirectory()) {
    await mkdir(fsPath(target), 0o700)
    await copyEntries(source, target, copy)
  } else if (stats.isSymbolicLink()) {
    await symlink(await readlink(fsPath(source), { encoding: 'buffer' }), fsPath(target))
  } else if (stats.isFile()) {
    await copyFile(fsPath(source), fsPath(target), constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
  } else {
    mknodCall(target, Buffer.concat([encodePath(target), Buffer.alloc(1)]), Number(stats.mode), stats.rdev)
  }
  await copyAttributes(source, target, stats)
}

async function lstatBig(path: string): Promise<BigIntStats> {
  return lstat(fsPath(path), { bigint: true })
}

/** Owner before mode: chown(2) takes set-user-id bits away. Times last. */
async function copyAttributes(source: string, target: string, stats: BigIntStats): Promise<void> {
  await lchown(fsPath(target), Number(stats.uid), Number(stats.gid))
  if (!stats.isSymbolicLink()) await chmod(fsPath(target), Number(stats.mode & 0o7777n))
  for (const name of listXattrs(source)) {
    // Attributes of overlayfs describe its layers, not the file.
    const value = name.startsWith('trusted.overlay.') ? undefined : getXattr(source, name)
    if (value !== undefined) setXattr(target, name, value)
  }
  await lutimes(fsPath(target), Number(stats.atimeNs) / 1e9, Number(stats.mtimeNs) / 1e9)
}
