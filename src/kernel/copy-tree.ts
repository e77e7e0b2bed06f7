/**
 * Copies a directory tree with all that makes a file: owner, mode, times, extended attributes, links, devices, holes.
 * Every file is opened by its bare name below an open directory, without following links, so a tree written by
 * somebody else is safe to copy as long as both tops are. Names are bytes. The target must not be in use.
 * Synchronous: for worker threads. A call is only made where the new file is not right already.
 */
import { closeSync, constants, fstatSync, readdirSync, readSync, writeSync, type BigIntStats } from 'node:fs'
import { decodePath, encodePath } from '../lib/path-bytes.ts'
import { copyRange, copySparse } from './copy-content.ts'
import { copySpecial } from './copy-special.ts'
import {
  createFileAt,
  linkAt,
  makeDirectoryAt,
  openFileAt,
  setOwnerAndMode,
  setTimes,
  type OwnerAndMode,
} from './file-tree.ts'
import { fdPath, openFlags, openRoot, openUnder, OwnedFd } from './scoped-path.ts'
import { copyXattrs } from './xattr.ts'

/** Asked between any two files: throws when the copy is no longer wanted. */
export type CopyContext = { check(): void }

const directoryFlags = openFlags.O_RDONLY | openFlags.O_DIRECTORY | openFlags.O_NOFOLLOW
const fileFlags = openFlags.O_RDONLY | openFlags.O_NOFOLLOW | openFlags.O_NONBLOCK
const bufferBytes = 128 * 1024
const blockBytes = 512n

/** Copies what is in `source` into the existing directory `target`, and `source`'s own attributes onto it. */
export function copyTree(source: string, target: string, context: CopyContext): void {
  using from = openTop(source)
  using to = openTop(target)
  new TreeCopier(to.fd, context).copyDirectory({ from: from.fd, to: to.fd, path: '/' })
}

/** An open directory of the copy, and its path below the top. */
type Place = { from: number; to: number; path: string }

class TreeCopier {
  readonly #top: number
  readonly #context: CopyContext
  readonly #buffer = Buffer.allocUnsafeSlow(bufferBytes)
  readonly #umask = process.umask()
  /** Where the first name of a file with several was made. */
  readonly #links = new Map<string, { directory: string; name: string }>()

  constructor(top: number, context: CopyContext) {
    this.#top = top
    this.#context = context
  }

  copyDirectory({ from, to, path }: Place): void {
    for (const entry of readdirSync(fdPath(from), { withFileTypes: true, encoding: 'buffer' })) {
      this.#context.check()
      const name = decodePath(entry.name)
      if (entry.isDirectory()) this.#copyBelow({ from, to, path }, name)
      else if (entry.isFile()) this.#copyFile({ from, to, path }, name)
      else copySpecial(from, to, name, (stats) => this.#link({ from, to, path }, name, stats))
    }
    const stats = fstatSync(from, { bigint: true })
    setOwnerAndMode(to, ownerAndMode(stats))
    copyXattrs(from, to)
    setTimes(to, stats)
  }

  #copyBelow(place: Place, name: string): void {
    makeDirectoryAt(place.to, name)
    using from = new OwnedFd(openFileAt(place.from, name, directoryFlags))
    using to = new OwnedFd(openFileAt(place.to, name, directoryFlags))
    this.copyDirectory({ from: from.fd, to: to.fd, path: `${place.path}${name}/` })
  }

  #copyFile(place: Place, name: string): void {
    using source = new OwnedFd(openFileAt(place.from, name, fileFlags))
    const stats = fstatSync(source.fd, { bigint: true })
    if (!stats.isFile() || this.#link(place, name, stats)) return
    const owner = ownerAndMode(stats)
    const target = createFileAt(place.to, name, owner.mode & 0o777)
    try {
      this.#copyContent(source.fd, target, stats)
      if (!this.#isAsMade(owner)) setOwnerAndMode(target, owner)
      copyXattrs(source.fd, target)
      setTimes(target, stats)
    } finally {
      closeSync(target)
    }
  }

  /** Makes a further name of a file that was copied already; false for the first, and where there is one name only. */
  #link({ to, path }: Place, name: string, stats: BigIntStats): boolean {
    if (stats.nlink < 2n) return false
    const key = `${stats.dev}:${stats.ino}`
    const first = this.#links.get(key)
    if (first === undefined) {
      this.#links.set(key, { directory: path, name })
      return false
    }
    const flags = openFlags.O_PATH | openFlags.O_DIRECTORY
    using directory = openUnder(this.#top, encodePath(first.directory), { flags })
    linkAt({ directory: directory.fd, name: first.name }, to, name)
    return true
  }

  /** Directories of the copy belong to root while they are filled, so that files in them do too. */
  #isAsMade({ uid, gid, mode }: OwnerAndMode): boolean {
    return uid === 0 && gid === 0 && mode === (mode & 0o777 & ~this.#umask)
  }

  #copyContent(from: number, to: number, { size, blocks }: BigIntStats): void {
    const bytes = Number(size)
    if (bytes > this.#buffer.length) {
      if (blocks * blockBytes < size) return copySparse(from, to, bytes)
      if (copyRange(from, to, bytes)) return
    }
    for (let left = bytes; left > 0;) {
      const count = readSync(from, this.#buffer, 0, Math.min(left, this.#buffer.length), null)
      if (count === 0) return
      for (let written = 0; written < count;) {
        written += writeSync(to, this.#buffer, written, count - written)
      }
      left -= count
    }
  }
}

function openTop(path: string): OwnedFd {
  using top = openRoot(path)
  return openUnder(top.fd, '.', { flags: openFlags.O_RDONLY | openFlags.O_DIRECTORY })
}

function ownerAndMode({ uid, gid, mode }: BigIntStats): OwnerAndMode {
  return { uid: Number(uid), gid: Number(gid), mode: Number(mode) & ~constants.S_IFMT }
}
