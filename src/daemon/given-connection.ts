/** A hijacked connection as the engine may give it away: to a container's keeper, which then serves the client itself. */
import type { ClientConnection } from '../containers/ports.ts'
import { descriptorOf } from '../kernel/unix-sockets.ts'
import type { OfferedConnection } from '../spec/task-types.ts'
import type { HijackedConnection, StreamType } from './hijack.ts'
import { setReading, takeBuffered } from './socket-reading.ts'

/** See the file's head. `type` is asked for the answer's content type if it has not been answered yet. */
export class GivableConnection implements ClientConnection {
  readonly #connection: HijackedConnection
  readonly #type: (tty: boolean) => StreamType

  constructor(connection: HijackedConnection, type: (tty: boolean) => StreamType) {
    this.#connection = connection
    this.#type = type
  }

  /** See `ClientConnection.offer`. */
  offer(tty: boolean): OfferedConnection | undefined {
    const { socket, taken } = this.#connection
    const descriptor = descriptorOf(socket)
    // What a TLS client is sent must be encrypted here.
    if (descriptor < 0 || Reflect.get(socket, 'encrypted') === true) return undefined
    if (socket.destroyed || socket.writableLength > 0) return undefined
    socket.pause()
    // Reading from the buffer may make Node read from the kernel, so that is stopped after it.
    const input = takeBuffered(socket)
    setReading(socket, false)
    const first = taken ? Buffer.alloc(0) : this.#connection.streamHead(this.#type(tty))
    return { descriptor, first, input }
  }

  /** See `ClientConnection.taken`. */
  taken(): void {
    this.#connection.give()
  }

  /** See `ClientConnection.kept`. */
  kept({ input }: OfferedConnection): void {
    const { socket, taken } = this.#connection
    if (socket.destroyed) return
    if (input.length > 0) socket.unshift(input)
    setReading(socket, true)
    if (taken) socket.resume()
  }
}
