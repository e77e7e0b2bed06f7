/** Stopping Node from reading a socket, for whoever has a copy of its descriptor. */
import type { Socket } from 'node:net'

/** What was read from the kernel and given to nobody yet. Who listens to the socket gets it at this moment. */
export function takeBuffered(socket: Socket): Buffer {
  const input: unknown = socket.read()
  return Buffer.isBuffer(input) && socket.listenerCount('data') === 0 ? input : Buffer.alloc(0)
}

/** Node's own way of it, for which it has no name (node lib/net.js, onReadableStreamEnd and tryReadStart). */
export function setReading(socket: Socket, isOn: boolean): void {
  const handle: unknown = Reflect.get(socket, '_handle')
  if (typeof handle !== 'object' || handle === null) return
  const change: unknown = Reflect.get(handle, isOn ? 'readStart' : 'readStop')
  if (typeof change !== 'function') throw new Error('this Node release has no readStop')
  Reflect.set(handle, 'reading', isOn)
  Reflect.apply(change, handle, [])
}
