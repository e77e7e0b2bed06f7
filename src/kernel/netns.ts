/**
 * Network namespaces. The main thread steps into one, does what must be done there synchronously, and steps
 * back before anything else can run; other threads of the process never leave theirs, and sockets stay in the
 * namespace they were opened in. A namespace lives as long as its file is bind-mounted, a process is in it or
 * one of its sockets is open.
 */
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { libcCall } from './ffi.ts'
import { mount, mountFlags, unmount } from './mount.ts'
import { withOwnedNetwork, type NamespaceOwner } from './user-namespace.ts'

const cloneNewNet = 0x40000000
const unshareCall = libcCall('unshare', 'int unshare(int flags)')
const setnsCall = libcCall('setns', 'int setns(int fd, int type)')

const ownNamespace = '/proc/thread-self/ns/net'

/** An open namespace: its file's descriptor. Closing it does not end the namespace. */
export class NetworkNamespace implements Disposable {
  readonly fd: number
  #closed = false

  constructor(fd: number) {
    this.fd = fd
  }

  /** Opens the namespace of a bind-mounted file or of `/proc/PID/ns/net`. Throws ENOENT. */
  static open(path: string): NetworkNamespace {
    return new NetworkNamespace(openSync(path, 'r'))
  }

  /**
   * Makes a namespace, kept alive by a bind mount on `path`, and runs `inside` in it while it is being made.
   * Leaves nothing on failure. It is the host's, or belongs to the user namespace that `owner` says.
   */
  static create(path: string, inside: () => void, owner?: NamespaceOwner): NetworkNamespace {
    return owner === undefined
      ? NetworkNamespace.#create(path, inside)
      : NetworkNamespace.#createOwned(path, inside, owner)
  }

  static #createOwned(path: string, inside: () => void, owner: NamespaceOwner): NetworkNamespace {
    makeMountPoint(path)
    try {
      withOwnedNetwork(owner, (source) => mount({ source, target: path, flags: mountFlags.bind }))
      const namespace = NetworkNamespace.open(path)
      try {
        namespace.run(inside)
        return namespace
      } catch (error) {
        namespace[Symbol.dispose]()
        throw error
      }
    } catch (error) {
      removeNamespace(path)
      throw error
    }
  }

  static #create(path: string, inside: () => void): NetworkNamespace {
    makeMountPoint(path)
    const home = openSync(ownNamespace, 'r')
    try {
      unshareCall('network namespace', cloneNewNet)
      try {
        mount({ source: ownNamespace, target: path, flags: mountFlags.bind })
        inside()
        return NetworkNamespace.open(path)
      } finally {
        comeHome(home)
      }
    } catch (error) {
      removeNamespace(path)
      throw error
    } finally {
      closeSync(home)
    }
  }

  /** Runs `work` inside. It must not wait for anything: synchronous calls only. */
  run<T>(work: () => T): T {
    const home = openSync(ownNamespace, 'r')
    try {
      setnsCall('network namespace', this.fd, cloneNewNet)
      try {
        return work()
      } finally {
        comeHome(home)
      }
    } finally {
      closeSync(home)
    }
  }

  [Symbol.dispose](): void {
    if (this.#closed) return
    this.#closed = true
    closeSync(this.fd)
  }
}

function makeMountPoint(path: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, '', { flag: 'wx', mode: 0o444 })
}

/** Lets go of a namespace's file; the namespace ends when nobody uses it any more. Idempotent. */
export function removeNamespace(path: string): void {
  try {
    unmount(path, { detached: true })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : ''
    // EINVAL: the file is there and nothing is mounted on it.
    if (code !== 'EINVAL' && code !== 'ENOENT') throw error
  }
  rmSync(path, { force: true })
}

function comeHome(home: number): void {
  try {
    setnsCall('back to the own network namespace', home, cloneNewNet)
  } catch (error) {
    // Going on in a foreign namespace would put every later socket and rule into the wrong place.
    process.abort()
    throw error
  }
}
