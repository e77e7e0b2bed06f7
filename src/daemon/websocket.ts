/** A container's streams over a websocket: messages in are stdin, output comes as messages without frame headers. */
import { pipeline, type Duplex, type Readable } from 'node:stream'
import { WebSocketServer, type WebSocket } from 'ws'
import { FrameRemover } from './frames.ts'
import type { HijackedConnection } from './hijack.ts'

/** Largest message that a client may send, in bytes. */
const maxMessageBytes = 16 * 1024 * 1024
/** Output waits while a client has this many bytes to read still. */
const maxBufferedBytes = 4 * 1024 * 1024

/** Serves until one side ends. `framed` output has its headers taken out; `binary` chooses the message type. */
export async function serveWebSocket(
  connection: HijackedConnection,
  stream: Duplex,
  options: { framed: boolean; binary: boolean },
): Promise<void> {
  const socket = connection.take()
  const server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
  })
  const { promise, resolve } = Promise.withResolvers<void>()
  socket.once('close', () => {
    stream.destroy()
    resolve()
  })
  server.handleUpgrade(connection.request, socket, Buffer.alloc(0), (client) => {
    connect(client, stream, options)
  })
  await promise
}

function connect(client: WebSocket, stream: Duplex, options: { framed: boolean; binary: boolean }): void {
  // Failures of the stream are seen by the listeners below.
  const output: Readable = options.framed ? pipeline(stream, new FrameRemover(), () => {}) : stream
  output.on('data', (chunk: Buffer) => {
    client.send(chunk, { binary: options.binary }, () => {
      if (client.bufferedAmount < maxBufferedBytes) output.resume()
    })
    if (client.bufferedAmount > maxBufferedBytes) output.pause()
  })
  output.once('end', () => client.close(1000))
  stream.once('error', () => client.close(1011))
  client.on('message', (data: Buffer | ArrayBuffer | Buffer[]) => {
    const bytes = Array.isArray(data) ? Buffer.concat(data) : Buffer.isBuffer(data) ? data : Buffer.from(data)
    if (stream.writable && !stream.write(bytes)) {
      client.pause()
      stream.once('drain', () => client.resume())
    }
  })
  client.on('close', () => stream.destroy())
  client.on('error', () => stream.destroy())
}
