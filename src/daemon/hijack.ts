/**
 * Taking a connection away from HTTP, as attach, exec and the websocket do. A client asks with `Upgrade: tcp` and
 * gets `101 UPGRADED`, or without and gets a 200 whose body never ends. Node delivers the two differently, and
 * drops what follows the head of the second kind; here both are made the first kind: the parser's callback is told
 * that the request is an upgrade, so that Node hands over the socket with all bytes after the head, body included.
 * That callback (`socket.parser.onIncoming`) is not part of Node's documented interface. This is the only file that
 * knows of it, and its test fails if a Node release changes it.
 */
import { ServerResponse, type IncomingMessage, type Server } from 'node:http'
import type { Server as TlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { readRawBody } from './request-body.ts'

/** Return value of `onIncoming` for "an upgrade, no body to parse" (node lib/_http_server.js). */
const skipBodyAndUpgrade = 2

/** Calls `handle` with the raw connection of every request that `wanted` picks. Other upgrades stay plain requests. */
export function interceptHijacks(
  server: Server | TlsServer,
  wanted: (request: IncomingMessage) => boolean,
  handle: (request: IncomingMessage, connection: HijackedConnection) => void,
): void {
  const isTls = 'setSecureContext' in server
  server.on(isTls ? 'secureConnection' : 'connection', (socket: Socket) => {
    const parser: unknown = Reflect.get(socket, 'parser')
    if (typeof parser !== 'object' || parser === null) return
    const original: unknown = Reflect.get(parser, 'onIncoming')
    if (typeof original !== 'function') throw new Error('this Node release has no parser.onIncoming')
    Reflect.set(parser, 'onIncoming', (request: IncomingMessage, keepAlive: boolean): unknown => {
      if (wanted(request)) {
        Reflect.set(request, 'upgrade', true)
        return skipBodyAndUpgrade
      }
      Reflect.set(request, 'upgrade', false)
      return Reflect.apply(original, undefined, [request, keepAlive])
    })
  })
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    if (head.length > 0) socket.unshift(head)
    handle(request, new HijackedConnection(request, socket))
  })
}

/** Content types of a hijacked stream: with 8-byte frame headers, or the bytes themselves. */
export type StreamType = 'multiplexed' | 'raw'

/** A connection that no HTTP parser reads any more. Answer it once: by `response` or by `take`. */
export class HijackedConnection {
  readonly request: IncomingMessage
  readonly socket: Socket
  /** For an ordinary answer after all; the connection ends with it. */
  readonly response: ServerResponse
  #taken = false
  #given = false

  constructor(request: IncomingMessage, socket: Socket) {
    this.request = request
    this.socket = socket
    // A client that resets the connection is not an error of ours; whoever waits sees the close.
    socket.on('error', () => {})
    this.response = new ServerResponse(request)
    this.response.shouldKeepAlive = false
    this.response.assignSocket(socket)
    this.response.once('finish', () => {
      if (this.#taken) return
      this.response.detachSocket(socket)
      socket.end()
      socket.resume()
    })
  }

  /** Whether the client's connection is a stream already. */
  get taken(): boolean {
    return this.#taken
  }

  /** Whether somebody else serves the client now. */
  get given(): boolean {
    return this.#given
  }

  /** The request's body; what follows it stays on the socket. */
  body(limitBytes: number): Promise<Buffer> {
    return readRawBody(this.socket, this.request.headers, limitBytes)
  }

  /** Hands the socket over without answering, to a protocol that does that itself (websocket). */
  take(): Socket {
    if (!this.#taken) this.response.detachSocket(this.socket)
    this.#taken = true
    this.socket.setTimeout(0)
    return this.socket
  }

  /** Somebody else has a copy of the descriptor and serves the client: this one is closed, without a word. */
  give(): void {
    this.#given = true
    this.take().destroy()
  }

  /** Answers that the stream begins: to be followed by `splice`. */
  takeAsStream(type: StreamType): void {
    const head = this.streamHead(type)
    const socket = this.take()
    socket.setNoDelay?.(true)
    socket.write(head)
  }

  /** The answer with which the stream begins. */
  streamHead(type: StreamType): Buffer {
    const upgrade = this.request.headers.upgrade !== undefined
    const headers = this.response.getHeaders()
    const head = upgrade
      ? [
          'HTTP/1.1 101 UPGRADED',
          `Content-Type: application/vnd.docker.${type}-stream`,
          'Connection: Upgrade',
          'Upgrade: tcp',
        ]
      : ['HTTP/1.1 200 OK', 'Content-Type: application/vnd.docker.raw-stream']
    for (const [name, value] of Object.entries(headers)) head.push(`${canonical(name)}: ${String(value)}`)
    return Buffer.from(`${head.join('\r\n')}\r\n\r\n`)
  }
}

function canonical(name: string): string {
  return name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase())
}

/** How long a client may go on sending after the stream has ended, in milliseconds. */
const lingerMs = 10_000

/**
 * Connects a client's socket with a container's stream until the container's side has ended, the client has gone or
 * somebody else serves it. The client's end of input closes only the container's stdin.
 */
export async function splice(connection: HijackedConnection, stream: Duplex): Promise<void> {
  if (connection.given) return
  const { socket } = connection
  const { promise, resolve } = Promise.withResolvers<void>()
  pump(socket, stream)
  pump(stream, socket)
  socket.once('end', () => stream.end())
  stream.once('end', () => stream.destroy())
  // Whatever the client still sends is read and dropped: closing with unread bytes would reset the connection
  // and could take the last output with it.
  stream.once('close', () => {
    socket.end()
    socket.resume()
    socket.setTimeout(lingerMs, () => socket.destroy())
    resolve()
  })
  stream.on('error', () => stream.destroy())
  socket.once('close', () => {
    if (!connection.given) stream.destroy()
    resolve()
  })
  await promise
}

function pump(from: Duplex, to: Duplex): void {
  from.on('data', (chunk: Buffer) => {
    if (!to.writable) return
    if (!to.write(chunk)) from.pause()
  })
  to.on('drain', () => from.resume())
  to.on('close', () => from.resume())
}
