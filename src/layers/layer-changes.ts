/**
 * What a writable layer changed, as `docker diff` shows it: only the upper directory is read, and of the layers
 * below only what has the same names. A file counts as changed when mode, owner, device, size, time or capability
 * differ; a directory also when anything in it did (moby pkg/archive changes.go, FileInfo.addChanges).
 */
import { lstatSync, readdirSync, type BigIntStats } from 'node:fs'
import { openRoot, openUnder, openFlags } from '../kernel/scoped-path.ts'
import { listDirectory, openDirectory, type TreeEntry } from '../kernel/tree-walk.ts'
import { getXattr } from '../kernel/xattr.ts'
import { decodePath, encodePath, fsPath } from '../lib/path-bytes.ts'
import type { FilesystemChange } from '../spec/container-types.ts'
import { isOpaque, isStackMark, isWhiteout } from './overlay-marks.ts'

const modified = 0
const added = 1
const deleted = 2

/** What lies below a name: the visible file, and for a directory the directories that are merged there. */
type Below = { stats: BigIntStats; hostPath: string; merged: string[] }

/**
 * Changes of `upper` against `lowers` (host directories, topmost first), sorted by path. With `whole` the upper
 * directory is the whole tree, so that what it lacks is gone.
 */
export function layerChanges(upper: string, lowers: readonly string[], whole = false): FilesystemChange[] {
  using root = openRoot(upper)
  using readable = openUnder(root.fd, '.', { flags: openFlags.O_RDONLY | openFlags.O_DIRECTORY })
  const changes: FilesystemChange[] = []
  collect({ fd: readable.fd, path: '/', merged: lowers, opaque: whole }, changes)
  return changes.sort((a, b) => Buffer.compare(encodePath(a.Path), encodePath(b.Path)))
}

type Directory = { fd: number; path: string; merged: readonly string[]; opaque: boolean }

function collect({ fd, path, merged, opaque }: Directory, changes: FilesystemChange[]): void {
  const seen = new Set<string>()
  for (const entry of listDirectory(fd, path)) {
    if (isStackMark(entry.name)) continue
    seen.add(entry.name)
    const below = lookUp(merged, entry.name)
    if (isWhiteout(entry.stats)) {
      if (below !== undefined) changes.push({ Path: entry.path, Kind: deleted })
    } else if (entry.stats.isDirectory()) collectDirectory({ entry, below, opaque }, changes)
    else if (below === undefined) changes.push({ Path: entry.path, Kind: added })
    else if (differs(entry, below)) changes.push({ Path: entry.path, Kind: modified })
  }
  if (!opaque) return
  for (const name of namesBelow(merged)) {
    if (seen.has(name)) continue
    changes.push({ Path: path === '/' ? `/${name}` : `${path}/${name}`, Kind: deleted })
  }
}

type Found = { entry: TreeEntry; below: Below | undefined; opaque: boolean }

function collectDirectory({ entry, below, opaque }: Found, changes: FilesystemChange[]): void {
  using directory = openDirectory(entry)
  if (directory === undefined) return
  const isNew = below === undefined
  const before = changes.length
  const merged = below?.merged ?? []
  const hidesBelow = opaque || (merged.length > 0 && isOpaque(entry.hostPath))
  collect({ fd: directory.fd, path: entry.path, merged, opaque: hidesBelow }, changes)
  const changed = isNew || changes.length > before || differs(entry, below)
  if (changed) changes.push({ Path: entry.path, Kind: isNew ? added : modified })
}

function lookUp(merged: readonly string[], name: string): Below | undefined {
  let below: Below | undefined
  for (const directory of merged) {
    const hostPath = `${directory}/${name}`
    const stats = lstatSync(fsPath(hostPath), { bigint: true, throwIfNoEntry: false })
    if (stats === undefined) continue
    if (isWhiteout(stats)) return below
    if (!stats.isDirectory()) return below ?? { stats, hostPath, merged: [] }
    below ??= { stats, hostPath, merged: [] }
    below.merged.push(hostPath)
    if (isOpaque(hostPath)) return below
  }
  return below
}

function namesBelow(merged: readonly string[]): string[] {
  const names = new Set(
    merged.flatMap((directory) => readdirSync(fsPath(directory), { encoding: 'buffer' }).map(decodePath)),
  )
  return [...names].filter((name) => lookUp(merged, name) !== undefined)
}

function differs(entry: TreeEntry, below: Below): boolean {
  const { stats } = entry
  const old = below.stats
  if (stats.mode !== old.mode || stats.uid !== old.uid || stats.gid !== old.gid) return true
  if (stats.rdev !== old.rdev) return true
  if (stats.isDirectory()) return false
  if (stats.size !== old.size || stats.mtimeNs !== old.mtimeNs) return true
  const capability = (path: string) => getXattr(path, 'security.capability')?.toString('hex')
  return stats.isFile() && capability(entry.hostPath) !== capability(below.hostPath)
}
