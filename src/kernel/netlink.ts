/**
 * Netlink: the kernel's message protocol for links, addresses, routes and connection tracking. Everything is
 * synchronous: the kernel answers a request while it is being sent, so a reply is always there to be read.
 * Many messages travel in one send; each is acknowledged on its own. The kernel carries requests out one at a time for
 * all network namespaces, and the end of one takes it a while: what is not needed at once is better sent `Aside`.
 */
import { KernelError, lastErrno, libcAsyncCall, libcCall, libcFunction } from './ffi.ts'

const socketCall = libcCall('socket', 'int socket(int domain, int type, int protocol)')
const setsockoptCall = libcCall(
  'setsockopt',
  'int setsockopt(int fd, int level, int name, const void *value, unsigned int length)',
)
const sendSignature = 'long send(int fd, const void *data, size_t length, int flags)'
const sendCall = libcCall('send', sendSignature)
const sendAsyncCall = libcAsyncCall('send', sendSignature)
const recvCall = libcFunction('long recv(int fd, void *data, size_t length, int flags)')
const closeCall = libcFunction('int close(int fd)')

const addressFamilyNetlink = 16
const socketRaw = 3
const closeOnExec = 0o2000000
const solNetlink = 270
const optionCapAck = 10

const typeError = 2
const typeDone = 3
const flagRequest = 1
const flagAck = 4
const flagDump = 0x300
const headerBytes = 16
const receiveBytes = 256 * 1024

/** Protocols of netlink sockets. */
export const netlinkProtocols = { route: 0, netfilter: 12 } as const

/** A request, or one message of an answer. `payload` is all after the netlink header. */
export type NetlinkMessage = { type: number; flags: number; payload: Buffer }

/** An open netlink socket. It belongs to the network namespace that it was opened in, for good. */
export class NetlinkSocket implements Disposable {
  readonly #fd: number
  readonly #buffer = Buffer.allocUnsafe(receiveBytes)
  #sequence = 0
  #closed = false

