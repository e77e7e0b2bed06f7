/** Unix sockets that Node cannot make by itself: pairs, and connections to paths longer than an address holds. */
import { closeSync, constants, openSync } from 'node:fs'
import { connect, Socket } from 'node:net'
import { join } from 'node:path'
import { libcCall } from './ffi.ts'

const socketpairCall = libcCall('socketpair', 'int socketpair(int domain, int type, int protocol, int *pair)')
const duplicateCall = libcCall('fcntl', 'int fcntl(int fd, int command, int least)')

const unixDomain = 1
const streamType = 1
const closeOnExec = 0o2000000
/** F_DUPFD_CLOEXEC. */
const duplicateAbove = 1030

/** Descriptors for a process to be started are numbered from here, above any that they may become there. */
const leastSpawnDescriptor = 64

/** A copy of a descriptor that can be handed to `spawnProcess`; the caller closes it. */
export function spawnDescriptor(fd: number): number {
  return duplicateCall(String(fd), fd, duplicateAbove, leastSpawnDescriptor)
}

/** A connected pair of descriptors: one to wait on, one for a process to be started. The caller closes both. */
export function descriptorPair(): { own: number; peer: number } {
  const pair = new Int32Array(2)
  socketpairCall('', unixDomain, streamType | closeOnExec, 0, pair)
  const [own = -1, other = -1] = pair
  try {
    return { own, peer: spawnDescriptor(other) }
  } finally {
    closeSync(other)
  }
}

/** A connected pair: a socket for this process, a descriptor for one to be started. The caller closes both. */
export function socketPair(): { socket: Socket; peer: number } {
  const { own, peer } = descriptorPair()
  return { socket: new Socket({ fd: own, readable: true, writable: true, allowHalfOpen: true }), peer }
}

/** A connection's descriptor, which stays its own; -1 when it has none (any more). Node has no name for it. */
export function descriptorOf(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle')
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined
  return typeof fd === 'number' ? fd : -1
}

/** Most bytes of a path that fit into an address. */
const addressBytes = 107

/** Connects to a socket in a directory, however long its path. Rejects with Node's error. */
export async function connectUnix(directory: string, name: string): Promise<Socket> {
  const path = join(directory, name)
  if (Buffer.byteLength(path) <= addressBytes) return connected(path)
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    return await connected(`/proc/self/fd/${fd}/${name}`)
  } finally {
    closeSync(fd)
  }
}

async function connected(path: string): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  const socket = connect({ path, allowHalfOpen: true })
  socket.once('error', reject)
  socket.once('connect', () => {
    socket.off('error', reject)
    resolve(socket)
  })
  return promise
}
