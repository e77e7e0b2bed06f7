/**
 * The outside issuer, asked for somebody who signs in on the web page: what may they do with the repositories that are
 * here? The registry passes name and password on as `docker login` would, and believes the tokens that come back as
 * it does those that clients bring. Answers are kept as long as their tokens are good, but not for long.
 */
import { createHash } from 'node:crypto'
import type { Clock } from '../lib/clock.ts'
import { eachLimited } from '../lib/each-limited.ts'
import { errorMessage } from '../spec/errors.ts'
import { RegistryError } from './errors.ts'
import type { OutsideTokens } from './outside-tokens.ts'
import type { Grant } from './tokens.ts'

/** What the issuer is asked with. */
export type IssuerOptions = {
  realm: string
  service: string
  tokens: OutsideTokens
  clock: Clock
  /** Repositories that are here, in order, after one. */
  repositories: (last: string, limit: number) => string[]
}

/** A name and a password. */
export type Proof = { name: string; password: string }

/** What somebody may do. */
export type IssuedAccess = { subject: string; grants: Grant[] }

type Kept = IssuedAccess & { asked: Set<string>; untilMs: number }

const timeoutMs = 10_000
const longestMs = 5 * 60_000
/** So many scopes make a URL that every server takes. */
const scopesAtOnce = 30
const requestsAtOnce = 4
/** Whoever has more repositories sees the first ones on the page. */
const mostRepositories = 5_000
const mostKept = 1_000

/** See the file's head. */
export class Issuer {
  readonly #options: IssuerOptions
  readonly #kept = new Map<string, Promise<Kept | undefined>>()

  constructor(options: IssuerOptions) {
    this.#options = options
  }

  /** What somebody may do with what is here; undefined for a wrong name or password. Throws UNAVAILABLE. */
  async access(proof: Proof): Promise<IssuedAccess | undefined> {
    const key = createHash('sha256')
      .update(JSON.stringify([proof.name, proof.password]))
      .digest('hex')
    const before = this.#kept.get(key) ?? Promise.resolve(undefined)
    // One after the other: those who ask at once share what the first one was told.
    const next = before.catch(() => undefined).then((kept) => this.#renewed(proof, kept))
    this.#kept.delete(key)
    this.#kept.set(key, next)
    const [oldest] = this.#kept.keys()
    if (this.#kept.size > mostKept && oldest !== undefined) this.#kept.delete(oldest)
    try {
      const kept = await next
      if (kept === undefined) this.#kept.delete(key)
      return kept
    } catch (error) {
      this.#kept.delete(key)
      throw error
    }
  }

  async #renewed(proof: Proof, kept: Kept | undefined): Promise<Kept | undefined> {
    const isGood = kept !== undefined && this.#options.clock.nowMs() < kept.untilMs
    const current = isGood ? kept : await this.#signedIn(proof)
    if (current === undefined) return undefined
    const names = this.#options.repositories('', mostRepositories).filter((name) => !current.asked.has(name))
    const batches = Array.from({ length: Math.ceil(names.length / scopesAtOnce) }, (_, index) =>
      names.slice(index * scopesAtOnce, (index + 1) * scopesAtOnce),
    )
    await eachLimited(batches, requestsAtOnce, async (some) => {
      const token = await this.#token(
        proof,
        some.map((name) => `repository:${name}:pull,push,delete`),
      )
      if (token === undefined) return
      current.grants.push(...token.access)
      current.untilMs = Math.min(current.untilMs, token.expiresMs)
      for (const name of some) current.asked.add(name)
    })
    return current
  }

  async #signedIn(proof: Proof): Promise<Kept | undefined> {
    const token = await this.#token(proof, [])
    if (token === undefined) return undefined
    const untilMs = Math.min(token.expiresMs, this.#options.clock.nowMs() + longestMs)
    return { subject: token.subject || proof.name, grants: [], asked: new Set(), untilMs }
  }

  /** A token for some scopes, verified; undefined where the issuer does not know the name or the password. */
  async #token({ name, password }: Proof, scopes: readonly string[]) {
    const url = new URL(this.#options.realm)
    url.searchParams.set('service', this.#options.service)
    url.searchParams.set('account', name)
    for (const scope of scopes) url.searchParams.append('scope', scope)
    const basic = Buffer.from(`${name}:${password}`).toString('base64')
    let status: number
    let body: unknown
    try {
      const answer = await fetch(url, {
        headers: { Authorization: `Basic ${basic}` },
        // The password goes to the issuer alone.
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      })
      status = answer.status
      body = answer.ok ? await answer.json() : await answer.body?.cancel()
    } catch (cause) {
      throw new RegistryError('UNAVAILABLE', {
        message: `the issuer of tokens: ${errorMessage(cause)}`,
        cause,
      })
    }
    if (status === 401 || status === 403) return undefined
    const verified = await this.#options.tokens.verify(tokenIn(body))
    if (verified !== undefined) return verified
    throw new RegistryError('UNAVAILABLE', {
      message: `the issuer of tokens answers ${status}, and no good token`,
    })
  }
}

function tokenIn(body: unknown): string {
  if (typeof body !== 'object' || body === null) return ''
  const token: unknown = Reflect.get(body, 'token') ?? Reflect.get(body, 'access_token')
  return typeof token === 'string' ? token : ''
}
