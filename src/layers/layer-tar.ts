/**
 * A layer directory as a layer's tar, for commit: overlay's marks become whiteouts again (OCI image layer
 * specification, "Whiteouts"). The same tree gives the same bytes. Synchronous, for worker threads; a file that
 * shrinks while it is read is filled up with zeros, one that grows is cut, as its header has gone out already.
 */
import { readlinkSync, readSync, fstatSync } from 'node:fs'
import { openFile, walkTree, type TreeEntry } from '../kernel/tree-walk.ts'
import { getXattr, isStackAttribute, listXattrs } from '../kernel/xattr.ts'
import { containerOwner, portableCapability, type IdMapping } from '../lib/id-mapping.ts'
import { decodePath, fsPath } from '../lib/path-bytes.ts'
import { tarHeader, tarPaddingBytes, type TarEntryType, type TarHeader } from '../lib/tar-format.ts'
import { encodeTarHeader, tarTrailer } from '../lib/tar-writer.ts'
import type { FilesystemChange } from '../spec/container-types.ts'
import { isOpaque, isStackMark, isWhiteout } from './overlay-marks.ts'

const zeros = Buffer.alloc(64 * 1024)
const pieceBytes = 512 * 1024

/** What goes from entry to entry: first names of files with several, and a buffer for their content. */
type Packing = { ids: IdMapping | undefined; links: Map<string, string>; buffer: Buffer }

function packing(ids: IdMapping | undefined): Packing {
  return { ids, links: new Map(), buffer: Buffer.allocUnsafe(pieceBytes) }
}

/** The bytes of the tar, with owners as `ids` shows them. The chunks are only valid until the next is asked for. */
export function* layerTar(directory: string, ids?: IdMapping): Generator<Uint8Array, void, void> {
  const work = packing(ids)
  for (const entry of walkTree(directory)) if (!isStackMark(entry.name)) yield* entryBytes(entry, work)
  yield tarTrailer
}

/** As `layerTar`, of a whole tree: only what the changes name. */
export function* changesTar(
  directory: string,
  changes: readonly FilesystemChange[],
  ids?: IdMapping,
): Generator<Uint8Array, void, void> {
  const work = packing(ids)
  const kept = new Set(changes.filter((change) => change.Kind !== 2).map((change) => change.Path))
  for (const entry of walkTree(directory)) if (kept.has(entry.path)) yield* entryBytes(entry, work)
  for (const { Path, Kind } of changes) {
    if (Kind !== 2) continue
    yield encodeTarHeader(tarHeader({ name: whiteoutName(Path.slice(1)), type: 'file', mode: 0 }))
  }
  yield tarTrailer
}

function* entryBytes(entry: TreeEntry, { ids, links, buffer }: Packing): Generator<Uint8Array> {
  const name = entry.path.slice(1)
  const { stats } = entry
  if (isWhiteout(stats)) {
    yield encodeTarHeader(tarHeader({ name: whiteoutName(name), type: 'file', mode: 0 }))
    return
  }
  const type = typeOf(entry)
  if (type === undefined) return
  const header = headerOf(entry, type, ids)
  if (type !== 'directory' && stats.nlink > 1n) {
    const inode = `${stats.dev}:${stats.ino}`
    const first = links.get(inode)
    if (first !== undefined) {
      yield encodeTarHeader({ ...header, type: 'hardlink', linkName: first, size: 0, xattrs: new Map() })
      return
    }
    links.set(inode, name)
  }
  if (type === 'file') {
    yield* fileBytes(entry, header, buffer)
    return
  }
  yield encodeTarHeader(header)
  if (type === 'directory' && isOpaque(entry.hostPath)) {
    yield encodeTarHeader(tarHeader({ name: `${name}/.wh..wh..opq`, type: 'file', mode: 0 }))
  }
}

function* fileBytes(entry: TreeEntry, header: TarHeader, buffer: Buffer): Generator<Uint8Array> {
  using file = openFile(entry)
  if (file === undefined || !fstatSync(file.fd).isFile()) return
  yield encodeTarHeader(header)
  let left = header.size
  while (left > 0) {
    const count = readSync(file.fd, buffer, 0, Math.min(left, buffer.length), null)
    if (count === 0) break
    yield buffer.subarray(0, count)
    left -= count
  }
  for (let fill = left + tarPaddingBytes(header.size); fill > 0; fill -= zeros.length) {
    yield zeros.subarray(0, Math.min(fill, zeros.length))
  }
}

function whiteoutName(name: string): string {
  const slash = name.lastIndexOf('/') + 1
  return `${name.slice(0, slash)}.wh.${name.slice(slash)}`
}

function typeOf({ stats }: TreeEntry): TarEntryType | undefined {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'directory'
  if (stats.isSymbolicLink()) return 'symlink'
  if (stats.isCharacterDevice()) return 'character'
  if (stats.isBlockDevice()) return 'block'
  // A socket means nothing without its listener; tar has no form for it.
  return stats.isFIFO() ? 'fifo' : undefined
}

function headerOf(entry: TreeEntry, type: TarEntryType, ids: IdMapping | undefined): TarHeader {
  const { stats } = entry
  const name = entry.path.slice(1)
  const isDevice = type === 'character' || type === 'block'
  return tarHeader({
    name: type === 'directory' ? `${name}/` : name,
    type,
    mode: Number(stats.mode) & 0o7777,
    ...containerOwner(ids, { uid: Number(stats.uid), gid: Number(stats.gid) }),
    size: type === 'file' ? Number(stats.size) : 0,
    mtimeNs: stats.mtimeNs,
    linkName: type === 'symlink' ? linkTarget(entry) : '',
    deviceMajor: isDevice ? deviceMajor(stats.rdev) : 0,
    deviceMinor: isDevice ? deviceMinor(stats.rdev) : 0,
    xattrs: xattrsOf(entry),
  })
}

function linkTarget(entry: TreeEntry): string {
  return decodePath(readlinkSync(fsPath(entry.hostPath), { encoding: 'buffer' }))
}

function deviceMajor(device: bigint): number {
  return Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n))
}

function deviceMinor(device: bigint): number {
  return Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n))
}

function xattrsOf(entry: TreeEntry): Map<string, Uint8Array> {
  const xattrs = new Map<string, Uint8Array>()
  for (const name of listXattrs(entry.hostPath)) {
    if (isStackAttribute(name) || name === 'security.selinux') continue
    const value = getXattr(entry.hostPath, name)
    if (value === undefined) continue
    xattrs.set(name, name === 'security.capability' ? portableCapability(value) : value)
  }
  return xattrs
}
