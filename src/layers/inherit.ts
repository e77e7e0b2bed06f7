/** Attributes of directories that a layer's tar uses without describing them. */
import { lstatSync } from 'node:fs'
import { posix } from 'node:path'
import { chmodAt, chownAt, setTimesAt } from '../kernel/file-tree.ts'
import { fdPath, openFlags, openRoot, openUnder } from '../kernel/scoped-path.ts'
import { getXattr, isStackAttribute, listXattrs, setXattr } from '../kernel/xattr.ts'
import { encodePath, fsPath } from '../lib/path-bytes.ts'
import { errorCode } from '../spec/errors.ts'
import { isWhiteout } from './overlay-marks.ts'

/**
 * Copies owner, mode, times and xattrs of each directory from the topmost of `lowers` that shows it. In overlay the
 * upper directory's attributes are what is seen, so that a layer that only adds /etc/x must not change /etc itself.
 */
export function inheritAttributes(
  layer: string,
  implied: readonly string[],
  lowers: readonly string[],
): void {
  using root = openRoot(layer)
  for (const path of implied) {
    const source = visibleDirectory(lowers, path)
    if (source === undefined) continue
    const stats = lstatSync(fsPath(source), { bigint: true })
    using parent = openUnder(root.fd, encodePath(posix.dirname(path)), {
      flags: openFlags.O_PATH | openFlags.O_DIRECTORY,
    })
    const name = path === '/' ? '.' : posix.basename(path)
    chownAt(parent.fd, name, { uid: Number(stats.uid), gid: Number(stats.gid) })
    chmodAt(parent.fd, name, Number(stats.mode) & 0o7777)
    for (const xattr of listXattrs(source)) {
      const value = isStackAttribute(xattr) ? undefined : getXattr(source, xattr)
      if (value !== undefined) setXattr(`${fdPath(parent.fd)}/${name}`, xattr, value)
    }
    setTimesAt(parent.fd, name, { atimeNs: stats.atimeNs, mtimeNs: stats.mtimeNs })
  }
}

/** The host directory whose attributes show at `path` through a stack of layers; undefined when none does. */
function visibleDirectory(lowers: readonly string[], path: string): string | undefined {
  const parts = path.split('/').filter(Boolean)
  for (const lower of lowers) {
    const found = descend(lower, parts)
    if (found !== undefined) return found.path
  }
  return undefined
}

/** What one layer shows there: without a path it is something else, which hides what lies below. */
function descend(lower: string, parts: readonly string[]): { path: string | undefined } | undefined {
  let path = lower
  for (const part of parts) {
    path = `${path}/${part}`
    try {
      const stats = lstatSync(fsPath(path), { bigint: true })
      if (isWhiteout(stats) || !stats.isDirectory()) return { path: undefined }
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined
      throw error
    }
  }
  return { path }
}
