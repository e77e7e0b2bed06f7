/**
 * Bulk that does not pass this thread: a worker thread reads a request's body from the client's connection, or writes
 * an answer's body to it. Only plain connections can be lent; for others a route has its ordinary handler.
 */
import { closeSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { ArchiveInput, ArchiveOutput } from '../containers/archive-job.ts'
import { descriptorOf, spawnDescriptor } from '../kernel/unix-sockets.ts'
import type { HijackedConnection } from './hijack.ts'
import { setReading, takeBuffered } from './socket-reading.ts'

/** How long a client may keep its side open after the answer's end, in milliseconds. */
const lingerMs = 10_000

/** Whether a request's connection can be lent: no TLS, chunks understood, nobody waits to be told to go on. */
export function isLendable({ socket, httpVersion, headers }: IncomingMessage): boolean {
  return Reflect.get(socket, 'encrypted') !== true && httpVersion === '1.1' && headers.expect === undefined
}

/** Lets `work` read the request's body. The answer follows as usual, and the connection ends with it. */
export async function lendBody(
  { socket, request }: HijackedConnection,
  work: (input: ArchiveInput) => Promise<void>,
): Promise<void> {
  using lent = lend(socket)
  const length = Number(request.headers['content-length'] ?? 0)
  const framing = request.headers['transfer-encoding'] === undefined ? { length } : 'chunked'
  await work({ fd: lent.fd, early: lent.early, framing })
}

/** Lets `work` write the body of the answer, whose head has been given to `response`. */
export async function lendAnswer(
  connection: HijackedConnection,
  work: (output: ArchiveOutput) => Promise<void>,
): Promise<void> {
  const { socket } = connection
  await flushed(socket)
  {
    using lent = lend(socket)
    await work({ fd: lent.fd, chunked: true })
  }
  connection.take()
  socket.end()
  socket.resume()
  socket.setTimeout(lingerMs, () => socket.destroy())
}

/** A copy of the descriptor, so that its number stays this connection's whatever happens to the socket. */
function lend(socket: Socket): { fd: number; early: Buffer } & Disposable {
  socket.pause()
  // Reading from the buffer may make Node read from the kernel, so that is stopped after it.
  const early = takeBuffered(socket)
  setReading(socket, false)
  const fd = spawnDescriptor(descriptorOf(socket))
  const giveBack = () => {
    closeSync(fd)
    setReading(socket, true)
  }
  return { fd, early, [Symbol.dispose]: giveBack }
}

/** Resolves when what was written is with the kernel. */
async function flushed(socket: Socket): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const closed = () => reject(new Error('client went away'))
  socket.once('close', closed)
  socket.write('', (error) => (error === null || error === undefined ? resolve() : reject(error)))
  try {
    await promise
  } finally {
    socket.off('close', closed)
  }
}
