/**
 * Paths inside a directory tree that somebody else wrote: a container's root. Every path is resolved by the
 * kernel (openat2 with RESOLVE_IN_ROOT), which treats the tree as `/`: absolute links and `..` stay inside, and
 * links like those of /proc that lead elsewhere are refused. What comes out is a descriptor, so nothing is looked
 * up by name a second time; `fdPath` makes a path of it for Node's own calls. Calls are synchronous, a few
 * microseconds each. Failures are KernelErrors with the usual codes (ENOENT, ELOOP, ENOTDIR ...).
 */
import {
  close,
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  lstatSync,
  readlinkSync,
  readSync,
  type Stats,
} from 'node:fs'
import { libcCall } from './ffi.ts'

/** Flags of open(2) that Node does not name. */
export const openFlags = {
  ...constants,
  O_PATH: 0o10000000,
  O_CLOEXEC: 0o2000000,
} as const

const resolveInRoot = 0x10
const resolveNoMagicLinks = 0x02
const resolveNoSymlinks = 0x04
const sysOpenat2 = 437
const atFdCwd = -100
const maxLinks = 40
const maxAttempts = 64

const openat2Call = libcCall(
  'openat2',
  'long syscall(long number, int directory, const uint8_t *path, const uint8_t *how, size_t size)',
)
const mkdiratCall = libcCall('mkdirat', 'int mkdirat(int directory, const uint8_t *path, unsigned int mode)')

/** A path: text, or bytes where names are not UTF-8. */
export type PathBytes = string | Buffer

/** An open descriptor that closes itself. */
export class OwnedFd implements Disposable {
  readonly fd: number
  #open = true

  constructor(fd: number) {
    this.fd = fd
  }

  /** A host path that means this very file, for calls that want a path. Valid while it is open. */
  get path(): string {
    return fdPath(this.fd)
  }

  /** Gives the descriptor away: the caller closes it. */
  release(): number {
    this.#open = false
    return this.fd
  }

