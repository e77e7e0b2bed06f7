/** Sending datagrams to unix sockets, which Node cannot: the local syslog and the journal take them. */
import { closeSync } from 'node:fs'
import { libcCall } from './ffi.ts'

const addressFamilyUnix = 1
const socketDatagram = 2
const socketNonBlocking = 0o4000
const socketCloseOnExec = 0o2000000
const maxPathBytes = 107
const noSignal = 0x4000

const socketCall = libcCall('socket', 'int socket(int domain, int type, int protocol)')
const connectCall = libcCall('connect', 'int connect(int fd, const uint8_t *address, unsigned int length)')
const sendCall = libcCall('send', 'long send(int fd, const uint8_t *data, size_t length, int flags)')

/** A connected datagram socket. Sending never blocks. */
export class UnixDatagramSocket implements Disposable {
  readonly #fd: number

  /** Throws a KernelError (ENOENT, ECONNREFUSED) when nobody listens at the path. */
  constructor(path: string) {
    const name = Buffer.from(path)
    if (name.length > maxPathBytes) throw new TypeError(`path of a unix socket is too long: ${path}`)
    this.#fd = socketCall(path, addressFamilyUnix, socketDatagram | socketNonBlocking | socketCloseOnExec, 0)
    const address = Buffer.alloc(2 + name.length + 1)
    address.writeUInt16LE(addressFamilyUnix)
    name.copy(address, 2)
    try {
      connectCall(path, this.#fd, address, address.length)
    } catch (error) {
      closeSync(this.#fd)
      throw error
    }
  }

  /** Throws a KernelError: EAGAIN when the receiver's queue is full, EMSGSIZE when the message is too long. */
  send(message: Buffer): void {
    sendCall('', this.#fd, message, message.length, noSignal)
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd)
  }
}
