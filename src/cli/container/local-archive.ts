/**
 * Archives of local files for `cp`, and unpacking of archives from containers. What comes from a container is
 * hostile: nothing is written outside the target directory, and no symbolic link below it is followed.
 */
import {
  chmodSync,
  closeSync,
  fchmodSync,
  ftruncateSync,
  futimesSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs'
import type { BigIntStats } from 'node:fs'
import { join, posix } from 'node:path'
import { errorCode } from '../../spec/errors.ts'
import { tarHeader, tarPaddingBytes } from '../../lib/tar-format.ts'
import type { TarHeader } from '../../lib/tar-format.ts'
import { TarDecoder } from '../../lib/tar-reader.ts'
import { encodeTarHeader, tarTrailer } from '../../lib/tar-writer.ts'

const pieceBytes = 256 * 1024
const zeros = Buffer.alloc(512)

/** What an archive is made of: the file or tree at `root`, under the name `name`. */
export type ArchiveSource = { root: string; name: string }

function headerOf(path: string, name: string, stats: BigIntStats): TarHeader | undefined {
  const type = stats.isDirectory()
    ? 'directory'
    : stats.isSymbolicLink()
      ? 'symlink'
      : stats.isFile()
        ? 'file'
        : stats.isFIFO()
          ? 'fifo'
          : stats.isCharacterDevice()
            ? 'character'
            : stats.isBlockDevice()
              ? 'block'
              : undefined
  if (type === undefined) return undefined
  const device = Number(stats.rdev)
  const isDevice = type === 'character' || type === 'block'
  return tarHeader({
    name: type === 'directory' ? `${name}/` : name,
    type,
    mode: Number(stats.mode) & 0o7777,
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    size: type === 'file' ? Number(stats.size) : 0,
    mtimeNs: stats.mtimeNs,
    linkName: type === 'symlink' ? readlinkSync(path) : '',
    deviceMajor: isDevice ? (device >> 8) & 0xfff : 0,
    deviceMinor: isDevice ? (device & 0xff) | ((device >> 12) & 0xfff00) : 0,
  })
}

/** Gathers the archive in one buffer, so that a small file costs neither a piece nor a system call of its own. */
class Packer {
  readonly #buffer = Buffer.allocUnsafeSlow(pieceBytes)
  #filled = 0
  /** First names of files with several, by device and inode. */
  readonly #links = new Map<string, string>()

  #full(): Buffer {
    this.#filled = 0
    return this.#buffer
  }

  /** A file or a tree. A piece is valid until the next is asked for. */
  *entry(path: string, name: string): Generator<Buffer, void, void> {
    const stats = lstatSync(path, { bigint: true })
    const header = headerOf(path, name, stats)
    if (header === undefined) return
    if (header.type === 'file' && stats.nlink > 1n) {
      const inode = `${stats.dev}:${stats.ino}`
      const first = this.#links.get(inode)
      if (first !== undefined) {
        yield* this.#put(encodeTarHeader({ ...header, type: 'hardlink', linkName: first, size: 0 }))
        return
      }
      this.#links.set(inode, name)
    }
    yield* this.#put(encodeTarHeader(header))
    if (header.type === 'file') yield* this.#content(path, header.size)
    if (header.type !== 'directory') return
    for (const child of readdirSync(path).sort()) yield* this.entry(join(path, child), `${name}/${child}`)
  }

  /** The archive's end. */
  *end(): Generator<Buffer, void, void> {
    yield* this.#put(tarTrailer)
    yield this.#buffer.subarray(0, this.#filled)
  }

  /** The content of a file, cut or filled with zeros to the size that its header promised. */
  *#content(path: string, size: number): Generator<Buffer, void, void> {
    const fd = openSync(path, 'r')
    try {
      for (let left = size; left > 0;) {
        const room = Math.min(left, pieceBytes - this.#filled)
        const count = readSync(fd, this.#buffer, this.#filled, room, null)
        if (count === 0) this.#buffer.fill(0, this.#filled, this.#filled + room)
        const added = count === 0 ? room : count
        left -= added
        this.#filled += added
        if (this.#filled === pieceBytes) yield this.#full()
      }
    } finally {
      closeSync(fd)
    }
    yield* this.#put(zeros.subarray(0, tarPaddingBytes(size)))
  }

  *#put(bytes: Buffer): Generator<Buffer, void, void> {
    for (let at = 0; at < bytes.length;) {
      const count = bytes.copy(this.#buffer, this.#filled, at)
      at += count
      this.#filled += count
      if (this.#filled === pieceBytes) yield this.#full()
    }
  }
}

/** The bytes of an archive. A piece is valid until the next is asked for. */
export function* packFiles(source: ArchiveSource): Generator<Buffer, void, void> {
  const packer = new Packer()
  yield* packer.entry(source.root, source.name)
  yield* packer.end()
}

type Rename = (name: string) => string

/** Takes an archive's bytes piece by piece; `rename` changes the entries' names. */
class LocalUnpacker implements Disposable {
  readonly #directory: string
  readonly #rename: Rename
  readonly #decoder = new TarDecoder()
  /** Directories that are there, and that no link leads to. */
  readonly #parents = new Set<string>()
  #file: { fd: number; header: TarHeader; end: number } | undefined
  readonly #times: [path: string, seconds: number][] = []

  constructor(directory: string, rename: Rename) {
    this.#directory = directory
    this.#rename = rename
  }

  push(bytes: Uint8Array): void {
    for (const event of this.#decoder.push(bytes)) {
      if (event.kind === 'entry') this.#entry(event.header)
      else if (event.kind === 'end') this.#endFile()
      else if (this.#file !== undefined) {
        const { fd } = this.#file
        for (let at = 0; at < event.bytes.length;) {
          at += writeSync(fd, event.bytes, at, event.bytes.length - at, event.position + at)
        }
        this.#file.end = event.position + event.bytes.length
      }
    }
  }

  /** All bytes have come. */
  finish(): void {
    this.#decoder.finish()
    // Writing into a directory changed its time.
    for (const [path, seconds] of this.#times.reverse()) utimesSync(path, seconds, seconds)
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) closeSync(this.#file.fd)
    this.#file = undefined
  }

  #entry(header: TarHeader): void {
    const path = this.#target(this.#rename(header.name))
    // Looking first would cost as much as the rest: most entries are new.
    try {
      this.#make(path, header)
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error
      if (this.#makeRoom(path, header)) this.#make(path, header)
    }
    if (header.type !== 'directory') return
    chmodSync(path, header.mode)
    this.#times.push([path, secondsOf(header)])
  }

  #make(path: string, header: TarHeader): void {
    switch (header.type) {
      case 'directory':
        mkdirSync(path, header.mode & 0o777)
        return
      case 'file':
        this.#file = { fd: openSync(path, 'wx', header.mode & 0o777), header, end: 0 }
        return
      case 'symlink':
        symlinkSync(header.linkName, path)
        lutimesSync(path, secondsOf(header), secondsOf(header))
        return
      case 'hardlink':
        linkSync(this.#target(this.#rename(header.linkName)), path)
        return
      default:
      // Devices and pipes of a container have no place here; Docker makes them, we leave them out.
    }
  }

  /** Takes away what is in the way; false when it is a directory that stays. */
  #makeRoom(path: string, header: TarHeader): boolean {
    const isDirectory = lstatSync(path).isDirectory()
    if (isDirectory && header.type === 'directory') return false
    if (isDirectory) {
      throw new Error(`cannot overwrite directory "${path}" with non-directory "${this.#directory}"`)
    }
    rmSync(path)
    return true
  }

  #endFile(): void {
    if (this.#file === undefined) return
    const { fd, header, end } = this.#file
    this.#file = undefined
    try {
      if (end !== header.size) ftruncateSync(fd, header.size)
      fchmodSync(fd, header.mode)
      futimesSync(fd, secondsOf(header), secondsOf(header))
    } finally {
      closeSync(fd)
    }
  }

  /** The path of an entry below the directory; its parents are made. Throws for one that would be outside. */
  #target(name: string): string {
    if (posix.normalize(name).split('/').includes('..'))
      throw new Error(`invalid tar entry: ${name} is outside of ${this.#directory}`)
    const parts = posix
      .normalize(`/${name}`)
      .split('/')
      .filter((part) => part !== '')
    const last = parts.pop()
    if (last === undefined) return this.#directory
    const parent = [this.#directory, ...parts].join('/')
    if (!this.#parents.has(parent)) this.#checkParents(name, parts)
    return `${parent}/${last}`
  }

  #checkParents(name: string, parts: readonly string[]): void {
    let path = this.#directory
    for (const part of parts) {
      path = `${path}/${part}`
      const stats = lstatSync(path, { throwIfNoEntry: false })
      if (stats === undefined) mkdirSync(path, 0o755)
      else if (!stats.isDirectory())
        throw new Error(`invalid tar entry: ${name} leads through ${path}, which is no directory`)
    }
    this.#parents.add(path)
  }
}

function secondsOf({ mtimeNs }: TarHeader): number {
  return Number(mtimeNs / 1_000_000n) / 1000
}

/** Unpacks an archive below a directory; `rename` changes the entries' names. */
export async function unpackFiles(
  directory: string,
  archive: AsyncIterable<Uint8Array>,
  rename: Rename,
): Promise<void> {
  using unpacker = new LocalUnpacker(directory, rename)
  for await (const bytes of archive) unpacker.push(bytes)
  unpacker.finish()
}
