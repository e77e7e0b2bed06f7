/** Reading request bodies whole, within a limit. */
import type { IncomingMessage } from 'node:http'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { EngineError } from '../spec/errors.ts'

/** The whole body. Throws `tooLarge` beyond the limit; what is left unread is dropped with the connection. */
export async function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  checkLength(Number(request.headers['content-length'] ?? 0), limitBytes)
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) continue
    length += chunk.length
    checkLength(length, limitBytes)
    chunks.push(chunk)
  }
  return chunks.length === 1 ? (chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(chunks, length)
}

function checkLength(length: number, limitBytes: number): void {
  if (length > limitBytes) throw new EngineError('tooLarge', 'http: request body too large')
}

/**
 * The same from a connection that no HTTP parser reads any more: takes exactly the body off the socket and leaves
 * what follows. Throws `invalid` when the client ends early.
 */
export async function readRawBody(
  socket: Socket,
  headers: IncomingMessage['headers'],
  limitBytes: number,
): Promise<Buffer> {
  if (headers['transfer-encoding'] !== undefined) return readChunked(socket, limitBytes)
  const length = Number(headers['content-length'] ?? 0)
  checkLength(length, limitBytes)
  return length > 0 ? readExactly(socket, length) : Buffer.alloc(0)
}

// RFC 9112, section 7.1: size in hex, extensions after a semicolon, data, CRLF; size 0 ends, trailers follow.
async function readChunked(socket: Socket, limitBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for (;;) {
    const size = Number.parseInt(await readLine(socket), 16)
    if (Number.isNaN(size)) throw new EngineError('invalid', 'malformed chunked encoding')
    if (size === 0) break
    length += size
    checkLength(length, limitBytes)
    chunks.push(await readExactly(socket, size))
    await readLine(socket)
  }
  while ((await readLine(socket)) !== '');
  return Buffer.concat(chunks, length)
}

const maxLineBytes = 4096

async function readLine(socket: Socket): Promise<string> {
  let line = ''
  while (!line.endsWith('\n')) {
    if (line.length > maxLineBytes) throw new EngineError('invalid', 'malformed chunked encoding')
    line += (await readExactly(socket, 1)).toString('latin1')
  }
  return line.replace(/\r?\n$/, '')
}

async function readExactly(socket: Socket, length: number): Promise<Buffer> {
  for (;;) {
    const data: unknown = socket.read(length)
    if (Buffer.isBuffer(data) && data.length === length) return data
    if (data !== null || socket.readableEnded || socket.destroyed) {
      throw new EngineError('invalid', 'unexpected EOF')
    }
    await Promise.race([once(socket, 'readable'), once(socket, 'end'), once(socket, 'close')])
  }
}
