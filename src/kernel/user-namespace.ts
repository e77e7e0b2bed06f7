/**
 * User namespaces, in which ids mean others than on the host. A process with threads cannot enter one, so they are made
 * by a program of ours (native/namespaces.c), together with the network namespace that is to belong to it: who is root
 * inside a user namespace is root in the other namespaces that it owns, and in none else.
 */
import { closeSync, fstatSync, openSync, readSync, statSync, writeFileSync } from 'node:fs'
import type { IdMapping } from '../lib/id-mapping.ts'
import type { OciIdMapping } from '../spec/oci-runtime-types.ts'
import { KernelError, libcCall } from './ffi.ts'
import { OwnedFd } from './scoped-path.ts'
import { reap, spawnProcess } from './process.ts'
import { descriptorPair, spawnDescriptor } from './unix-sockets.ts'

/** Whose a network namespace is to be: a user namespace of these ids, or that of the file `path`. */
export type NamespaceOwner = {
  /** The keeper's executable. */
  program: string
  ids: IdMapping
  path?: string
}

const ioctlCall = libcCall('ioctl', 'int ioctl(int fd, unsigned long request)')
/** NS_GET_USERNS of ioctl_ns(2). */
const getUserNamespace = 0xb701
const ownNamespace = '/proc/self/ns/user'

/** Runs `use` with the file of a new network namespace, which lasts no longer unless `use` holds it. */
export function withOwnedNetwork(owner: NamespaceOwner, use: (file: string) => void): void {
  const { own, peer } = descriptorPair()
  using process = new OwnedFd(own)
  const pid = start(owner, peer)
  try {
    awaitReady(process.fd)
    if (owner.path === undefined) {
      writeFileSync(`/proc/${pid}/uid_map`, mapText(owner.ids.uid))
      writeFileSync(`/proc/${pid}/gid_map`, mapText(owner.ids.gid))
    }
    use(`/proc/${pid}/ns/net`)
  } finally {
    process[Symbol.dispose]()
    reap(pid)
  }
}

/** The user namespace that owns the namespace of a file; undefined for the host's own. Throws ENOENT. */
export function ownerOfNamespace(path: string): OwnedFd | undefined {
  const fd = openSync(path, 'r')
  try {
    using owner = new OwnedFd(ioctlCall(path, fd, getUserNamespace))
    const { dev, ino } = fstatSync(owner.fd)
    const own = statSync(ownNamespace)
    return dev === own.dev && ino === own.ino ? undefined : new OwnedFd(owner.release())
  } finally {
    closeSync(fd)
  }
}

function start({ program, path }: NamespaceOwner, peer: number): number {
  const nothing = openSync('/dev/null', 'r+')
  const errors = spawnDescriptor(nothing)
  closeSync(nothing)
  try {
    const args = ['wharf-shim', '--namespaces', ...(path === undefined ? [] : [path])]
    return spawnProcess({ file: program, args, env: [], descriptors: [peer, peer, errors] })
  } finally {
    closeSync(errors)
    closeSync(peer)
  }
}

/** Waits until the namespaces are there: less than a millisecond. */
function awaitReady(fd: number): void {
  const answer = Buffer.alloc(16)
  const text = answer.toString('latin1', 0, readSync(fd, answer))
  if (text !== '+') throw new KernelError('user namespace', Number(text.slice(1)))
}

function mapText(ranges: readonly OciIdMapping[]): string {
  return ranges.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join('')
}
