/**
 * How long the registry waits for its clients: for headers, for the next piece of a body or for room to send more, and
 * for a request as a whole. While it works on an answer itself nobody is late. Who is late is told in the registry's
 * format as far as that is still possible, as is who sends what is no HTTP, and the connection ends.
 */
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http'
import type { ServerOptions as TlsServerOptions } from 'node:https'
import type { Socket } from 'node:net'
import { errorCode } from '../spec/errors.ts'
import type { RegistryConfig } from './config.ts'
import { RegistryError } from './errors.ts'

/** Milliseconds; 0 for a wait without end. */
export type Timeouts = RegistryConfig['timeouts']

type Exchange = { request: IncomingMessage; response: ServerResponse }

const checkEveryMs = 1_000
const keepAliveMs = 60_000
const reasons = {
  400: 'Bad Request',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
} as const
type Status = keyof typeof reasons

/** See the file's head. */
export class ClientPatience {
  readonly #timeouts: () => Timeouts
  readonly #exchanges = new WeakMap<Socket, Exchange>()

  constructor(timeouts: () => Timeouts) {
    this.#timeouts = timeouts
  }

  /** Settings that a server is made with. */
  get serverSettings(): ServerOptions {
    const { header, request } = this.#timeouts()
    return {
      headersTimeout: headersTimeout(header, request),
      requestTimeout: request,
      keepAliveTimeout: keepAliveMs,
      connectionsCheckingInterval: checkEveryMs,
      noDelay: true,
    }
  }

  /** The same of one with TLS. */
  get tlsSettings(): TlsServerOptions {
    const { header } = this.#timeouts()
    return header > 0 ? { handshakeTimeout: header } : {}
  }

  /** Watches over a server's clients. */
  watch(server: Server): void {
    server.timeout = this.#timeouts().idle
    server.on('timeout', (socket: Socket) => this.#idle(socket))
    server.on('clientError', (error: Error, socket: Socket) => this.#broken(error, socket))
  }

  /** Lets new timeouts hold for what begins from now on. */
  renew(server: Server): void {
    const { header, request, idle } = this.#timeouts()
    server.headersTimeout = headersTimeout(header, request)
    server.requestTimeout = request
    server.timeout = idle
  }

  /** Notes what a connection is busy with. */
  begin(request: IncomingMessage, response: ServerResponse): void {
    this.#exchanges.set(request.socket, { request, response })
  }

  #idle(socket: Socket): void {
    const exchange = this.#exchanges.get(socket)
    if (exchange === undefined || exchange.response.writableFinished) {
      socket.destroy()
      return
    }
    const { request } = exchange
    // What has come and was not taken yet, or is being worked on, keeps nobody waiting but the client.
    const isOurs = request.complete ? socket.writableLength === 0 : request.readableLength > 0
    if (isOurs) socket.setTimeout(this.#timeouts().idle)
    else this.#end(socket, 408)
  }

  #broken(error: Error, socket: Socket): void {
    const code = errorCode(error) ?? ''
    if (code === 'ERR_HTTP_REQUEST_TIMEOUT') this.#end(socket, 408)
    else if (code === 'HPE_HEADER_OVERFLOW') this.#end(socket, 431)
    else if (code.startsWith('HPE_')) this.#end(socket, 400)
    // Broken off, or no TLS: there is nobody to tell.
    else socket.destroy()
  }

  #end(socket: Socket, status: Status): void {
    const response = this.#exchanges.get(socket)?.response
    const isAnswering = response?.headersSent === true && !response.writableFinished
    if (!socket.writable || isAnswering) {
      socket.destroy()
      return
    }
    const message = status === 408 ? 'the request took too long' : reasons[status].toLowerCase()
    const { body } = new RegistryError('UNSUPPORTED', { message, status })
    const lines = [
      `HTTP/1.1 ${status} ${reasons[status]}`,
      'Docker-Distribution-API-Version: registry/2.0',
      'Content-Type: application/json; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
    ]
    socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
  }
}

// Node wants the one not to be longer than the other.
function headersTimeout(header: number, request: number): number {
  return request > 0 ? Math.min(header, request) : header
}
