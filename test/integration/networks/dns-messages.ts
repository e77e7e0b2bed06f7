/** DNS messages and servers for tests: questions by hand, and resolvers outside that answer as a test wants. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

export const types = {
  a: 1,
  soa: 6,
  ptr: 12,
  mx: 15,
  txt: 16,
  aaaa: 28,
  srv: 33,
  opt: 41,
  https: 65,
} as const

/** A record as read: `data` is an address, a name, `PRIORITY WEIGHT PORT TARGET`, or hexadecimal. */
export type DnsRecord = { name: string; type: number; ttl: number; data: string }

/** An answer as read. */
export type DnsAnswer = {
  id: number
  code: number
  cut: boolean
  answers: DnsRecord[]
  additional: DnsRecord[]
  size: number
}

export function nameBytes(name: string): Buffer {
  const labels = name.split('.').filter(Boolean)
  return Buffer.concat([
    ...labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')])),
    Buffer.from([0]),
  ])
}

/** A question; with `edns` it says how large an answer may be. */
export function question(name: string, type: number, options: { edns?: number; id?: number } = {}): Buffer {
  const { edns, id = 0x1234 } = options
  const head = Buffer.from('000001000001000000000000', 'hex')
  head.writeUInt16BE(id, 0)
  head.writeUInt16BE(edns === undefined ? 0 : 1, 10)
  const tail = Buffer.from([0, type, 0, 1])
  const opt =
    edns === undefined ? Buffer.alloc(0) : Buffer.from([0, 0, 41, edns >> 8, edns & 255, 0, 0, 0, 0, 0, 0])
  return Buffer.concat([head, nameBytes(name), tail, opt])
}

function readName(message: Buffer, start: number): { text: string; end: number } {
  const labels: string[] = []
  let end: number | undefined
  for (let at = start; ;) {
    const length = message[at] ?? 0
    if (length >= 0xc0) {
      end ??= at + 2
      at = message.readUInt16BE(at) & 0x3fff
      continue
    }
    if (length === 0) return { text: labels.join('.'), end: end ?? at + 1 }
    labels.push(message.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
}

function dataText(message: Buffer, type: number, at: number, length: number): string {
  const bytes = message.subarray(at, at + length)
  if (type === types.a) return bytes.join('.')
  if (type === types.ptr) return readName(message, at).text
  if (type !== types.srv) return bytes.toString('hex')
  return `${[0, 2, 4].map((offset) => bytes.readUInt16BE(offset)).join(' ')} ${readName(message, at + 6).text}`
}

/** Reads an answer; throws for one that is none. */
export function readAnswer(message: Buffer): DnsAnswer {
  let at = readName(message, 12).end + 4
  const take = (count: number) =>
    Array.from({ length: count }, (): DnsRecord => {
      const { text, end } = readName(message, at)
      const length = message.readUInt16BE(end + 8)
      at = end + 10 + length
      const type = message.readUInt16BE(end)
      return {
        name: text,
        type,
        ttl: message.readUInt32BE(end + 4),
        data: dataText(message, type, end + 10, length),
      }
    })
  const answers = take(message.readUInt16BE(6))
  take(message.readUInt16BE(8))
  const additional = take(message.readUInt16BE(10))
  const flags = message.readUInt16BE(2)
  return {
    id: message.readUInt16BE(0),
    code: flags & 15,
    cut: (flags & 0x200) !== 0,
    answers,
    additional,
    size: message.length,
  }
}

/** Where a resolver is. */
export type Place = { address: string; udp: number; tcp: number }

/** Asks by datagram. Rejects when no answer comes. */
export async function askUdp(place: Place, message: Buffer, timeoutMs = 10_000): Promise<DnsAnswer> {
  const socket = createSocket('udp4')
  try {
    const answered = once(socket, 'message', { signal: AbortSignal.timeout(timeoutMs) })
    socket.send(message, place.udp, place.address)
    const [answer] = await answered
    return readAnswer(answer)
  } finally {
    socket.close()
  }
}

/** Asks over one stream, several at once; answers by their number. */
export async function askTcp(place: Place, ...messages: Buffer[]): Promise<Map<number, DnsAnswer>> {
  const socket = connect({ host: place.address, port: place.tcp, signal: AbortSignal.timeout(10_000) })
  const answers = new Map<number, DnsAnswer>()
  for (const message of messages) socket.write(framed(message))
  let received = Buffer.alloc(0)
  for await (const chunk of socket) {
    received = Buffer.concat([received, chunk])
    while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
      const size = received.readUInt16BE(0)
      const answer = readAnswer(received.subarray(2, 2 + size))
      answers.set(answer.id, answer)
      received = received.subarray(2 + size)
    }
    if (answers.size === messages.length) break
  }
  socket.destroy()
  return answers
}

export function framed(message: Buffer): Buffer {
  return Buffer.concat([Buffer.from([message.length >> 8, message.length & 255]), message])
}

/** A record to answer with; its owner is the question's name. */
export function record(type: number, ttl: number, data: Buffer): Buffer {
  const head = Buffer.from('c00c00000001000000000000', 'hex')
  head.writeUInt16BE(type, 2)
  head.writeUInt32BE(ttl, 6)
  head.writeUInt16BE(data.length, 10)
  return Buffer.concat([head, data])
}

/** An answer to a question. */
export function reply(
  message: Buffer,
  parts: { code?: number; flags?: number; answers?: Buffer[]; authorities?: Buffer[] },
): Buffer {
  const { code = 0, flags = 0, answers = [], authorities = [] } = parts
  const head = Buffer.from(message.subarray(0, 12))
  head.writeUInt16BE(0x8180 | flags | code, 2)
  head.writeUInt16BE(answers.length, 6)
  head.writeUInt16BE(authorities.length, 8)
  head.writeUInt16BE(0, 10)
  const end = readName(message, 12).end + 4
  return Buffer.concat([head, message.subarray(12, end), ...answers, ...authorities])
}

/** What a server says to a question; undefined for nothing. */
export type Answering = (message: Buffer, transport: 'udp' | 'tcp') => Buffer | undefined

/** A resolver outside at an address of the loopback, on port 53. `asked` are the names, in order. */
export async function upstream(
  address: string,
  answer: Answering,
): Promise<Disposable & { asked: string[]; ports: Set<number> }> {
  const asked: string[] = []
  const ports = new Set<number>()
  const socket = createSocket('udp4')
  socket.on('message', (message, from) => {
    asked.push(readName(message, 12).text)
    ports.add(from.port)
    const said = answer(message, 'udp')
    if (said !== undefined) socket.send(said, from.port, from.address)
  })
  const server = createServer((stream) => {
    stream.on('error', () => stream.destroy())
    stream.on('data', (data) => {
      const message = data.subarray(2)
      asked.push(readName(message, 12).text)
      const said = answer(message, 'tcp')
      if (said !== undefined) stream.write(framed(said))
    })
  })
  socket.bind(53, address)
  server.listen(53, address)
  await Promise.all([once(socket, 'listening'), once(server, 'listening')])
  return {
    asked,
    ports,
    [Symbol.dispose]: () => {
      socket.close()
      server.close()
    },
  }
}
