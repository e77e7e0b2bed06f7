/** Sockets as bare descriptors: opened in whatever namespace the caller stands in, held or handed to Node. */
import { libcCall, libcFunction } from './ffi.ts'

const socketCall = libcCall('socket', 'int socket(int domain, int type, int protocol)')
const bindCall = libcCall('bind', 'int bind(int fd, const void *address, unsigned int length)')
const listenCall = libcCall('listen', 'int listen(int fd, int backlog)')
const getsocknameCall = libcCall(
  'getsockname',
  'int getsockname(int fd, void *address, _Inout_ unsigned int *length)',
)
const setsockoptCall = libcCall(
  'setsockopt',
  'int setsockopt(int fd, int level, int name, const void *value, unsigned int length)',
)
const closeCall = libcFunction('int close(int fd)')

const types = { tcp: 1, udp: 2, sctp: 1 } as const
const protocols = { tcp: 6, udp: 17, sctp: 132 } as const

/** Transport protocols that can be published. */
export type TransportProtocol = keyof typeof types

/** Where a socket is to be bound. Port 0 lets the kernel choose. */
export type SocketAddress = { protocol: TransportProtocol; address: Buffer; port: number }

/** A bound socket that nobody reads from: it holds its port. */
export class BoundSocket implements Disposable {
  readonly fd: number
  readonly port: number
  #open = true

  constructor(fd: number, port: number) {
    this.fd = fd
    this.port = port
  }

  /** Makes a stream socket listen. */
  listen(backlog: number): void {
    listenCall(`port ${this.port}`, this.fd, backlog)
  }

  /** Gives the descriptor away: the caller closes it from now on. */
  release(): number {
    this.#open = false
    return this.fd
  }

  [Symbol.dispose](): void {
    if (this.#open) closeCall(this.fd)
    this.#open = false
  }
}

/** Opens and binds. Throws a KernelError (`EADDRINUSE`, `EADDRNOTAVAIL`, `EPROTONOSUPPORT` ...). */
export function bindSocket({ protocol, address, port }: SocketAddress): BoundSocket {
  const inet6 = address.length === 16
  const fd = socketCall(protocol, inet6 ? 10 : 2, types[protocol] | 0o2004000, protocols[protocol])
  try {
    const one = Buffer.from([1, 0, 0, 0])
    if (protocol !== 'udp') setsockoptCall('SO_REUSEADDR', fd, 1, 2, one, 4)
    // IPV6_V6ONLY: the IPv4 side of a port has a socket of its own.
    if (inet6) setsockoptCall('IPV6_V6ONLY', fd, 41, 26, one, 4)
    const bytes = socketAddress(address, port)
    bindCall(`port ${port}`, fd, bytes, bytes.length)
    return new BoundSocket(fd, port === 0 ? boundPort(fd) : port)
  } catch (error) {
    closeCall(fd)
    throw error
  }
}

function socketAddress(address: Buffer, port: number): Buffer {
  const inet6 = address.length === 16
  const bytes = Buffer.alloc(inet6 ? 28 : 16)
  bytes.writeUInt16LE(inet6 ? 10 : 2, 0)
  bytes.writeUInt16BE(port, 2)
  address.copy(bytes, inet6 ? 8 : 4)
  return bytes
}

function boundPort(fd: number): number {
  const bytes = Buffer.alloc(28)
  getsocknameCall('bound port', fd, bytes, [bytes.length])
  return bytes.readUInt16BE(2)
}
