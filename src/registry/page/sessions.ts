/**
 * Who is signed in on the web page. A session is a cookie that says who and until when, signed with a key made of the
 * user's password hash: nothing is stored, restarts and further processes with the same users understand it, and a
 * new password ends it. Scripts cannot read it, other sites cannot send it. Where an outside issuer knows the users, the
 * cookie has name and password, sealed with a key of this process's: the issuer is asked with them again and again.
 */
import { createHash, createHmac, randomUUID, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { z } from 'zod'
import type { Clock } from '../../lib/clock.ts'
import type { Caller } from '../exchange.ts'
import type { Gate } from '../gate.ts'
import { schemeOfRequest } from '../handling.ts'
import { CookieSeal } from './cookie-seal.ts'

const lifetimeMs = 12 * 3_600_000
const longestCookie = 4096

type Session = { name: string; expiresMs: number; id: string; password?: string }

const sealedSchema = z.object({
  name: z.string(),
  password: z.string(),
  expiresMs: z.number(),
  id: z.string(),
})

/** See the file's head. */
export class Sessions {
  readonly #gate: () => Gate
  readonly #clock: Clock
  readonly #seal = new CookieSeal()
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
    const caller = session === undefined ? undefined : await callerOf(gate, session)
    return caller ?? (await gate.identify(request))
  }

  /** Signs somebody in; answers the header that sets the cookie, undefined for a wrong name or password. */
  async begin(
    request: IncomingMessage,
    proof: { name: string; password: string },
  ): Promise<string | undefined> {
    const { signIn } = this.#gate()
    if (typeof signIn !== 'object') return undefined
    const isRight =
      'callerOf' in signIn
        ? (await signIn.callerOf(proof)) !== undefined
        : await signIn.check(proof.name, proof.password)
    if (!isRight) return undefined
    const session = { name: proof.name, expiresMs: this.#clock.nowMs() + lifetimeMs, id: randomUUID() }
    const value =
      'callerOf' in signIn
        ? this.#seal.seal(JSON.stringify({ ...session, password: proof.password }))
        : this.#signed(session)
    if (value === undefined || value.length > longestCookie) return undefined
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
    const { signIn } = this.#gate()
    const isSealed = typeof signIn === 'object' && 'callerOf' in signIn
    const session = isSealed ? this.#opened(value) : this.#checked(value)
    if (session === undefined) return undefined
    return this.#clock.nowMs() < session.expiresMs && !this.#ended.has(session.id) ? session : undefined
  }

  #opened(value: string): Session | undefined {
    const text = this.#seal.open(value)
    return text === undefined ? undefined : sealedSchema.parse(JSON.parse(text))
  }

  #checked(value: string): Session | undefined {
    const [name = '', expires = '', id = '', signature = '', ...rest] = value.split('.')
    const session = { name: Buffer.from(name, 'base64url').toString(), expiresMs: Number(expires), id }
    const expected = this.#sign(session)
    return rest.length > 0 || expected === undefined || !isSame(signature, expected) ? undefined : session
  }

  #signed(session: Session): string | undefined {
    const signature = this.#sign(session)
    if (signature === undefined) return undefined
    const name = Buffer.from(session.name).toString('base64url')
    return [name, session.expiresMs, session.id, signature].join('.')
  }

  #sign({ name, expiresMs, id }: Session): string | undefined {
    const { signIn } = this.#gate()
    const secret = typeof signIn === 'object' && 'secretOf' in signIn ? signIn.secretOf(name) : undefined
    if (secret === undefined) return undefined
    const key = createHash('sha256').update(`wharf registry page\0${secret}`).digest()
    return createHmac('sha256', key)
      .update(JSON.stringify([name, expiresMs, id]))
      .digest('base64url')
  }
}

async function callerOf({ signIn }: Gate, { name, password = '' }: Session): Promise<Caller | undefined> {
  if (typeof signIn !== 'object') return undefined
  return 'callerOf' in signIn ? await signIn.callerOf({ name, password }) : signIn.caller(name)
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
