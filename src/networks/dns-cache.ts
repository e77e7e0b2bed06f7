/**
 * Remembers what resolvers outside answered, for as long as they said: answers by their shortest time to live, that
 * a name or record does not exist by the zone's SOA (RFC 2308). Questions are told apart by all their bytes, so an
 * answer is only ever given to the very question that it was for. The same question asked twice at once goes out once.
 */
import { responseCodes, responseStatus } from './dns-codec.ts'

const entryLimit = 4096
const messageLimitBytes = 4096
const longestSeconds = 3600
const soaType = 6
const optType = 41
const truncatedBit = 0x0200

type Entry = { answer: Buffer; ttlOffsets: number[]; storedMs: number; expiresMs: number }

/** See the file's head. One for all containers: questions to different resolvers are different. */
export class DnsCache {
  readonly #nowMs: () => number
  readonly #entries = new Map<string, Entry>()
  readonly #pending = new Map<string, Promise<Buffer | undefined>>()

  /** `nowMs` never goes backwards. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** How many answers are kept. */
  get size(): number {
    return this.#entries.size
  }

  /** The kept answer to `query`, or what `ask` says. `scope` names whom is asked, and how. */
  async resolve(
    query: Buffer,
    scope: string,
    ask: () => Promise<Buffer | undefined>,
  ): Promise<Buffer | undefined> {
    const key = `${scope} ${query.toString('latin1', 2)}`
    const kept = this.#take(key)
    if (kept !== undefined) return withNumberOf(query, kept)
    let pending = this.#pending.get(key)
    if (pending === undefined) {
      pending = ask().finally(() => this.#pending.delete(key))
      this.#pending.set(key, pending)
      const answer = await pending
      if (answer !== undefined) this.#keep(key, answer)
      return answer
    }
    const answer = await pending
    return answer === undefined ? undefined : withNumberOf(query, Buffer.from(answer))
  }

  #take(key: string): Buffer | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    const now = this.#nowMs()
    if (now >= entry.expiresMs) {
      this.#entries.delete(key)
      return undefined
    }
    const answer = Buffer.from(entry.answer)
    const agedSeconds = Math.floor((now - entry.storedMs) / 1000)
    for (const offset of entry.ttlOffsets) {
      answer.writeUInt32BE(Math.max(0, answer.readUInt32BE(offset) - agedSeconds), offset)
    }
    return answer
  }

  #keep(key: string, answer: Buffer): void {
    const life = lifeOf(answer)
    if (life === undefined || answer.length > messageLimitBytes) return
    const storedMs = this.#nowMs()
    this.#entries.delete(key)
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size < entryLimit) break
      this.#entries.delete(oldest)
    }
    this.#entries.set(key, {
      answer: Buffer.from(answer),
      ttlOffsets: life.ttlOffsets,
      storedMs,
      expiresMs: storedMs + life.seconds * 1000,
    })
  }
}

function withNumberOf(query: Buffer, answer: Buffer): Buffer {
  query.copy(answer, 0, 0, 2)
  return answer
}

/** How long an answer may be kept; undefined for one that may not, or that cannot be read. */
function lifeOf(message: Buffer): { seconds: number; ttlOffsets: number[] } | undefined {
  const code = responseStatus(message)?.code
  if (code !== responseCodes.ok && code !== responseCodes.nameError) return undefined
  if ((message.readUInt16BE(2) & truncatedBit) !== 0) return undefined
  const answers = message.readUInt16BE(6)
  const authorities = message.readUInt16BE(8)
  const records = readRecords(message, answers + authorities + message.readUInt16BE(10))
  if (records === undefined) return undefined
  const isNegative = code === responseCodes.nameError || answers === 0
  const counted = isNegative
    ? records.slice(answers, answers + authorities).filter((record) => record.type === soaType)
    : records.slice(0, answers)
  const lives = counted.map((record) => (isNegative ? Math.min(record.ttl, record.lastWord) : record.ttl))
  const seconds = Math.min(longestSeconds, ...lives)
  if (lives.length === 0 || seconds <= 0) return undefined
  const ttlOffsets = records.filter(({ type }) => type !== optType).map((record) => record.ttlOffset)
  return { seconds, ttlOffsets }
}

/** `lastWord` is the last four bytes of the data: the negative time to live of a SOA. */
type ReadRecord = { type: number; ttl: number; ttlOffset: number; lastWord: number }

function readRecords(message: Buffer, count: number): ReadRecord[] | undefined {
  if (message.readUInt16BE(4) !== 1) return undefined
  const question = skipName(message, 12)
  if (question === undefined) return undefined
  const records: ReadRecord[] = []
  let offset = question + 4
  while (records.length < count) {
    const end = skipName(message, offset)
    if (end === undefined || end + 10 > message.length) return undefined
    const length = message.readUInt16BE(end + 8)
    offset = end + 10 + length
    if (offset > message.length) return undefined
    // The highest bit means zero (RFC 2181).
    const stated = message.readUInt32BE(end + 4)
    records.push({
      type: message.readUInt16BE(end),
      ttl: stated > 0x7fffffff ? 0 : stated,
      ttlOffset: end + 4,
      lastWord: length >= 4 ? message.readUInt32BE(offset - 4) : 0,
    })
  }
  return records
}

/** Where the name at `offset` ends; a pointer ends it. */
function skipName(message: Buffer, offset: number): number | undefined {
  let at = offset
  for (;;) {
    const length = message[at]
    if (length === undefined) return undefined
    if (length === 0) return at + 1
    if ((length & 0xc0) === 0xc0) return at + 2
    if (length > 63) return undefined
    at += 1 + length
  }
}
