/**
 * The directories that entries of a layer are made in, open. Archives come in directory order, so a few are kept;
 * nothing but the writer changes the tree, which tells when one may have become another.
 */
import { posix } from 'node:path'
import { chmodAt, chownAt, makeDirectoryAt } from '../kernel/file-tree.ts'
import { mkdirAllInRoot, openFlags, openRoot, openUnder, type OwnedFd } from '../kernel/scoped-path.ts'
import type { Owner } from '../lib/id-mapping.ts'
import { encodePath } from '../lib/path-bytes.ts'
import { errorCode } from '../spec/errors.ts'

const maxOpen = 32
const maxImplied = 100_000
const flags = openFlags.O_PATH | openFlags.O_DIRECTORY

/** See the file's head. Paths are clean and absolute, `/` being the layer's root. */
export class ParentDirectories implements Disposable {
  readonly #root: string
  readonly #rootFd: OwnedFd
  readonly #owner: Owner
  readonly #open = new Map<string, OwnedFd>()
  readonly #implied = new Set<string>(['/'])

  /** `owner` gets the root and what is made here. */
  constructor(root: string, owner: Owner) {
    this.#root = root
    this.#owner = owner
    this.#rootFd = openRoot(root)
    this.#own(this.#rootFd.fd, '.')
  }

  /** A descriptor of the directory, valid until the next call; missing ones are made and remembered as implied. */
  open(path: string): number {
    if (path === '/') return this.#rootFd.fd
    const known = this.#open.get(path)
    if (known !== undefined) {
      this.#open.delete(path)
      this.#open.set(path, known)
      return known.fd
    }
    const directory = this.#openOrMake(path)
    this.#open.set(path, directory)
    if (this.#open.size > maxOpen) this.#closeOldest()
    return directory.fd
  }

  /** Opens a directory for the caller to close. Throws ENOENT. */
  openExisting(path: string): OwnedFd {
    return openUnder(this.#rootFd.fd, encodePath(path), { flags })
  }

  /** The archive describes this directory. */
  described(path: string): void {
    this.#implied.delete(path)
  }

  /** Directories made or used that the archive never described, parents first. */
  implied(): string[] {
    return [...this.#implied].sort((a, b) => (a < b ? -1 : 1))
  }

  /** What was at `path` is gone, and with it what lay below. Descriptors given before are closed. */
  forget(path: string): void {
    for (const fd of this.#open.values()) fd[Symbol.dispose]()
    this.#open.clear()
    for (const implied of this.#implied) {
      if (implied === path || implied.startsWith(`${path}/`)) this.#implied.delete(implied)
    }
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open.values()) fd[Symbol.dispose]()
    this.#open.clear()
    this.#rootFd[Symbol.dispose]()
  }

  #openOrMake(path: string): OwnedFd {
    try {
      return this.openExisting(path)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
    }
    const parentPath = posix.dirname(path)
    const parent = parentPath === '/' ? this.#rootFd.fd : this.open(parentPath)
    const name = posix.basename(path)
    try {
      makeDirectoryAt(parent, name)
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error
      // A dangling link: its target is made, inside the layer.
      return mkdirAllInRoot(this.#root, path, { mode: 0o755, ...this.#owner })
    }
    this.#own(parent, name)
    chmodAt(parent, name, 0o755)
    if (this.#implied.size < maxImplied) this.#implied.add(path)
    return this.openExisting(path)
  }

  /** What this process makes is root's from the beginning. */
  #own(parent: number, name: string): void {
    if (this.#owner.uid !== 0 || this.#owner.gid !== 0) chownAt(parent, name, this.#owner)
  }

  #closeOldest(): void {
    const [oldest] = this.#open
    if (oldest === undefined) return
    this.#open.delete(oldest[0])
    oldest[1][Symbol.dispose]()
  }
}
