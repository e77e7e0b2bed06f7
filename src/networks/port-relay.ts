/**
 * Takes connections over that the kernel cannot lead to a container: those to [::1], and those over IPv6 to a
 * container that has IPv4 alone. It works inside the daemon and ends with it; everything else goes on.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { pipeline } from 'node:stream'
import type { BoundSocket } from '../kernel/netns-socket.ts'
import type { Log } from '../lib/log.ts'

/** A relay of one listening socket, which it owns from then on. */
export class PortRelay implements Disposable {
  readonly #server: Server
  readonly #streams = new Set<Socket>()
  /** Where connections go; may change while others are open. */
  target: { host: string; port: number }

  constructor(socket: BoundSocket, target: { host: string; port: number }, log: Log) {
    this.target = target
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#relay(client))
    this.#server.on('error', (error) => log.warn('port relay failed', { error, port: socket.port }))
    this.#server.listen({ fd: socket.release() })
    this.#server.unref()
  }

  #relay(client: Socket): void {
    const server = connect({ ...this.target, allowHalfOpen: true, noDelay: true })
    for (const stream of [client, server]) {
      this.#streams.add(stream)
      stream.on('close', () => this.#streams.delete(stream))
    }
    pipeline(client, server, (error) => {
      if (error) server.destroy()
    })
    pipeline(server, client, (error) => {
      if (error) client.destroy()
    })
  }

  [Symbol.dispose](): void {
    this.#server.close()
    for (const stream of this.#streams) stream.destroy()
  }
}