  [Symbol.dispose](): void {
    if (!this.#open) return
    this.#open = false
    closeSync(this.fd)
  }

  /** Closes in the background, for files whose close may wait for a device. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return
    this.#open = false
    await new Promise<void>((resolve) => close(this.fd, () => resolve()))
  }
}

/** The /proc path of a descriptor of this process. */
export function fdPath(fd: number): string {
  return `/proc/self/fd/${fd}`
}

/**
 * Opens `path` inside `root`. The caller owns the descriptor. With O_NOFOLLOW and O_PATH a link itself is opened.
 * A device or FIFO of a hostile tree may block: pass O_NONBLOCK, or O_PATH and look first.
 */
export function openInRoot(root: PathBytes, path: PathBytes, flags: number, mode = 0): OwnedFd {
  using rootFd = openRoot(root)
  return openUnder(rootFd.fd, path, { flags, mode })
}

/** Opens the root itself for many lookups through `openUnder`. The root's own path is trusted. */
export function openRoot(root: PathBytes): OwnedFd {
  return new OwnedFd(openat2(atFdCwd, root, { flags: openFlags.O_PATH | openFlags.O_DIRECTORY, resolve: 0 }))
}

/** As `openInRoot`, from a root that is open already. */
export function openUnder(
  rootFd: number,
  path: PathBytes,
  options: { flags: number; mode?: number },
): OwnedFd {
  return new OwnedFd(openat2(rootFd, path, { ...options, resolve: resolveInRoot | resolveNoMagicLinks }))
}

/** The directory that holds the last part of a path, open, and that part's name (`.` for the root itself). */
export type ParentInRoot = { directory: OwnedFd; name: string }

/**
 * Opens the directory that holds the path's last part, which itself is not followed and need not exist. A path
 * that ends in `..` is resolved as a directory, with the name `.`.
 */
export function openParentInRoot(root: PathBytes, path: string): ParentInRoot {
  const parts = split(path)
  const name = parts.at(-1)
  const whole = name === undefined || name === '..'
  const directory = openInRoot(
    root,
    whole ? path || '/' : `/${parts.slice(0, -1).join('/')}`,
    openFlags.O_PATH | openFlags.O_DIRECTORY,
  )
  return { directory, name: whole ? '.' : name }
}

/** Reads a regular file of at most `maxBytes`. Throws EINVAL for what is no regular file, EFBIG beyond the limit. */
export function readFileInRoot(root: PathBytes, path: PathBytes, maxBytes = 16 << 20): Buffer {
  // O_NONBLOCK: a FIFO where a file is expected must not stop the daemon.
  using file = openInRoot(root, path, openFlags.O_RDONLY | openFlags.O_NONBLOCK | openFlags.O_NOCTTY)
  const stats = fstatSync(file.fd)
  if (!stats.isFile()) throw scopedError('EINVAL', `not a regular file: ${path.toString()}`)
  const chunks: Buffer[] = []
  let total = 0
  for (;;) {
    const chunk = Buffer.allocUnsafe(Math.max(4096, Math.min(stats.size + 1, 1 << 20)))
    const count = readSync(file.fd, chunk)
    if (count === 0) return Buffer.concat(chunks)
    total += count
    if (total > maxBytes) throw scopedError('EFBIG', `file too large: ${path.toString()}`)
    chunks.push(chunk.subarray(0, count))
  }
}

/** stat(2) inside the root: links are followed, all within the root. */
export function statInRoot(root: PathBytes, path: PathBytes): Stats {
  using file = openInRoot(root, path, openFlags.O_PATH)
  return fstatSync(file.fd)
}

/** lstat(2) inside the root: a last part that is a link is described itself. */
export function lstatInRoot(root: PathBytes, path: PathBytes): Stats {
  using file = openInRoot(root, path, openFlags.O_PATH | openFlags.O_NOFOLLOW)
  return fstatSync(file.fd)
}

/** Where a link inside the root points, as it is written. Throws EINVAL for anything else. */
export function readlinkInRoot(root: PathBytes, path: string): string {
  const { directory, name } = openParentInRoot(root, path)
  using parent = directory
  return readlinkSync(`${parent.path}/${name}`)
}

/** The path inside the root with every link resolved: `/usr/bin` for `/bin` where that is a link. Must exist. */
export function realPathInRoot(root: PathBytes, path: PathBytes): string {
  using rootFd = openRoot(root)
  using file = openUnder(rootFd.fd, path, { flags: openFlags.O_PATH })
  const rootPath = readlinkSync(rootFd.path)
  const full = readlinkSync(file.path)
  if (full === rootPath) return '/'
  const prefix = rootPath === '/' ? '/' : `${rootPath}/`
  if (!full.startsWith(prefix)) throw scopedError('EXDEV', `path left its root: ${path.toString()}`)
  return `/${full.slice(prefix.length)}`
}

/** Owner and mode for directories that `mkdirAllInRoot` makes. */
export type DirectoryOwner = { mode: number; uid: number; gid: number }

/**
 * Makes a directory and all its missing parents inside the root and opens it (O_PATH). Links on the way are
 * followed inside the root; a dangling one has its target made. What exists keeps its owner and mode.
 * Throws ENOTDIR where something else is in the way.
 */
export function mkdirAllInRoot(root: PathBytes, path: string, owner: DirectoryOwner): OwnedFd {
  using rootFd = openRoot(root)
  const directory = { flags: openFlags.O_PATH | openFlags.O_DIRECTORY }
  const done: string[] = []
  const todo = split(path)
  let links = 0
  for (let part = todo.shift(); part !== undefined; part = todo.shift()) {
    try {
      using _found = openUnder(rootFd.fd, `/${[...done, part].join('/')}`, directory)
      done.push(part)
      continue
    } catch (error) {
      if (!isCode(error, 'ENOENT')) throw error
    }
    using parent = openUnder(rootFd.fd, `/${done.join('/')}`, directory)
    if (makeDirectory(parent.fd, part, owner)) {
      done.push(part)
      continue
    }
    // Something of that name leads nowhere: a dangling link, unless it went away meanwhile.
    links += 1
    if (links > maxLinks) throw scopedError('ELOOP', `too many links: ${path}`)
    const target = linkTarget(`${parent.path}/${part}`)
    if (target === undefined) todo.unshift(part)
    else {
      if (target.startsWith('/')) done.length = 0
      todo.unshift(...split(target))
    }
  }
  return openUnder(rootFd.fd, `/${done.join('/')}`, directory)
}

/** Makes one directory with its owner; false when the name is taken. */
function makeDirectory(parentFd: number, name: string, owner: DirectoryOwner): boolean {
  try {
    mkdiratCall(name, parentFd, pathBytes(name), owner.mode)
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false
    throw error
  }
  // The umask may have taken bits away; and the name must still be the directory made above, not a link.
  using made = new OwnedFd(
    openat2(parentFd, name, {
      flags: openFlags.O_RDONLY | openFlags.O_DIRECTORY | openFlags.O_NOFOLLOW,
      resolve: resolveNoSymlinks | resolveInRoot,
    }),
  )
  fchownSync(made.fd, owner.uid, owner.gid)
  fchmod(made.fd, owner.mode)
  return true
}

const fchmodCall = libcCall('fchmod', 'int fchmod(int fd, unsigned int mode)')

function fchmod(fd: number, mode: number): void {
  fchmodCall('', fd, mode)
}

/** The target of a link, undefined when there is no link (any more). */
function linkTarget(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined
  } catch (error) {
    // Gone, or something else since it was looked at.
    if (isCode(error, 'ENOENT') || isCode(error, 'EINVAL')) return undefined
    throw error
  }
}

function split(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.')
}

type Openat2 = { flags: number; mode?: number; resolve: number }

function openat2(directory: number, path: PathBytes, { flags, mode = 0, resolve }: Openat2): number {
  const how = Buffer.alloc(24)
  how.writeBigUInt64LE(BigInt(flags | openFlags.O_CLOEXEC), 0)
  how.writeBigUInt64LE(BigInt(mode), 8)
  how.writeBigUInt64LE(BigInt(resolve), 16)
  const bytes = pathBytes(path)
  for (let attempt = 1; ; attempt++) {
    try {
      return openat2Call(path.toString(), sysOpenat2, directory, bytes, how, how.length)
    } catch (error) {
      // The kernel asks to try again when a rename somewhere made its check of `..` unsure.
      if (attempt === maxAttempts || !(isCode(error, 'EAGAIN') || isCode(error, 'EINTR'))) throw error
    }
  }
}

function pathBytes(path: PathBytes): Buffer {
  const bytes = typeof path === 'string' ? Buffer.from(path) : path
  if (bytes.includes(0)) throw scopedError('EINVAL', 'path contains a zero byte')
  return Buffer.concat([bytes.length === 0 ? Buffer.from('.') : bytes, Buffer.alloc(1)])
}

function isCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code
}

function scopedError(code: string, message: string): Error & { code: string } {
  return Object.assign(new Error(message), { code })
}
