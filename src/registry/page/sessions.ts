/**
 * Who is signed in on the web page. A session is a cookie that says who and until when, signed with a key made of the
 * user's password hash: nothing is stored, restarts and further processes with the same users understand it, and a
 * new password ends it. Scripts cannot read it, other sites cannot send it.
 */
import { createHash, createHmac, randomUUID, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../lib/clock.ts'
import type { Caller } from '../exchange.ts'
import type { Gate } from '../gate.ts'
import { schemeOfRequest } from '../handling.ts'

const lifetimeMs = 12 * 3_600_000
const longestCookie = 1024

type Session = { name: string; expiresMs: number; id: string }

/** See the file's head. */
export class Sessions {
  readonly #gate: () => Gate
  readonly #clock: Clock
  // Sessions that were signed out of, until they end anyway.
  readonly #ended = new Map<string, number>()

  constructor(gate: () => Gate, clock: Clock) {
    this.#gate = gate
    this.#clock = clock
  }

  /** Who asks: the session's user; without one, whoever other proofs name. Throws UNAUTHORIZED for wrong ones. */
  async identify(request: IncomingMessage): Promise<Caller> {
    const gate = this.#gate()
    const session = this.#session(request)
    if (session !== undefined && typeof gate.signIn === 'object') return gate.signIn.caller(session.name)
    return await gate.identify(request)
  }

  /** Signs somebody in; answers the header that sets the cookie, undefined for a wrong name or password. */
  async begin(
    request: IncomingMessage,
    proof: { name: string; password: string },
  ): Promise<string | undefined> {
    const { signIn } = this.#gate()
    if (typeof signIn !== 'object' || !(await signIn.check(proof.name, proof.password))) return undefined
    const session = { name: proof.name, expiresMs: this.#clock.nowMs() + lifetimeMs, id: randomUUID() }
    const signature = this.#sign(session)
    if (signature === undefined) return undefined
    const value = [
      Buffer.from(session.name).toString('base64url'),
      session.expiresMs,
      session.id,
      signature,
    ].join('.')
    return `${cookieName(request)}=${value}; Max-Age=${lifetimeMs / 1000}; ${attributes(request)}`
  }

  /** Ends the session of a request; answers the header that removes the cookie. */
  end(request: IncomingMessage): string {
    const session = this.#session(request)
    const now = this.#clock.nowMs()
    for (const [id, expiresMs] of this.#ended) if (expiresMs < now) this.#ended.delete(id)
    if (session !== undefined) this.#ended.set(session.id, session.expiresMs)
    return `${cookieName(request)}=; Max-Age=0; ${attributes(request)}`
  }

  #session(request: IncomingMessage): Session | undefined {
    const value = readCookie(request.headers.cookie ?? '', cookieName(request))
    if (value === undefined || value.length > longestCookie) return undefined
    const [name = '', expires = '', id = '', signature = '', ...rest] = value.split('.')
    const session = { name: Buffer.from(name, 'base64url').toString(), expiresMs: Number(expires), id }
    const expected = this.#sign(session)
    if (rest.length > 0 || expected === undefined || !isSame(signature, expected)) return undefined
    return this.#clock.nowMs() < session.expiresMs && !this.#ended.has(id) ? session : undefined
  }

  #sign({ name, expiresMs, id }: Session): string | undefined {
    const { signIn } = this.#gate()
    const secret = typeof signIn === 'object' ? signIn.secretOf(name) : undefined
    if (secret === undefined) return undefined
    const key = createHash('sha256').update(`wharf registry page\0${secret}`).digest()
    return createHmac('sha256', key)
      .update(JSON.stringify([name, expiresMs, id]))
      .digest('base64url')
  }
}

// Browsers keep cookies by host, not by port: registries beside each other must not end each other's sessions.
function cookieName({ socket }: IncomingMessage): string {
  return `wharf-registry-${socket.localPort ?? 0}`
}

// Without a path it is sent to the endpoints beside the one that set it alone, whatever prefix a proxy puts before.
function attributes(request: IncomingMessage): string {
  return `HttpOnly; SameSite=Strict${schemeOfRequest(request) === 'https' ? '; Secure' : ''}`
}

function readCookie(header: string, name: string): string | undefined {
  const pair = header.split(';').find((part) => part.trim().startsWith(`${name}=`))
  return pair?.trim().slice(name.length + 1)
}

function isSame(left: string, right: string): boolean {
  const [first, second] = [Buffer.from(left), Buffer.from(right)]
  return first.length === second.length && timingSafeEqual(first, second)
}
