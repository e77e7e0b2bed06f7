/**
 * Turns a layer's tar into a directory as overlay wants it: whiteouts become character devices 0/0, opaque
 * directories get their xattr. Synchronous, for worker threads.
 *
 * An archive is as hostile as its maker. Every parent directory is resolved by the kernel inside the layer
 * (openat2, RESOLVE_IN_ROOT), and files are made by bare names below it without following links, so nothing
 * outside is ever touched, whatever links the archive has made before. Names that climb out are refused, as Docker
 * refuses them.
 */
import { closeSync, ftruncateSync, readdirSync, rmSync, writeSync } from 'node:fs'
import { posix } from 'node:path'
import {
  chmodAt,
  chownAt,
  createFileAt,
  linkAt,
  makeDirectoryAt,
  makeNodeAt,
  setOwnerAndMode,
  setTimes,
  setTimesAt,
  setXattrOf,
  symlinkAt,
} from '../kernel/file-tree.ts'
import { fdPath, openFlags, openUnder, type OwnedFd } from '../kernel/scoped-path.ts'
import { isStackAttribute, setXattr } from '../kernel/xattr.ts'
import { hostOwner, rootOwner, type IdMapping } from '../lib/id-mapping.ts'
import { decodePath, encodePath } from '../lib/path-bytes.ts'
import { TarError, type TarHeader } from '../lib/tar-format.ts'
import type { TarEvent } from '../lib/tar-reader.ts'
import { errorCode } from '../spec/errors.ts'
import { ParentDirectories } from './parent-directories.ts'

/** What came of a layer's tar. */
export type WrittenLayer = {
  /** Bytes of files and links, as Docker counts a layer's size. */
  size: number
  /** Directories that the archive uses without describing them; their attributes are those of the layers below. */
  implied: string[]
}

/** How a layer is written. */
export type LayerWriterOptions = {
  /** Content beyond this is refused: a decompression bomb. */
  maxBytes: number
  /** Whiteouts remove what is there instead of leaving overlay's marks: the target is a whole tree. */
  flatten?: boolean
  /** The archive's owners are those that containers see. */
  ids?: IdMapping | undefined
}

const whiteoutPrefix = '.wh.'
const opaqueMarker = '.wh..wh..opq'
/** Names that aufs used for itself; they mean nothing elsewhere. */
const aufsPrefix = '.wh..wh.'
const maxId = 0xffff_fffe

type OpenFile = { fd: number; header: TarHeader }

/** See the file's head. Feed it a decoder's events, then `finish`; dispose it in any case. */
export class LayerWriter implements Disposable {
  readonly #options: LayerWriterOptions
  readonly #parents: ParentDirectories
  readonly #directoryTimes = new Map<string, bigint>()
  readonly #whiteouts = new Set<string>()
  #file: OpenFile | undefined
  #size = 0
  #contentBytes = 0

  /** `root` is an existing empty directory that nobody else touches. */
  constructor(root: string, options: LayerWriterOptions) {
    this.#options = options
    this.#parents = new ParentDirectories(root, rootOwner(options.ids))
  }

  /** Takes the next event of a TarDecoder. Throws a TarError or a KernelError. */
  handle(event: TarEvent): void {
    if (event.kind === 'entry') this.#entry(event.header)
    else if (event.kind === 'content') this.#content(event.position, event.bytes)
    else this.#end()
  }

