/** Eventfds that the kernel signals, all heard through one epoll descriptor: one watcher, however many there are. */
import { closeSync } from 'node:fs'
import { libcCall, onReadable } from './ffi.ts'

const eventfdCall = libcCall('eventfd', 'int eventfd(unsigned int initial, int flags)')
const epollCreate = libcCall('epoll_create1', 'int epoll_create1(int flags)')
const epollControl = libcCall('epoll_ctl', 'int epoll_ctl(int epoll, int operation, int fd, void *event)')
const epollWait = libcCall('epoll_wait', 'int epoll_wait(int epoll, void *events, int count, int timeoutMs)')

const closeOnExec = 0o2000000
const nonBlocking = 0o4000
const addOperation = 1
/** EPOLLIN and EPOLLET: an eventfd need not be read to be heard again. */
const readableEdge = 0x8000_0001
/** struct epoll_event is packed on x86-64 alone. */
const [eventSize, dataOffset] = process.arch === 'x64' ? [12, 4] : [16, 8]
const eventsAtOnce = 32

/** See the file's head. Disposing it closes all that were made. */
export class DescriptorSignals implements Disposable {
  readonly #listeners = new Map<number, () => void>()
  #epoll: { fd: number; watcher: Disposable } | undefined

  /** A new eventfd, and the call for each of its signals. Disposing it closes it. */
  add(listener: () => void): { fd: number } & Disposable {
    const epoll = this.#open()
    const fd = eventfdCall('', 0, closeOnExec | nonBlocking)
    const event = Buffer.alloc(eventSize)
    event.writeUInt32LE(readableEdge, 0)
    event.writeInt32LE(fd, dataOffset)
    this.#listeners.set(fd, listener)
    epollControl('', epoll, addOperation, fd, event)
    return { fd, [Symbol.dispose]: () => this.#close(fd) }
  }

  [Symbol.dispose](): void {
    for (const fd of this.#listeners.keys()) this.#close(fd)
    this.#epoll?.watcher[Symbol.dispose]()
    if (this.#epoll !== undefined) closeSync(this.#epoll.fd)
    this.#epoll = undefined
  }

  #open(): number {
    if (this.#epoll !== undefined) return this.#epoll.fd
    const fd = epollCreate('', closeOnExec)
    this.#epoll = { fd, watcher: onReadable(fd, () => this.#take()) }
    return fd
  }

  #close(fd: number): void {
    // The kernel forgets a closed descriptor's registration.
    if (this.#listeners.delete(fd)) closeSync(fd)
  }

  #take(): void {
    if (this.#epoll === undefined) return
    const events = Buffer.alloc(eventSize * eventsAtOnce)
    const count = epollWait('', this.#epoll.fd, events, eventsAtOnce, 0)
    for (let index = 0; index < count; index++) {
      this.#listeners.get(events.readInt32LE(index * eventSize + dataOffset))?.()
    }
  }
}
