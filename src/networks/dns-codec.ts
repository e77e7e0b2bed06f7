/**
 * DNS messages (RFC 1035, RFC 6891) as far as a resolver for containers needs them: it reads the question, writes
 * answers to it, and passes everything else on as bytes.
 */

/** Record types that are answered here. */
export const recordTypes = { a: 1, ptr: 12, mx: 15, aaaa: 28, srv: 33, opt: 41 } as const

/** Response codes. */
export const responseCodes = {
  ok: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5,
} as const

/** A query of one question. `name` has no final dot; labels keep their case. */
export type DnsQuery = {
  id: number
  name: string
  type: number
  class: number
  recursionDesired: boolean
  /** Bytes of the question section as they came. */
  question: Buffer
  /** Largest answer over UDP that the client takes. */
  maxBytes: number
  /** Whether the query had an OPT record, which its answer then has too. */
  extended: boolean
}

/** An answer's record: data as on the wire. Its owner is the question's name. */
export type DnsAnswer = { type: number; ttlSeconds: number; data: Buffer }

const headerBytes = 12
const minimumUdpBytes = 512
const pointerToQuestion = Buffer.from([0xc0, headerBytes])

/** Reads a query; undefined for what is none, or asks several or odd things. */
export function parseQuery(message: Buffer): DnsQuery | undefined {
  if (message.length < headerBytes) return undefined
  const flags = message.readUInt16BE(2)
  const isQuery = (flags & 0x8000) === 0 && (flags & 0x7800) === 0
  if (!isQuery || message.readUInt16BE(4) !== 1) return undefined
  const name = readName(message, headerBytes)
  if (name === undefined || name.end + 4 > message.length) return undefined
  const extended = findOpt(message, name.end + 4)
  return {
    id: message.readUInt16BE(0),
    name: name.text,
    type: message.readUInt16BE(name.end),
    class: message.readUInt16BE(name.end + 2),
    recursionDesired: (flags & 0x0100) !== 0,
    question: Buffer.from(message.subarray(headerBytes, name.end + 4)),
    maxBytes: Math.max(minimumUdpBytes, extended ?? 0),
    extended: extended !== undefined,
  }
}

/** A name without compression: its text and where it ends. A label that holds a dot is refused. */
function readName(message: Buffer, start: number): { text: string; end: number } | undefined {
  const labels: string[] = []
  let offset = start
  for (;;) {
    const length = message[offset]
    if (length === undefined || length > 63 || offset - start > 255) return undefined
    offset += 1
    if (length === 0) return { text: labels.join('.'), end: offset }
    if (offset + length > message.length) return undefined
    const label = message.toString('latin1', offset, offset + length)
    if (label.includes('.')) return undefined
    labels.push(label)
    offset += length
  }
}

/** The UDP size of an OPT record that stands right after the question, where clients put it. */
function findOpt(message: Buffer, offset: number): number | undefined {
  if (message.readUInt16BE(6) !== 0 || message.readUInt16BE(8) !== 0 || message.readUInt16BE(10) === 0) {
    return undefined
  }
  if (offset + 11 > message.length || message[offset] !== 0) return undefined
  return message.readUInt16BE(offset + 1) === recordTypes.opt ? message.readUInt16BE(offset + 3) : undefined
}

/** An answer to the query. Answers that do not fit into `maxBytes` are left out and the message marked so. */
export function encodeResponse(
  query: DnsQuery,
  code: number,
  answers: DnsAnswer[],
  maxBytes = query.maxBytes,
): Buffer {
  const opt = query.extended ? optRecord() : Buffer.alloc(0)
  const parts: Buffer[] = []
  let length = headerBytes + query.question.length + opt.length
  let count = 0
  for (const answer of answers) {
    const record = encodeRecord(answer)
    if (length + record.length > maxBytes) break
    parts.push(record)
    length += record.length
    count += 1
  }
  const header = Buffer.alloc(headerBytes)
  const isTruncated = count < answers.length
  header.writeUInt16BE(query.id, 0)
  // QR and RA, with what the client said about recursion.
  header.writeUInt16BE(0x8080 | (query.recursionDesired ? 0x0100 : 0) | (isTruncated ? 0x0200 : 0) | code, 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(count, 6)
  header.writeUInt16BE(opt.length > 0 ? 1 : 0, 10)
  return Buffer.concat([header, query.question, ...parts, opt])
}

function encodeRecord({ type, ttlSeconds, data }: DnsAnswer): Buffer {
  const head = Buffer.alloc(10)
  head.writeUInt16BE(type, 0)
  head.writeUInt16BE(1, 2)
  head.writeUInt32BE(ttlSeconds, 4)
  head.writeUInt16BE(data.length, 8)
  return Buffer.concat([pointerToQuestion, head, data])
}

function optRecord(): Buffer {
  const record = Buffer.alloc(11)
  record.writeUInt16BE(recordTypes.opt, 1)
  record.writeUInt16BE(1232, 3)
  return record
}

/** A name in wire form. Labels too long to be any are cut. */
export function encodeName(name: string): Buffer {
  const parts = name.split('.').filter((label) => label !== '')
  return Buffer.concat([
    ...parts.map((label) => {
      const bytes = Buffer.from(label, 'latin1').subarray(0, 63)
      return Buffer.concat([Buffer.from([bytes.length]), bytes])
    }),
    Buffer.from([0]),
  ])
}

/** The response code of a message, whether it answers `id`, and whether it was cut. */
export function responseStatus(
  message: Buffer,
): { id: number; code: number; authoritative: boolean } | undefined {
  if (message.length < headerBytes) return undefined
  const flags = message.readUInt16BE(2)
  if ((flags & 0x8000) === 0) return undefined
  return { id: message.readUInt16BE(0), code: flags & 0xf, authoritative: (flags & 0x0400) !== 0 }
}

/** The address asked for by a reverse name (`2.0.17.172.in-addr.arpa`), as text; undefined for other names. */
export function reverseAddress(name: string): string | undefined {
  const lower = name.toLowerCase()
  const v4 = /^((?:\d{1,3}\.){4})in-addr\.arpa$/.exec(lower)?.[1]
  if (v4 !== undefined) return v4.split('.').filter(Boolean).reverse().join('.')
  const v6 = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(lower)?.[1]
  if (v6 === undefined) return undefined
  const digits = v6.replaceAll('.', '').split('').reverse().join('')
  return digits.replace(/(.{4})(?!$)/g, '$1:')
}