  /** Sets what has to wait until all is written. */
  finish(): WrittenLayer {
    for (const [path, mtimeNs] of this.#directoryTimes) {
      const parent = this.#parents.open(posix.dirname(path))
      setTimesAt(parent, path === '/' ? '.' : posix.basename(path), { atimeNs: mtimeNs, mtimeNs })
    }
    return { size: this.#size, implied: this.#parents.implied() }
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) closeSync(this.#file.fd)
    this.#file = undefined
    this.#parents[Symbol.dispose]()
  }

  #entry(given: TarHeader): void {
    if (given.uid > maxId || given.gid > maxId || given.uid < 0 || given.gid < 0) {
      throw new TarError(`invalid owner of ${given.name}: ${given.uid}:${given.gid}`)
    }
    const { ids } = this.#options
    const header = ids === undefined ? given : { ...given, ...hostOwner(ids, given) }
    const path = cleanName(header.name)
    const name = posix.basename(path)
    if (path.split('/').some((part) => part.startsWith(aufsPrefix) && part !== opaqueMarker)) return
    if (name === opaqueMarker) return this.#makeOpaque(posix.dirname(path))
    if (name.startsWith(whiteoutPrefix)) return this.#whiteOut(path, name.slice(whiteoutPrefix.length))
    if (path === '/') return this.#rootDirectory(header)
    const parent = this.#parents.open(posix.dirname(path))
    const hides = this.#whiteouts.delete(path)
    if (header.type === 'directory') return this.#directory({ path, parent, name }, header, hides)
    const made = this.#make({ path, parent, name }, header)
    if (header.type === 'file' || header.type === 'hardlink') return
    chownAt(made, name, header)
    if (header.type !== 'symlink') chmodAt(made, name, header.mode)
    setXattrs(`${fdPath(made)}/${name}`, header)
    setTimesAt(made, name, timesOf(header))
  }

  /** Makes the entry, in place of what has its name; answers the parent's descriptor, which may be another now. */
  #make(place: Place, header: TarHeader): number {
    try {
      this.#makeOnce(place, header)
      return place.parent
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error
    }
    const parent = this.#removeExisting(place)
    this.#makeOnce({ ...place, parent }, header)
    return parent
  }

  #makeOnce({ parent, name }: Place, header: TarHeader): void {
    switch (header.type) {
      case 'file':
        this.#file = { fd: createFileAt(parent, name), header }
        this.#size += header.size
        return
      case 'hardlink':
        return this.#hardLink({ parent, name }, header)
      case 'symlink':
        symlinkAt(header.linkName, parent, name)
        this.#size += Buffer.byteLength(encodePath(header.linkName))
        return
      case 'character':
      case 'block':
      case 'fifo':
        return makeNodeAt(parent, name, {
          type: header.type,
          major: header.deviceMajor,
          minor: header.deviceMinor,
        })
      case 'directory':
        return makeDirectoryAt(parent, name)
    }
  }

  #hardLink(to: { parent: number; name: string }, header: TarHeader): void {
    const target = cleanName(header.linkName, `invalid hardlink "${header.name}" -> "${header.linkName}"`)
    using directory = this.#parents.openExisting(posix.dirname(target))
    linkAt({ directory: directory.fd, name: posix.basename(target) }, to.parent, to.name)
  }

  #directory(place: Place, header: TarHeader, hidesLower: boolean): void {
    const { path, name } = place
    let parent = place.parent
    try {
      makeDirectoryAt(parent, name)
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error
      if (!isDirectory(parent, name)) {
        parent = this.#removeExisting(place)
        makeDirectoryAt(parent, name)
      }
    }
    chownAt(parent, name, header)
    chmodAt(parent, name, header.mode)
    setXattrs(`${fdPath(parent)}/${name}`, header)
    if (hidesLower) setOpaque(`${fdPath(parent)}/${name}`)
    this.#parents.described(path)
    this.#directoryTimes.set(path, header.mtimeNs)
  }

  #rootDirectory(header: TarHeader): void {
    if (header.type !== 'directory') throw new TarError(`invalid name of a ${header.type}: "${header.name}"`)
    const root = this.#parents.open('/')
    chownAt(root, '.', header)
    chmodAt(root, '.', header.mode)
    setXattrs(`${fdPath(root)}/.`, header)
    this.#parents.described('/')
    this.#directoryTimes.set('/', header.mtimeNs)
  }

  #whiteOut(path: string, name: string): void {
    if (name === '' || name === '.' || name === '..')
      throw new TarError(`invalid whiteout name: ${posix.basename(path)}`)
    const parent = this.#parents.open(posix.dirname(path))
    if (this.#options.flatten === true) {
      this.#removeExisting({ path: posix.join(posix.dirname(path), name), parent, name })
      return
    }
    try {
      makeNodeAt(parent, name, { type: 'character', major: 0, minor: 0 })
      this.#whiteouts.add(posix.join(posix.dirname(path), name))
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error
      // The layer has its own file there, which hides those below by itself; a directory has to be told to.
      if (isDirectory(parent, name)) setOpaque(`${fdPath(parent)}/${name}`)
    }
  }

  #makeOpaque(path: string): void {
    if (this.#options.flatten === true) {
      for (const name of readdirSync(fdPath(this.#parents.open(path)), { encoding: 'buffer' }).map(
        decodePath,
      )) {
        this.#removeExisting({ path: posix.join(path, name), parent: this.#parents.open(path), name })
      }
      return
    }
    setOpaque(`${fdPath(this.#parents.open(path))}/.`)
  }

  /** Removes what has the name; answers the parent's descriptor, opened anew. */
  #removeExisting({ path, parent, name }: Place): number {
    const wasDirectory = isDirectory(parent, name)
    rmSync(Buffer.concat([Buffer.from(`${fdPath(parent)}/`), encodePath(name)]), {
      recursive: true,
      force: true,
    })
    if (!wasDirectory) return parent
    this.#parents.forget(path)
    for (const known of [...this.#directoryTimes.keys(), ...this.#whiteouts]) {
      if (known !== path && !known.startsWith(`${path}/`)) continue
      this.#directoryTimes.delete(known)
      this.#whiteouts.delete(known)
    }
    return this.#parents.open(posix.dirname(path))
  }

  #content(position: number, bytes: Buffer): void {
    if (this.#file === undefined) return
    this.#contentBytes += bytes.length
    if (this.#contentBytes > this.#options.maxBytes) {
      throw new TarError(`layer is larger than the limit of ${this.#options.maxBytes} bytes`)
    }
    for (let written = 0; written < bytes.length;) {
      written += writeSync(this.#file.fd, bytes, written, bytes.length - written, position + written)
    }
  }

  #end(): void {
    if (this.#file === undefined) return
    const { fd, header } = this.#file
    try {
      if (header.sparse !== undefined) ftruncateSync(fd, header.size)
      setOwnerAndMode(fd, header)
      for (const [name, value] of keptXattrs(header)) ignoreUnsupported(() => setXattrOf(fd, name, value))
      setTimes(fd, timesOf(header))
    } finally {
      this.#file = undefined
      closeSync(fd)
    }
  }
}

