/**
 * Passes queries on to the host's resolvers, from the host's namespace, and their answers back, unread but for
 * the response code. Every query has a socket of its own, so that its port is as hard to guess as its number.
 */
import { createSocket } from 'node:dgram'
import { randomInt } from 'node:crypto'
import { connect, isIPv6 } from 'node:net'
import { responseCodes, responseStatus } from './dns-codec.ts'

/** What to ask and for how long. */
export type ForwardOptions = {
  servers: readonly string[]
  /** Port of the servers; 53. */
  port: number
  /** How long one server may take, in all. */
  timeoutMs: number
  /** After this the next server is asked beside those before it. */
  staggerMs: number
}

const concurrencyLimit = 1024

/** Forwards for one container, so that none can take another's share. */
export class DnsForwarder {
  #running = 0

  /** The first good answer, else the best bad one, else undefined. The answer has the query's own id. */
  async forward(
    query: Buffer,
    transport: 'udp' | 'tcp',
    options: ForwardOptions,
  ): Promise<Buffer | undefined> {
    if (this.#running >= concurrencyLimit || query.length < 12) return undefined
    this.#running += 1
    const abort = new AbortController()
    try {
      return await raceServers(query, transport, options, abort.signal)
    } finally {
      abort.abort()
      this.#running -= 1
    }
  }
}

async function raceServers(
  query: Buffer,
  transport: 'udp' | 'tcp',
  options: ForwardOptions,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  const { promise, resolve } = Promise.withResolvers<Buffer | undefined>()
  const ask = transport === 'udp' ? askUdp : askTcp
  let next = 0
  let open = 0
  let fallback: Buffer | undefined
  const advance = () => {
    const server = options.servers[next]
    if (server === undefined || signal.aborted) {
      if (open === 0) resolve(fallback)
      return
    }
    next += 1
    open += 1
    const timer = setTimeout(advance, options.staggerMs)
    void ask(query, server, options, signal).then((answer) => {
      clearTimeout(timer)
      open -= 1
      if (answer !== undefined && isFinal(answer)) return resolve(answer)
      fallback = answer ?? fallback
      return advance()
    })
  }
  advance()
  return promise
}

/** Whether asking another server cannot do better. */
function isFinal(answer: Buffer): boolean {
  const code = responseStatus(answer)?.code
  return code === responseCodes.ok || code === responseCodes.nameError
}

function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message)
  copy.writeUInt16BE(id, 0)
  return copy
}

async function askUdp(
  query: Buffer,
  server: string,
  options: ForwardOptions,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  const id = randomInt(65536)
  const { promise, resolve } = Promise.withResolvers<Buffer | undefined>()
  const socket = createSocket({ type: isIPv6(server) ? 'udp6' : 'udp4' })
  const timer = setTimeout(() => resolve(undefined), options.timeoutMs)
  signal.addEventListener('abort', () => resolve(undefined), { once: true })
  socket.on('error', () => resolve(undefined))
  socket.on('message', (answer) => {
    if (responseStatus(answer)?.id === id) resolve(withId(answer, query.readUInt16BE(0)))
  })
  // A connected socket takes datagrams from the server alone, and learns that nobody listens there.
  const onConnect = (error?: Error | null) => {
    // No route to it: Node says so here, not as an event.
    if (error !== undefined && error !== null) return resolve(undefined)
    return socket.send(withId(query, id), () => {})
  }
  socket.connect(options.port, server, onConnect)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    socket.close()
  }
}

async function askTcp(
  query: Buffer,
  server: string,
  options: ForwardOptions,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  const { promise, resolve } = Promise.withResolvers<Buffer | undefined>()
  const socket = connect({ host: server, port: options.port })
  let received = Buffer.alloc(0)
  socket.setTimeout(options.timeoutMs, () => resolve(undefined))
  signal.addEventListener('abort', () => resolve(undefined), { once: true })
  socket.on('error', () => resolve(undefined))
  socket.on('close', () => resolve(undefined))
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk])
    if (received.length < 2) return
    const length = received.readUInt16BE(0)
    if (received.length >= 2 + length) resolve(received.subarray(2, 2 + length))
  })
  socket.on('connect', () => socket.write(framed(query)))
  try {
    return await promise
  } finally {
    socket.destroy()
  }
}

/** A message with the two bytes of length that go before it on a stream. */
export function framed(message: Buffer): Buffer {
  const frame = Buffer.alloc(2 + message.length)
  frame.writeUInt16BE(message.length, 0)
  message.copy(frame, 2)
  return frame
}
