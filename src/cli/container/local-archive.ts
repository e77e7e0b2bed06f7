/**
 * Archives of local files for `cp`, and unpacking of archives from containers. What comes from a container is
 * hostile: nothing is written outside the target directory, and no symbolic link below it is followed.
 */
import {
  chmodSync,
  closeSync,
  ftruncateSync,
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
import { readTar } from '../../lib/tar-stream.ts'
import type { TarContent } from '../../lib/tar-stream.ts'
import { encodeTarHeader, tarTrailer } from '../../lib/tar-writer.ts'

const pieceBytes = 256 * 1024

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

/**
 * The content of a file, cut or filled with zeros to the size that its header promised. Full pieces share one buffer:
 * one is valid until the next is asked for.
 */
function* fileContent(path: string, size: number, shared: Buffer): Generator<Buffer> {
  const fd = openSync(path, 'r')
  try {
    let left = size
    while (left > 0) {
      const piece = left < shared.length ? Buffer.alloc(left) : shared
      const count = readSync(fd, piece, 0, piece.length, null)
      if (count === piece.length) yield piece
      else yield count === 0 ? piece.fill(0) : Buffer.from(piece.subarray(0, count))
      left -= count === 0 ? piece.length : count
    }
    yield Buffer.alloc(tarPaddingBytes(size))
  } finally {
    closeSync(fd)
  }
}

type Packing = { links: Map<string, string>; shared: Buffer }

function* entries(path: string, name: string, packing: Packing): Generator<Buffer> {
  const { links, shared } = packing
  const stats = lstatSync(path, { bigint: true })
  const header = headerOf(path, name, stats)
  if (header === undefined) return
  const inode = `${stats.dev}:${stats.ino}`
  const first = header.type === 'file' && stats.nlink > 1n ? links.get(inode) : undefined
  if (first !== undefined) {
    yield encodeTarHeader({ ...header, type: 'hardlink', linkName: first, size: 0 })
    return
  }
  if (header.type === 'file' && stats.nlink > 1n) links.set(inode, name)
  yield encodeTarHeader(header)
  if (header.type === 'file') yield* fileContent(path, header.size, shared)
  if (header.type !== 'directory') return
  for (const child of readdirSync(path).sort()) yield* entries(join(path, child), `${name}/${child}`, packing)
}

/** The bytes of an archive. A piece is valid until the next is asked for. */
export function* packFiles(source: ArchiveSource): Generator<Buffer> {
  yield* entries(source.root, source.name, {
    links: new Map(),
    shared: Buffer.allocUnsafeSlow(pieceBytes),
  })
  yield tarTrailer
}

/** The path of an entry below the directory; its parents are made. Throws for one that would be outside. */
function targetOf(directory: string, name: string): string {
  const clean = posix.normalize(`/${name}`).replace(/\/+$/, '')
  if (posix.normalize(name).split('/').includes('..'))
    throw new Error(`invalid tar entry: ${name} is outside of ${directory}`)
  let path = directory
  const parts = clean.split('/').filter((part) => part !== '')
  for (const part of parts.slice(0, -1)) {
    path = join(path, part)
    try {
      const stats = lstatSync(path)
      if (!stats.isDirectory())
        throw new Error(`invalid tar entry: ${name} leads through ${path}, which is no directory`)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      mkdirSync(path, 0o755)
    }
  }
  return parts.length === 0 ? directory : join(path, parts.at(-1) ?? '')
}

function existing(path: string): ReturnType<typeof lstatSync> | undefined {
  try {
    return lstatSync(path)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

async function writeContent(
  path: string,
  header: TarHeader,
  content: AsyncIterable<TarContent>,
): Promise<void> {
  const fd = openSync(path, 'wx', header.mode & 0o777)
  try {
    for await (const { position, bytes } of content) {
      for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at, position + at)
    }
    ftruncateSync(fd, header.size)
  } finally {
    closeSync(fd)
  }
}

async function unpackEntry(
  directory: string,
  header: TarHeader,
  content: AsyncIterable<TarContent>,
  rename: (name: string) => string,
): Promise<void> {
  const path = targetOf(directory, rename(header.name))
  const old = existing(path)
  if (old !== undefined) {
    if (old.isDirectory() && header.type !== 'directory') {
      throw new Error(`cannot overwrite directory "${path}" with non-directory "${directory}"`)
    }
    if (!old.isDirectory() || header.type !== 'directory') rmSync(path)
  }
  const seconds = Number(header.mtimeNs / 1_000_000n) / 1000
  switch (header.type) {
    case 'directory':
      if (old?.isDirectory() !== true) mkdirSync(path, header.mode & 0o777)
      break
    case 'file':
      await writeContent(path, header, content)
      break
    case 'symlink':
      symlinkSync(header.linkName, path)
      lutimesSync(path, seconds, seconds)
      return
    case 'hardlink':
      linkSync(targetOf(directory, rename(header.linkName)), path)
      return
    default:
      // Devices and pipes of a container have no place here; Docker makes them, we leave them out.
      return
  }
  chmodSync(path, header.mode)
  utimesSync(path, seconds, seconds)
}

/** Unpacks an archive below a directory; `rename` changes the entries' names. */
export async function unpackFiles(
  directory: string,
  archive: AsyncIterable<Uint8Array>,
  rename: (name: string) => string,
): Promise<void> {
  const directoryTimes: [string, number][] = []
  for await (const { header, content } of readTar(archive)) {
    await unpackEntry(directory, header, content, rename)
    if (header.type !== 'directory') continue
    directoryTimes.push([
      targetOf(directory, rename(header.name)),
      Number(header.mtimeNs / 1_000_000n) / 1000,
    ])
  }
  // Writing into a directory changed its time.
  for (const [path, seconds] of directoryTimes.reverse()) utimesSync(path, seconds, seconds)
}
