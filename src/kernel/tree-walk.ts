/**
 * Walking a tree that somebody else may be changing meanwhile. Every directory is opened by its bare name below the
 * open one above, without following links, so the walk cannot be led out of the tree. Synchronous, for worker
 * threads. What vanishes during the walk is passed over.
 */
import { lstatSync, readdirSync, type BigIntStats } from 'node:fs'
import { posix } from 'node:path'
import { decodePath, encodePath } from '../lib/path-bytes.ts'
import { fdPath, openFlags, openRoot, openUnder, type OwnedFd } from './scoped-path.ts'

/** A file found. */
export type TreeEntry = {
  /** Absolute inside the tree, lossless (`lib/path-bytes.ts`). */
  path: string
  name: string
  stats: BigIntStats
  /** The open directory that holds it; valid until the walk goes on. */
  directory: number
  /** A host path that leads there now through the open directory; do not keep. */
  hostPath: string
}

const directoryFlags = openFlags.O_RDONLY | openFlags.O_DIRECTORY | openFlags.O_NOFOLLOW

/** All files below a directory, each directory before its content, names in byte order. */
export function* walkTree(root: string): Generator<TreeEntry, void, void> {
  using top = openRoot(root)
  using readable = openUnder(top.fd, '.', { flags: directoryFlags })
  yield* walkDirectory(readable.fd, '/')
}

/** The files of one open directory (not O_PATH), in byte order of their names. */
export function* listDirectory(fd: number, path: string): Generator<TreeEntry, void, void> {
  const names = readdirSync(fdPath(fd), { encoding: 'buffer' }).sort((a, b) => Buffer.compare(a, b))
  for (const bytes of names) {
    const hostPath = Buffer.concat([Buffer.from(`${fdPath(fd)}/`), bytes])
    const stats = lstatSync(hostPath, { bigint: true, throwIfNoEntry: false })
    if (stats === undefined) continue
    const name = decodePath(bytes)
    yield { path: posix.join(path, name), name, stats, directory: fd, hostPath: decodePath(hostPath) }
  }
}

/** Opens a directory found by a walk; undefined when it is none any more. */
export function openDirectory(entry: TreeEntry): OwnedFd | undefined {
  try {
    return openUnder(entry.directory, encodePath(entry.name), { flags: directoryFlags })
  } catch {
    return undefined
  }
}

/** Opens a file found by a walk for reading, without waiting for a FIFO; undefined when it is gone. */
export function openFile(entry: TreeEntry): OwnedFd | undefined {
  const flags = openFlags.O_RDONLY | openFlags.O_NOFOLLOW | openFlags.O_NONBLOCK
  try {
    return openUnder(entry.directory, encodePath(entry.name), { flags })
  } catch {
    return undefined
  }
}

function* walkDirectory(fd: number, path: string): Generator<TreeEntry, void, void> {
  for (const entry of listDirectory(fd, path)) {
    yield entry
    if (!entry.stats.isDirectory()) continue
    using directory = openDirectory(entry)
    if (directory !== undefined) yield* walkDirectory(directory.fd, entry.path)
  }
}
