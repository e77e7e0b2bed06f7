/** Asking a keeper for something: its socket takes one line a connection. See native/clients.c for the protocol. */
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { EngineError, errorCode } from '../spec/errors.ts'
import type { AttachOptions, OfferedConnection } from '../spec/task-types.ts'
import { sendDescriptor } from '../kernel/pass-descriptor.ts'
import { connectUnix, descriptorOf } from '../kernel/unix-sockets.ts'
import { ShimWatch } from './shim-watch.ts'

const socketName = 'socket'

/** Attaches to a task's stdio. A task that is over answers a stream that has ended. */
export async function attachToShim(directory: string, options: AttachOptions): Promise<Duplex> {
  return (await request(directory, `attach ${wants(options)}`)) ?? endedStream()
}

/** Most that a keeper sends a client first (PREAMBLE_BYTES of native/shim.h). */
const maxFirstBytes = 4096

/** Gives a client's connection to the keeper, see `Task.serve`. Undefined when it does not take it, or is gone. */
export async function giveToShim(
  directory: string,
  options: AttachOptions,
  client: OfferedConnection,
): Promise<Duplex | undefined> {
  if (client.first.length > maxFirstBytes) return undefined
  const socket = await connectToShim(directory)
  if (socket === undefined) return undefined
  const line = Buffer.from(`take ${wants(options)}\n`)
  try {
    sendDescriptor(descriptorOf(socket), Buffer.concat([line, client.first]), client.descriptor)
  } catch {
    // The keeper ended just now.
    socket.destroy()
    return undefined
  }
  if ((await firstByte(socket)) === '+') return socket
  socket.destroy()
  return undefined
}

function wants(options: AttachOptions): string {
  return `${options.stdin ? 'i' : ''}${options.stdout ? 'o' : ''}${options.stderr ? 'e' : ''}`
}

/** Listens to a task's life. Undefined when its keeper is gone. */
export async function watchShim(directory: string): Promise<ShimWatch | undefined> {
  const socket = await request(directory, 'watch')
  return socket === undefined ? undefined : new ShimWatch(socket)
}

/** Sets the terminal's size. Throws notFound when the task is over, invalid when it has no terminal. */
export async function resizeShim(directory: string, rows: number, columns: number): Promise<void> {
  const socket = await request(directory, `resize ${clamp(rows)} ${clamp(columns)}`)
  if (socket === undefined) throw new EngineError('notFound', 'process is not running')
  socket.destroy()
}

/** A terminal counts in 16 bits. */
function clamp(size: number): number {
  return Math.max(0, Math.min(65535, Math.trunc(size)))
}

/** Undefined when nobody listens. */
async function connectToShim(directory: string): Promise<Socket | undefined> {
  try {
    return await connectUnix(directory, socketName)
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTDIR') return undefined
    throw error
  }
}

/** Sends the line and takes the answer's first byte. Undefined when nobody listens. */
async function request(directory: string, line: string): Promise<Socket | undefined> {
  const socket = await connectToShim(directory)
  if (socket === undefined) return undefined
  socket.write(`${line}\n`)
  const answer = await firstByte(socket)
  if (answer === '+') return socket
  const text = answer === undefined ? '' : (await rest(socket)).trim()
  socket.destroy()
  if (text === '') return undefined
  throw new EngineError('invalid', text)
}

/** Leaves what follows in the stream. Undefined when it ended instead. */
async function firstByte(socket: Socket): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  const onReadable = () => {
    const byte: unknown = socket.read(1)
    if (Buffer.isBuffer(byte)) resolve(byte.toString('latin1'))
  }
  const onEnd = () => resolve(undefined)
  socket.on('readable', onReadable)
  socket.on('end', onEnd)
  socket.on('error', onEnd)
  socket.on('close', onEnd)
  const byte = await promise
  socket.off('readable', onReadable)
  socket.off('end', onEnd)
  socket.off('close', onEnd)
  // Errors stay listened to: a reset after the task's end is an end to whoever reads, not a failure of the daemon.
  return byte
}

async function rest(socket: Socket): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk)
  return Buffer.concat(chunks).toString('latin1')
}

/** Reads nothing; input has nowhere to go. */
function endedStream(): Duplex {
  return new Duplex({
    read() {
      this.push(null)
    },
    write(_chunk, _encoding, done) {
      done()
    },
  })
}