type Place = { path: string; parent: number; name: string }

/** The name as an absolute path inside the layer. Throws for one that climbs out. */
function cleanName(name: string, complaint = `"${name}" is outside of the layer`): string {
  if (name.includes('\0')) throw new TarError('invalid name with a zero byte')
  const relative = posix.normalize(name.replace(/^\/+/, '') || '.')
  if (relative === '..' || relative.startsWith('../')) throw new TarError(complaint)
  return posix.join('/', relative).replace(/(?<=.)\/$/, '')
}

function isDirectory(parent: number, name: string): boolean {
  try {
    using _directory: OwnedFd = openUnder(parent, encodePath(name), {
      flags: openFlags.O_PATH | openFlags.O_DIRECTORY | openFlags.O_NOFOLLOW,
    })
    return true
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOTDIR' || code === 'ELOOP' || code === 'ENOENT') return false
    throw error
  }
}

function timesOf(header: TarHeader): { atimeNs: bigint; mtimeNs: bigint } {
  return { atimeNs: header.atimeNs ?? header.mtimeNs, mtimeNs: header.mtimeNs }
}

/** An archive has no say in how overlay reads its layers. */
function keptXattrs(header: TarHeader): [string, Uint8Array][] {
  return [...header.xattrs].filter(([name]) => !isStackAttribute(name))
}

function setXattrs(path: string, header: TarHeader): void {
  for (const [name, value] of keptXattrs(header)) ignoreUnsupported(() => setXattr(path, name, value))
}

function setOpaque(path: string): void {
  setXattr(path, 'trusted.overlay.opaque', Buffer.from('y'))
}

/** File systems without an attribute's namespace, and links that may have none, go without, as in Docker. */
function ignoreUnsupported(set: () => void): void {
  try {
    set()
  } catch (error) {
    const code = errorCode(error)
    if (code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'EPERM') throw error
  }
}