  /** Opens in the network namespace of the calling moment (see `netns.ts`). */
  constructor(protocol: number) {
    this.#fd = socketCall('netlink', addressFamilyNetlink, socketRaw | closeOnExec, protocol)
    const one = Buffer.from([1, 0, 0, 0])
    setsockoptCall('NETLINK_CAP_ACK', this.#fd, solNetlink, optionCapAck, one, 4)
    // A lost acknowledgement must not hang the process: two seconds, then an error.
    const timeval = Buffer.alloc(16)
    timeval.writeBigInt64LE(2n, 0)
    setsockoptCall('SO_RCVTIMEO', this.#fd, 1, 20, timeval, 16)
  }

  /**
   * Sends the messages in one go. Those after a failed one are still carried out by the kernel. Throws the first
   * failure as a KernelError, after all answers have been read, unless `tolerate` names its code.
   */
  request(messages: NetlinkMessage[], what: string, tolerate: readonly string[] = []): void {
    if (messages.length === 0) return
    const { data, waiting } = this.#encodeAll(messages)
    this.#send(data, what)
    this.#acknowledge(waiting, what, tolerate)
  }

  /** `request` on another thread. Nothing else may use the socket meanwhile. */
  async requestAside(messages: NetlinkMessage[], what: string): Promise<void> {
    const { data, waiting } = this.#encodeAll(messages)
    await sendAsyncCall(what, this.#fd, data, data.length, 0)
    this.#acknowledge(waiting, what, [])
  }

  #encodeAll(messages: NetlinkMessage[]): { data: Buffer; waiting: Set<number> } {
    const first = this.#sequence + 1
    const parts = messages.map((message) => this.#encode(message, flagRequest | flagAck))
    return { data: Buffer.concat(parts), waiting: new Set(messages.map((_message, index) => first + index)) }
  }

  #acknowledge(waiting: Set<number>, what: string, tolerate: readonly string[]): void {
    let failure: KernelError | undefined
    while (waiting.size > 0) {
      for (const reply of this.#receive(what)) {
        if (reply.type !== typeError || !waiting.delete(reply.sequence)) continue
        const errno = reply.payload.length >= 4 ? -reply.payload.readInt32LE(0) : 0
        if (errno === 0) continue
        const error = new KernelError('netlink', errno, what)
        if (!tolerate.includes(error.code)) failure ??= error
      }
    }
    if (failure !== undefined) throw failure
  }

  /** Asks for one object: its message, or undefined when the kernel answers ENODEV or ENOENT. */
  query(message: NetlinkMessage, what: string): Buffer | undefined {
    this.#send(this.#encode(message, flagRequest), what)
    return this.#answer(this.#sequence, what)
  }

  /** `query` on another thread. Nothing else may use the socket meanwhile. */
  async queryAside(message: NetlinkMessage, what: string): Promise<Buffer | undefined> {
    const data = this.#encode(message, flagRequest)
    await sendAsyncCall(what, this.#fd, data, data.length, 0)
    return this.#answer(this.#sequence, what)
  }

  #answer(sequence: number, what: string): Buffer | undefined {
    for (;;) {
      for (const reply of this.#receive(what)) {
        if (reply.sequence !== sequence) continue
        if (reply.type !== typeError) return reply.payload
        const error = new KernelError('netlink', -reply.payload.readInt32LE(0), what)
        if (error.code === 'ENODEV' || error.code === 'ENOENT') return undefined
        throw error
      }
    }
  }

  /** Asks for all objects of a kind: the payload of each. */
  dump(message: NetlinkMessage, what: string): Buffer[] {
    this.#send(this.#encode(message, flagRequest | flagDump), what)
    const sequence = this.#sequence
    const found: Buffer[] = []
    for (;;) {
      for (const reply of this.#receive(what)) {
        if (reply.sequence !== sequence) continue
        if (reply.type === typeDone) return found
        if (reply.type === typeError) throw new KernelError('netlink', -reply.payload.readInt32LE(0), what)
        found.push(Buffer.from(reply.payload))
      }
    }
  }

  [Symbol.dispose](): void {
    if (this.#closed) return
    this.#closed = true
    closeCall(this.#fd)
  }

  #encode(message: NetlinkMessage, flags: number): Buffer {
    this.#sequence += 1
    return encodeMessage(message, flags, this.#sequence)
  }

  #send(data: Buffer, what: string): void {
    sendCall(what, this.#fd, data, data.length, 0)
  }

  #receive(what: string): ReceivedMessage[] {
    const length = recvCall(this.#fd, this.#buffer, receiveBytes, 0)
    if (length < 0) throw new KernelError('netlink', lastErrno(), what)
    return parseMessages(this.#buffer.subarray(0, length))
  }
}

/** A message as it came. `payload` is a view of the receive buffer. */
export type ReceivedMessage = NetlinkMessage & { sequence: number }

/** A message with its header, padded. `flags` are added to the message's own. */
export function encodeMessage(message: NetlinkMessage, flags: number, sequence: number): Buffer {
  const length = headerBytes + message.payload.length
  const buffer = Buffer.alloc(align(length))
  buffer.writeUInt32LE(length, 0)
  buffer.writeUInt16LE(message.type, 4)
  buffer.writeUInt16LE(message.flags | flags, 6)
  buffer.writeUInt32LE(sequence, 8)
  message.payload.copy(buffer, headerBytes)
  return buffer
}

/** The messages of a datagram. What is cut off or claims a wrong length ends the list. */
export function parseMessages(data: Buffer): ReceivedMessage[] {
  const messages: ReceivedMessage[] = []
  let offset = 0
  while (offset + headerBytes <= data.length) {
    const length = data.readUInt32LE(offset)
    if (length < headerBytes || offset + length > data.length) break
    messages.push({
      type: data.readUInt16LE(offset + 4),
      flags: data.readUInt16LE(offset + 6),
      sequence: data.readUInt32LE(offset + 8),
      payload: data.subarray(offset + headerBytes, offset + length),
    })
    offset += align(length)
  }
  return messages
}

/** One attribute: its header, its data, padding. Several parts are joined. */
export function attribute(type: number, ...data: Buffer[]): Buffer {
  const dataLength = data.reduce((sum, part) => sum + part.length, 0)
  const buffer = Buffer.alloc(align(4 + dataLength))
  buffer.writeUInt16LE(4 + dataLength, 0)
  buffer.writeUInt16LE(type, 2)
  let offset = 4
  for (const part of data) offset += part.copy(buffer, offset)
  return buffer
}

/** An attribute that holds attributes. */
export function nested(type: number, ...children: Buffer[]): Buffer {
  return attribute(type | 0x8000, ...children)
}

/** An attribute that holds a 32-bit number in the machine's order. */
export function attributeU32(type: number, value: number): Buffer {
  const data = Buffer.alloc(4)
  data.writeUInt32LE(value >>> 0)
  return attribute(type, data)
}

/** An attribute that holds one byte. */
export function attributeU8(type: number, value: number): Buffer {
  return attribute(type, Buffer.from([value]))
}

/** An attribute that holds text, ended by a zero byte. */
export function attributeString(type: number, value: string): Buffer {
  return attribute(type, Buffer.from(`${value}\0`))
}

/** Attributes by type, the last of each; what is cut off or claims a wrong length ends the list. */
export function parseAttributes(data: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>()
  let offset = 0
  while (offset + 4 <= data.length) {
    const length = data.readUInt16LE(offset)
    if (length < 4 || offset + length > data.length) break
    found.set(data.readUInt16LE(offset + 2) & 0x3fff, data.subarray(offset + 4, offset + length))
    offset += align(length)
  }
  return found
}

function align(length: number): number {
  return (length + 3) & ~3
}
