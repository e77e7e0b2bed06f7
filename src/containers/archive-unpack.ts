/**
 * Unpacks a tar stream into a container's view; see `archive-view.ts`. Where names and links lead is the
 * container's own affair: the view has no outside.
 */
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs'
import { makeNodeAt, setTimes, setTimesAt, setXattrOf } from '../kernel/file-tree.ts'
import { setXattr } from '../kernel/xattr.ts'
import { hostOwner, rootOwner, type IdMapping, type Owner } from '../lib/id-mapping.ts'
import { fsPath } from '../lib/path-bytes.ts'
import type { TarHeader } from '../lib/tar-format.ts'
import { TarDecoder } from '../lib/tar-reader.ts'
import { EngineError, errorCode } from '../spec/errors.ts'
import { joined, lstatIfAny } from './archive-view.ts'

/** How to unpack. */
export type UnpackOptions = {
  /** Absolute path of the directory to unpack into. */
  directory: string
  /** A directory is not replaced by something else, nor something else by a directory. */
  noOverwriteDirNonDir: boolean
  /** Everything belongs to this owner instead of the archive's. */
  owner?: Owner
  /** What owners in the archive are on the host. */
  ids: IdMapping | undefined
}

/** `AT_FDCWD`: paths are absolute. */
const fromHere = -100

/** Takes an archive's bytes piece by piece. Dispose it in any case. */
export class Unpacker implements Disposable {
  readonly #options: UnpackOptions
  readonly #decoder = new TarDecoder()
  /** The file being written. */
  #file: { fd: number; header: TarHeader; end: number } | undefined
  /** Times of directories are set last: what is put in them changes them. */
  readonly #directories: { path: string; header: TarHeader }[] = []

  constructor(options: UnpackOptions) {
    this.#options = options
  }

