/**
 * Bearer tokens that the registry issues itself: JWTs with an `access` claim, signed with a key that changes and
 * never leaves it. Those of others are in `outside-tokens.ts`.
 */
import { randomUUID, type KeyObject } from 'node:crypto'
import {
  decodeProtectedHeader,
  errors as joseErrors,
  exportJWK,
  generateKeyPair,
  importJWK,
  jwtVerify,
  SignJWT,
  type CryptoKey,
  type JWTPayload,
} from 'jose'
import { z } from 'zod'
import type { Clock } from '../lib/clock.ts'
import type { SharedKeys } from './shared-keys.ts'

const rotationMs = 12 * 3_600_000
const mostCached = 10_000

const accessSchema = z.array(z.object({ type: z.string(), name: z.string(), actions: z.array(z.string()) }))

/** What a token allows. */
export type Grant = { type: string; name: string; actions: string[] }

/** A token that is good. */
export type VerifiedToken = { subject: string; access: Grant[]; expiresMs: number }

/** A signed token, as clients are sent it. */
export type IssuedToken = { token: string; access_token: string; expires_in: number; issued_at: string }

type Key = { id: string; privateKey: CryptoKey; publicKey: CryptoKey; madeMs: number }

/** What a token service is made of. */
export type TokenServiceOptions = {
  service: string
  lifetimeMs: number
  clock: Clock
  /** Where other processes' tokens are good here, and ours there. */
  shared?: SharedKeys | undefined
}

/** Issues and verifies the registry's own tokens. */
export class TokenService {
  readonly #service: string
  readonly #lifetimeMs: number
  readonly #clock: Clock
  readonly #shared: SharedKeys | undefined
  // The one in use first; the ones before it until their tokens have ended.
  #keys: Key[] = []
  #making: Promise<Key> | undefined

  constructor(options: TokenServiceOptions) {
    this.#service = options.service
    // Older clients take for granted that a token lasts a minute.
    this.#lifetimeMs = Math.max(60_000, options.lifetimeMs)
    this.#clock = options.clock
    this.#shared = options.shared
  }

  /** A token for somebody (empty: for nobody in particular). */
  async issue(subject: string, access: readonly Grant[]): Promise<IssuedToken> {
    const key = await this.#currentKey()
    const nowSeconds = Math.floor(this.#clock.nowMs() / 1000)
    const token = await new SignJWT({ access })
      .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid: key.id })
      .setIssuer(this.#service)
      .setAudience(this.#service)
      .setSubject(subject)
      .setJti(randomUUID())
      .setIssuedAt(nowSeconds)
      .setNotBefore(nowSeconds)
      .setExpirationTime(nowSeconds + this.#lifetimeMs / 1000)
      .sign(key.privateKey)
    return {
      token,
      access_token: token,
      expires_in: Math.floor(this.#lifetimeMs / 1000),
      issued_at: new Date(nowSeconds * 1000).toISOString(),
    }
  }

  /** What a token says; undefined where it is not good. */
  async verify(token: string): Promise<VerifiedToken | undefined> {
    const id = keyId(token)
    if (id === undefined) return undefined
    const key = this.#keys.find((own) => own.id === id)?.publicKey ?? (await this.#sharedKey(id))
    if (key === undefined) return undefined
    return await verifyWith(token, key, {
      issuer: this.#service,
      audience: this.#service,
      nowMs: this.#clock.nowMs(),
      algorithms: ['ES256'],
    })
  }

  async #currentKey(): Promise<Key> {
    const now = this.#clock.nowMs()
    const current = this.#keys[0]
    if (current !== undefined && now - current.madeMs < rotationMs) return current
    // Many may ask for the first token at once.
    this.#making ??= this.#makeKey(now).finally(() => {
      this.#making = undefined
    })
    return await this.#making
  }

  async #makeKey(now: number): Promise<Key> {
    const pair = await generateKeyPair('ES256')
    const key: Key = { id: randomUUID(), ...pair, madeMs: now }
    if (this.#shared !== undefined) {
      await this.#shared.publish(key.id, await exportJWK(pair.publicKey), now + rotationMs + this.#lifetimeMs)
    }
    this.#keys = [key, ...this.#keys.filter(({ madeMs }) => now - madeMs < rotationMs + this.#lifetimeMs)]
    return key
  }

  async #sharedKey(id: string): Promise<CryptoKey | undefined> {
    const jwk = await this.#shared?.find(id)
    if (jwk === undefined) return undefined
    const key = await importJWK(jwk, 'ES256')
    return key instanceof Uint8Array ? undefined : key
  }
}

/** Remembers what was verified until it ends. */
export class TokenCache {
  readonly #clock: Clock
  readonly #known = new Map<string, VerifiedToken>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The remembered or newly verified token. */
  async get(
    token: string,
    verify: (token: string) => Promise<VerifiedToken | undefined>,
  ): Promise<VerifiedToken | undefined> {
    const known = this.#known.get(token)
    if (known !== undefined && this.#clock.nowMs() < known.expiresMs) return known
    this.#known.delete(token)
    const verified = await verify(token)
    if (verified === undefined) return undefined
    if (this.#known.size >= mostCached) this.#known.clear()
    this.#known.set(token, verified)
    return verified
  }

  /** Forgets all, as when keys have changed. */
  clear(): void {
    this.#known.clear()
  }
}

/** The `kid` of a token's head; undefined where it has none. */
export function keyId(token: string): string | undefined {
  try {
    return decodeProtectedHeader(token).kid
  } catch {
    // Not a token.
    return undefined
  }
}

/** What a token says when this key has signed it for this issuer and audience, now; undefined otherwise. */
export async function verifyWith(
  token: string,
  key: CryptoKey | KeyObject,
  options: { issuer: string; audience: string; nowMs: number; algorithms: string[] },
): Promise<VerifiedToken | undefined> {
  let payload: JWTPayload
  try {
    const verified = await jwtVerify(token, key, {
      issuer: options.issuer,
      audience: options.audience,
      currentDate: new Date(options.nowMs),
      requiredClaims: ['exp'],
      algorithms: options.algorithms,
    })
    payload = verified.payload
  } catch (error) {
    // The last two: the key is of another kind than the token's algorithm.
    const kinds = [joseErrors.JOSEError, TypeError, DOMException]
    if (kinds.some((kind) => error instanceof kind)) return undefined
    throw error
  }
  const access = accessSchema.safeParse(payload['access'] ?? [])
  if (!access.success || payload.exp === undefined) return undefined
  return { subject: payload.sub ?? '', access: access.data, expiresMs: payload.exp * 1000 }
}
