/**
 * How the pieces of an upload may come to any of several processes on one bucket: an upload's name says which process
 * has it, each process says in the bucket where the others reach it, and whoever is sent a piece of another's upload
 * passes the request on. The other one checks it as if it had come from the client.
 *
 *     wharf/processes/PROCESS    {"url": "http://10.0.0.2:5000", "seenMs": ...}
 */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import type { Clock } from '../lib/clock.ts'
import { textColumn } from '../store/database.ts'
import { RegistryError } from './errors.ts'
import type { Exchange } from './exchange.ts'
import { schemeOfRequest } from './handling.ts'
import type { RegistryIndex } from './registry-index.ts'
import type { StorageDriver } from './storage-driver.ts'

const root = 'wharf/processes'
const passedOn = 'x-wharf-process'
const renewMs = 3_600_000
/** A process that was not seen for so long has no upload that is still open. */
const goneMs = 30 * 24 * 3_600_000
const idleMs = 60_000
// They are about one connection (RFC 9110, 7.6.1).
const hopHeaders = ['connection', 'keep-alive', 'expect', 'upgrade', 'te', 'proxy-authorization']

const recordSchema = z.object({ url: z.url(), seenMs: z.number() })

/** See the file's head. */
export class Peers {
  readonly #driver: StorageDriver
  readonly #clock: Clock
  readonly #url: string
  readonly #process: string
  #renewedMs = Number.NEGATIVE_INFINITY

  /** `url` is where the others reach this process. Its name is kept in the index, with its uploads. */
  constructor(parts: { driver: StorageDriver; index: RegistryIndex; clock: Clock; url: string }) {
    this.#driver = parts.driver
    this.#clock = parts.clock
    this.#url = parts.url
    const { database } = parts.index
    const set = "INSERT OR IGNORE INTO settings VALUES ('process', ?)"
    database.transaction(() => database.run(set, randomUUID()))
    this.#process = textColumn(database.get("SELECT value FROM settings WHERE key = 'process'"), 'value')
  }

  /** What the names of this process's uploads begin with. */
  get prefix(): string {
    return `${this.#process}.`
  }

  /** Tells the others where this process is, now and then, and forgets those that are long gone. */
  async renew(): Promise<void> {
    const now = this.#clock.nowMs()
    if (now - this.#renewedMs < renewMs) return
    await this.#driver.write(
      `${root}/${this.#process}`,
      Buffer.from(JSON.stringify({ url: this.#url, seenMs: now })),
    )
    this.#renewedMs = now
    for (const { name } of await this.#driver.list(root)) {
      const record = await this.#record(name)
      if (record === undefined || record.seenMs < now - goneMs) await this.#driver.remove(`${root}/${name}`)
    }
  }

  /**
   * Passes a request about an upload on to the process that has it, with its answer; answers whether there is one.
   * Throws UNAVAILABLE when it cannot be reached.
   */
  async passOn(exchange: Exchange, upload: string): Promise<boolean> {
    const [process = '', name] = upload.split('.')
    const isOurs = name === undefined || process === this.#process || !/^[0-9a-f-]{36}$/.test(process)
    if (isOurs || exchange.header(passedOn) !== '') return false
    const record = await this.#record(process)
    if (record === undefined) return false
    const { request, response } = exchange
    let answer: IncomingMessage
    try {
      answer = await this.#send(request, record.url)
    } catch (cause) {
      throw new RegistryError('UNAVAILABLE', {
        message: 'the process that has this upload cannot be reached',
        headers: { 'Retry-After': '5' },
        cause,
      })
    }
    response.writeHead(answer.statusCode ?? 502, withoutHops(answer.headers))
    await pipeline(answer, response)
    return true
  }

  async #send(request: IncomingMessage, base: string): Promise<IncomingMessage> {
    const url = new URL(request.url ?? '/', base)
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest
    const outgoing = send(url, {
      method: request.method,
      headers: {
        ...withoutHops(request.headers),
        // Locations are to be those that the client knows.
        'x-forwarded-proto': schemeOfRequest(request),
        [passedOn]: this.#process,
      },
      timeout: idleMs,
    })
    outgoing.once('timeout', () => outgoing.destroy(new Error('no answer')))
    const answered: Promise<[IncomingMessage]> = once(outgoing, 'response').then(([answer]) => [answer])
    // An answer may come before the body has gone, as a refusal does; what becomes of the body is then no matter.
    const sent = pipeline(request, outgoing)
    sent.catch(() => {})
    const [answer] = await answered
    return answer
  }

  async #record(process: string): Promise<z.infer<typeof recordSchema> | undefined> {
    const text = (await this.#driver.read(`${root}/${process}`))?.toString() ?? '{}'
    return recordSchema.safeParse(JSON.parse(text)).data
  }
}

function withoutHops(headers: IncomingMessage['headers']): IncomingMessage['headers'] {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !hopHeaders.includes(name)))
}