  /** Throws TarError, EngineError or Node's errors; use it no more then. */
  push(bytes: Buffer): void {
    for (const event of this.#decoder.push(bytes)) {
      if (event.kind === 'entry') this.#entry(event.header)
      else if (event.kind === 'end') this.#endFile()
      else if (this.#file !== undefined) {
        writeAt(this.#file.fd, event.bytes, event.position)
        this.#file.end = event.position + event.bytes.length
      }
    }
  }

  /** All bytes have come. */
  finish(): void {
    this.#decoder.finish()
    for (const { path, header } of this.#directories.reverse()) setTimesAt(fromHere, path, times(header))
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) closeSync(this.#file.fd)
    this.#file = undefined
  }

  #entry(header: TarHeader): void {
    // One that cannot be is refused before anything is made, or makes room.
    this.#owner(header)
    const name = cleanName(header.name)
    const path = name === '' ? this.#options.directory : joined(this.#options.directory, name)
    // Looking first would cost as much as all the rest: most entries are new, and their directories there.
    try {
      this.#make(path, header)
      return
    } catch (error) {
      if (errorCode(error) !== 'EEXIST' && errorCode(error) !== 'ENOENT') throw error
    }
    const isKept = this.#makeRoom(path, name, header)
    this.#makeParents(path, name)
    if (isKept) this.#describe(path, header)
    else this.#make(path, header)
  }

  #make(path: string, header: TarHeader): void {
    switch (header.type) {
      case 'file':
        // Content events come between entry and end; an empty file has none.
        this.#file = { fd: createFile(path), header, end: 0 }
        return
      case 'directory':
        mkdirSync(fsPath(path), { mode: 0o700 })
        break
      case 'hardlink':
        linkSync(fsPath(joined(this.#options.directory, cleanName(header.linkName))), fsPath(path))
        return
      case 'symlink':
        symlinkSync(fsPath(header.linkName), fsPath(path))
        break
      default:
        makeNodeAt(fromHere, path, {
          type: header.type,
          major: header.deviceMajor,
          minor: header.deviceMinor,
        })
    }
    this.#describe(path, header)
  }

  /** Removes what is in the way; true when there is a directory to be kept. */
  #makeRoom(path: string, name: string, header: TarHeader): boolean {
    const existing = lstatIfAny(path)
    if (existing === undefined) return false
    const { noOverwriteDirNonDir, directory } = this.#options
    const quoted = `${JSON.stringify(path)} with`
    const isDirectory = existing.isDirectory()
    if (noOverwriteDirNonDir && isDirectory && header.type !== 'directory') {
      throw failure(`cannot overwrite directory ${quoted} non-directory ${JSON.stringify(directory)}`)
    }
    if (noOverwriteDirNonDir && !isDirectory && header.type === 'directory') {
      throw failure(`cannot overwrite non-directory ${quoted} directory ${JSON.stringify(directory)}`)
    }
    if (isDirectory && header.type === 'directory') return true
    if (name === '')
      throw failure(`cannot overwrite directory ${quoted} non-directory ${JSON.stringify(directory)}`)
    rmSync(fsPath(path), { recursive: true })
    return false
  }

  /** Archives need not name the directories of what they hold. */
  #makeParents(path: string, name: string): void {
    if (!name.includes('/')) return
    const parent = path.slice(0, path.lastIndexOf('/'))
    makeDirectories(parent, rootOwner(this.#options.ids))
  }

  #endFile(): void {
    if (this.#file === undefined) return
    const { fd, header, end } = this.#file
    this.#file = undefined
    try {
      if (end !== header.size) ftruncateSync(fd, header.size)
      const { uid, gid } = this.#owner(header)
      fchownSync(fd, uid, gid)
      fchmodSync(fd, header.mode)
      for (const [key, value] of header.xattrs) ifKept(() => setXattrOf(fd, key, value))
      setTimes(fd, times(header))
    } finally {
      closeSync(fd)
    }
  }

  #owner(header: TarHeader): Owner {
    const { owner = header, ids } = this.#options
    return hostOwner(ids, owner)
  }

  #describe(path: string, header: TarHeader): void {
    const { uid, gid } = this.#owner(header)
    lchownSync(fsPath(path), uid, gid)
    if (header.type !== 'symlink') chmodSync(fsPath(path), header.mode)
    for (const [key, value] of header.xattrs) ifKept(() => setXattr(path, key, value))
    if (header.type === 'directory') this.#directories.push({ path, header })
    else setTimesAt(fromHere, path, times(header))
  }
}

/** The numbers of `user[:group]` by the container's own /etc/passwd and /etc/group. Throws invalid. */
export function lookUpOwner(user: string): Owner {
  const [name = '', group] = user.split(':')
  const entry = records('/etc/passwd').find((fields) => fields[0] === name || fields[2] === name)
  if (entry === undefined && !/^\d+$/.test(name)) throw unknown('user', name)
  const uid = Number(entry?.[2] ?? name)
  if (group === undefined) return { uid, gid: Number(entry?.[3] ?? 0) }
  const groupEntry = records('/etc/group').find((fields) => fields[0] === group || fields[2] === group)
  if (groupEntry === undefined && !/^\d+$/.test(group)) throw unknown('group', group)
  return { uid, gid: Number(groupEntry?.[2] ?? group) }
}

function records(path: string): string[][] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.split(':'))
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}

function unknown(kind: string, name: string): EngineError {
  return new EngineError(
    'invalid',
    `unable to find ${kind} ${name}: no matching entries in ${kind === 'user' ? 'passwd' : 'group'} file`,
  )
}

/** The name below the directory, without `.`, `..` and slashes at either end; empty for the directory itself. */
function cleanName(name: string): string {
  const parts: string[] = []
  for (const part of name.split('/')) {
    if (part === '..' && parts.pop() === undefined)
      throw failure(`${JSON.stringify(name)} is outside of the directory`)
    if (part !== '' && part !== '.' && part !== '..') parts.push(part)
  }
  return parts.join('/')
}

function makeDirectories(path: string, owner: Owner): void {
  if (path === '' || lstatIfAny(path) !== undefined) return
  makeDirectories(path.slice(0, path.lastIndexOf('/')), owner)
  mkdirSync(fsPath(path), { mode: 0o755 })
  lchownSync(fsPath(path), owner.uid, owner.gid)
}

function createFile(path: string): number {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
  return openSync(fsPath(path), flags, 0o600)
}

function writeAt(fd: number, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done)
  }
}

/** File systems that keep no attributes, or not these, get the file without them, as with Docker. */
function ifKept(setAttribute: () => void): void {
  try {
    setAttribute()
  } catch (error) {
    if (!['ENOTSUP', 'EOPNOTSUPP', 'EPERM'].includes(errorCode(error) ?? '')) throw error
  }
}

function times(header: TarHeader): { atimeNs: bigint; mtimeNs: bigint } {
  return { atimeNs: header.atimeNs ?? header.mtimeNs, mtimeNs: header.mtimeNs }
}

function failure(message: string): EngineError {
  return new EngineError('internal', message)
}
