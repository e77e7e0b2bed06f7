/**
 * Unix sockets of packets (SOCK_SEQPACKET), which Node has not: a packet arrives whole and may carry descriptors.
 * Everything is synchronous and bounded by a time limit, for a peer that is known to answer at once.
 */
import { closeSync, constants, openSync } from 'node:fs'
import { dirname, basename } from 'node:path'
import { libcCall, libcFunction } from './ffi.ts'
import { spawnDescriptor } from './unix-sockets.ts'

const socketCall = libcCall('socket', 'int socket(int domain, int type, int protocol)')
const bindCall = libcCall('bind', 'int bind(int fd, const void *address, unsigned int length)')
const listenCall = libcCall('listen', 'int listen(int fd, int backlog)')
const connectCall = libcCall('connect', 'int connect(int fd, const void *address, unsigned int length)')
const setsockoptCall = libcCall(
  'setsockopt',
  'int setsockopt(int fd, int level, int name, const void *value, unsigned int length)',
)
const sendmsgCall = libcCall('sendmsg', 'long sendmsg(int fd, const void *message, int flags)')
const recvmsgCall = libcCall('recvmsg', 'long recvmsg(int fd, void *message, int flags)')
/** Moves nothing and answers where the memory is. */
const moveNothing = libcFunction('uintptr_t memmove(void *to, const void *from, size_t size)')

const unixDomain = 1
const packetType = 5 | 0o2000000
const solSocket = 1
const [soSendBuffer, soReceiveTimeout, soSendTimeout] = [7, 20, 21]
const scmRights = 1
/** MSG_NOSIGNAL, MSG_CMSG_CLOEXEC. */
const [noSignal, closeOnExec] = [0x4000, 0x40000000]

/** The most that one packet holds: less than the kernel's usual limit of a socket's buffer. */
export const packetBytes = 192 << 10
const timeLimitSeconds = 5
const mostDescriptors = 2
const pathBytes = 107

/** A packet: its bytes, and descriptors that belong to whoever received it. */
export type Packet = { data: Buffer; descriptors: number[] }

/** One end of a connection. */
export class PacketSocket implements Disposable {
  readonly #fd: number
  #open = true

  private constructor(fd: number) {
    this.#fd = fd
  }

  /** Connects to who listens at `path`. Throws ENOENT, ECONNREFUSED. */
  static connect(path: string): PacketSocket {
    const socket = new PacketSocket(socketCall('', unixDomain, packetType, 0))
    try {
      withAddress(path, (address) => connectCall(path, socket.#fd, address, address.length))
      const limit = Buffer.alloc(16)
      limit.writeBigInt64LE(BigInt(timeLimitSeconds))
      for (const option of [soReceiveTimeout, soSendTimeout]) {
        setsockoptCall('time limit', socket.#fd, solSocket, option, limit, limit.length)
      }
      const size = Buffer.alloc(4)
      size.writeInt32LE(packetBytes)
      setsockoptCall('buffer', socket.#fd, solSocket, soSendBuffer, size, size.length)
      return socket
    } catch (error) {
      socket[Symbol.dispose]()
      throw error
    }
  }

  /** A descriptor that listens at `path`, where nothing is, for a process to be started; the caller closes it. */
  static listen(path: string): number {
    const fd = socketCall('', unixDomain, packetType, 0)
    try {
      withAddress(path, (address) => bindCall(path, fd, address, address.length))
      listenCall(path, fd, 8)
      return spawnDescriptor(fd)
    } finally {
      closeSync(fd)
    }
  }

  /** Sends a packet. Throws EPIPE when nobody is there any more, EAGAIN when it is not taken in time. */
  send(data: Buffer, descriptors: readonly number[] = []): void {
    const message = messageOf(data, descriptors.length)
    if (descriptors.length > 0) {
      const { control } = message
      control.writeBigUInt64LE(BigInt(16 + 4 * descriptors.length), 0)
      control.writeInt32LE(solSocket, 8)
      control.writeInt32LE(scmRights, 12)
      descriptors.forEach((fd, index) => control.writeInt32LE(fd, 16 + 4 * index))
    }
    sendmsgCall('packet', this.#fd, message.header, noSignal)
  }

  /** The next packet; undefined when the other end is closed. Throws EAGAIN when none comes in time. */
  receive(): Packet | undefined {
    const data = Buffer.alloc(4096)
    const { header, control } = messageOf(data, mostDescriptors)
    const size = recvmsgCall('packet', this.#fd, header, closeOnExec)
    if (size === 0) return undefined
    const hasControl = header.readBigUInt64LE(40) > 0n && control.readInt32LE(12) === scmRights
    const controlBytes = hasControl ? Number(control.readBigUInt64LE(0)) - 16 : 0
    const descriptors = Array.from({ length: controlBytes / 4 }, (_none, index) =>
      control.readInt32LE(16 + 4 * index),
    )
    return { data: data.subarray(0, size), descriptors }
  }

  [Symbol.dispose](): void {
    if (this.#open) closeSync(this.#fd)
    this.#open = false
  }
}

/** A struct msghdr (64 bits), with the memory that it points to. */
function messageOf(data: Buffer, descriptors: number): { header: Buffer; control: Buffer; part: Buffer } {
  const part = Buffer.alloc(16)
  part.writeBigUInt64LE(addressOf(data), 0)
  part.writeBigUInt64LE(BigInt(data.length), 8)
  const control = Buffer.alloc(descriptors === 0 ? 0 : 16 + 8 * Math.ceil(descriptors / 2))
  const header = Buffer.alloc(56)
  header.writeBigUInt64LE(addressOf(part), 16)
  header.writeBigUInt64LE(1n, 24)
  if (descriptors > 0) {
    header.writeBigUInt64LE(addressOf(control), 32)
    header.writeBigUInt64LE(BigInt(control.length), 40)
  }
  return { header, control, part }
}

function addressOf(memory: Buffer): bigint {
  return BigInt(moveNothing(memory, memory, 0))
}

/** Calls with a struct sockaddr_un, however long the path. */
function withAddress(path: string, call: (address: Buffer) => void): void {
  const name = Buffer.from(path)
  if (name.length <= pathBytes)
    return call(Buffer.concat([Buffer.from([unixDomain, 0]), name, Buffer.alloc(1)]))
  const directory = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    return withAddress(`/proc/self/fd/${directory}/${basename(path)}`, call)
  } finally {
    closeSync(directory)
  }
}
