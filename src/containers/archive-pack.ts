/** Packs files of a container's view into a tar stream; see `archive-view.ts`. */
import { closeSync, constants, fstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import { deviceMajor, deviceMinor } from '../kernel/device-node.ts'
import { getXattr, listXattrs } from '../kernel/xattr.ts'
import { containerOwner, portableCapability, type IdMapping } from '../lib/id-mapping.ts'
import { decodePath, fsPath } from '../lib/path-bytes.ts'
import { tarHeader, tarPaddingBytes } from '../lib/tar-format.ts'
import type { TarEntryType, TarHeader } from '../lib/tar-format.ts'
import { encodeTarHeader, tarTrailer } from '../lib/tar-writer.ts'
import { errorCode } from '../spec/errors.ts'
import { baseName, byBytes, joined, lstatIfAny } from './archive-view.ts'

/** `write` takes the archive's bytes, and may block; owners in it are as `ids` shows them. */
export type PackTarget = { ids: IdMapping | undefined; write: (bytes: Buffer) => void }

const chunkBytes = 256 * 1024

/** Packs a path of `archivePath`'s form the way `docker cp` gets it: a directory's entries begin with its name. */
export function packPath(path: string, isDirectory: boolean, target: PackTarget): void {
  const packer = new Packer(target)
  const base = baseName(path)
  if (isDirectory) packer.tree(path, base === '/' ? '' : base)
  else packer.entry(path, base)
  packer.finish()
}

/** Packs everything, names relative to the root, which has no entry itself: `docker export`. */
export function packRoot(target: PackTarget): void {
  const packer = new Packer(target)
  packer.children('/', '')
  packer.finish()
}

class Packer {
  readonly #ids: IdMapping | undefined
  readonly #write: PackTarget['write']
  readonly #buffer = Buffer.allocUnsafeSlow(chunkBytes)
  #filled = 0
  /** First names of files with several, by device and inode. */
  readonly #linked = new Map<string, string>()

  constructor({ ids, write }: PackTarget) {
    this.#ids = ids
    this.#write = write
  }

  finish(): void {
    this.#put(tarTrailer)
    this.#flush()
  }

  /** A directory and all in it, under the name given. */
  tree(path: string, name: string): void {
    this.entry(path, name)
    this.children(path, `${name}/`)
  }

  children(path: string, prefix: string): void {
    const names = readdirSync(fsPath(path), { encoding: 'buffer' }).map(decodePath).sort(byBytes)
    for (const name of names) {
      const child = joined(path, name)
      if (this.entry(child, `${prefix}${name}`)) this.children(child, `${prefix}${name}/`)
    }
  }

  /** One file, whatever it is; true for a directory. What went away meanwhile is left out, sockets are too. */
  entry(path: string, name: string): boolean {
    const stats = lstatIfAny(path)
    const type = stats === undefined ? undefined : entryType(stats)
    if (stats === undefined || type === undefined) return false
    if (type === 'file' && stats.nlink > 1n) {
      const key = `${stats.dev}:${stats.ino}`
      const first = this.#linked.get(key)
      if (first !== undefined) {
        this.#put(encodeTarHeader({ ...this.#header(name, stats), type: 'hardlink', linkName: first }))
        return false
      }
      this.#linked.set(key, name)
    }
    if (type === 'file') this.#file(path, name)
    else {
      const header = { ...this.#header(name, stats), type, xattrs: xattrsOf(path) }
      this.#put(encodeTarHeader(specialHeader(path, header, Number(stats.rdev))))
    }
    return type === 'directory'
  }

  #file(path: string, name: string): void {
    let fd: number
    try {
      fd = openSync(fsPath(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return
      throw error
    }
    try {
      const stats = fstatSync(fd, { bigint: true })
      if (!stats.isFile()) return
      const size = Number(stats.size)
      this.#put(encodeTarHeader({ ...this.#header(name, stats), size, xattrs: xattrsOf(path) }))
      this.#content(fd, size)
    } finally {
      closeSync(fd)
    }
  }

  #header(name: string, stats: BigIntStats): TarHeader {
    return tarHeader({
      name,
      type: 'file',
      mode: Number(stats.mode & 0o7777n),
      ...containerOwner(this.#ids, { uid: Number(stats.uid), gid: Number(stats.gid) }),
      mtimeNs: stats.mtimeNs,
    })
  }

  /** Exactly `size` bytes, whatever happens to the file meanwhile: zeros for what is missing. */
  #content(fd: number, size: number): void {
    for (let done = 0; done < size;) {
      if (this.#filled === this.#buffer.length) this.#flush()
      const room = Math.min(this.#buffer.length - this.#filled, size - done)
      const count = readSync(fd, this.#buffer, this.#filled, room, done)
      if (count === 0) this.#buffer.fill(0, this.#filled, this.#filled + room)
      const added = count === 0 ? room : count
      this.#filled += added
      done += added
    }
    this.#put(Buffer.alloc(tarPaddingBytes(size)))
  }

  #put(bytes: Buffer): void {
    if (this.#filled + bytes.length > this.#buffer.length) this.#flush()
    if (bytes.length > this.#buffer.length) this.#write(bytes)
    else this.#filled += bytes.copy(this.#buffer, this.#filled)
  }

  #flush(): void {
    if (this.#filled > 0) this.#write(this.#buffer.subarray(0, this.#filled))
    this.#filled = 0
  }
}

function entryType(stats: BigIntStats): TarEntryType | undefined {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'directory'
  if (stats.isSymbolicLink()) return 'symlink'
  if (stats.isCharacterDevice()) return 'character'
  if (stats.isBlockDevice()) return 'block'
  return stats.isFIFO() ? 'fifo' : undefined
}

/** The header of what is no plain file. */
function specialHeader(path: string, header: TarHeader, device: number): TarHeader {
  if (header.type === 'directory') return { ...header, name: `${header.name}/` }
  if (header.type === 'symlink') {
    return { ...header, linkName: decodePath(readlinkSync(fsPath(path), { encoding: 'buffer' })) }
  }
  if (header.type === 'fifo') return header
  return { ...header, deviceMajor: deviceMajor(device), deviceMinor: deviceMinor(device) }
}

/** Attributes that belong to the file and not to this machine's labels or overlays. */
function xattrsOf(path: string): Map<string, Uint8Array> {
  const attributes = new Map<string, Uint8Array>()
  for (const name of listXattrs(path).sort()) {
    if (name !== 'security.capability' && !name.startsWith('user.')) continue
    const value = getXattr(path, name)
    if (value === undefined) continue
    attributes.set(name, name === 'security.capability' ? portableCapability(value) : value)
  }
  return attributes
}
