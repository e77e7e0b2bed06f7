/**
 * Bearer tokens: the ones that the registry issues itself, signed with a key that changes and is never stored, and
 * those of an outside issuer, whose certificates the configuration names. Both are JWTs with an `access` claim.
 */
import { createPublicKey, randomUUID, X509Certificate, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import {
  decodeProtectedHeader,
  errors as joseErrors,
  generateKeyPair,
  jwtVerify,
  SignJWT,
  type CryptoKey,
  type JWTPayload,
} from 'jose'
import { z } from 'zod'
import type { Clock } from '../lib/clock.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'

const rotationMs = 12 * 3_600_000
const mostCached = 10_000
const algorithms = ['ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'EdDSA']

const accessSchema = z.array(z.object({ type: z.string(), name: z.string(), actions: z.array(z.string()) }))

/** What a token allows. */
export type Grant = { type: string; name: string; actions: string[] }

/** A token that is good. */
export type VerifiedToken = { subject: string; access: Grant[]; expiresMs: number }

/** A signed token, as clients are sent it. */
export type IssuedToken = { token: string; access_token: string; expires_in: number; issued_at: string }

type Key = { id: string; privateKey: CryptoKey; publicKey: CryptoKey; madeMs: number }

/** Issues and verifies the registry's own tokens. */
export class TokenService {
  readonly #service: string
  readonly #lifetimeMs: number
  readonly #clock: Clock
  // The one in use first; the ones before it until their tokens have ended.
  #keys: Key[] = []

  constructor(options: { service: string; lifetimeMs: number; clock: Clock }) {
    this.#service = options.service
    // Older clients take for granted that a token lasts a minute.
    this.#lifetimeMs = Math.max(60_000, options.lifetimeMs)
    this.#clock = options.clock
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
    const key = this.#keys.find(({ id }) => id === keyId(token))
    if (key === undefined) return undefined
    return await verifyWith(token, key.publicKey, {
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
    const pair = await generateKeyPair('ES256')
    const key: Key = { id: randomUUID(), ...pair, madeMs: now }
    this.#keys = [key, ...this.#keys.filter(({ madeMs }) => now - madeMs < rotationMs + this.#lifetimeMs)]
    return key
  }
}

/** Verifies tokens that somebody else issues. */
export class OutsideTokens {
  readonly #options: { service: string; issuer: string; certificates: string; clock: Clock }
  #keys: KeyObject[] = []
  #roots: X509Certificate[] = []

  constructor(options: { service: string; issuer: string; certificates: string; clock: Clock }) {
    this.#options = options
  }

  /** Reads the issuer's certificates and keys. Throws `invalid`. */
  async load(): Promise<void> {
    const path = this.#options.certificates
    try {
      const blocks =
        (await readFile(path, 'utf8')).match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g) ?? []
      const roots = blocks
        .filter((pem) => pem.includes('BEGIN CERTIFICATE'))
        .map((pem) => new X509Certificate(pem))
      const bare = blocks.filter((pem) => pem.includes('PUBLIC KEY')).map((pem) => createPublicKey(pem))
      this.#roots = roots
      this.#keys = [...roots.map(({ publicKey }) => publicKey), ...bare]
    } catch (cause) {
      throw new EngineError('invalid', `cannot read certificates from ${path}: ${errorMessage(cause)}`, {
        cause,
      })
    }
    if (this.#keys.length === 0) throw new EngineError('invalid', `no certificate in ${path}`)
  }

  /** What a token says; undefined where it is not good. */
  async verify(token: string): Promise<VerifiedToken | undefined> {
    const { issuer, service, clock } = this.#options
    const leaf = this.#leafKey(token)
    for (const key of leaf === undefined ? this.#keys : [leaf]) {
      const verified = await verifyWith(token, key, {
        issuer,
        audience: service,
        nowMs: clock.nowMs(),
        algorithms,
      })
      if (verified !== undefined) return verified
    }
    return undefined
  }

  /** The key of a certificate that the token carries, when its chain ends at one of ours. */
  #leafKey(token: string): KeyObject | undefined {
    let chain: X509Certificate[]
    try {
      const { x5c } = decodeProtectedHeader(token)
      if (!Array.isArray(x5c) || x5c.length === 0 || x5c.length > 8) return undefined
      chain = x5c.map((text) => new X509Certificate(Buffer.from(text, 'base64')))
    } catch {
      // No token at all, or no certificate in it: then one of our keys has signed it, or nobody.
      return undefined
    }
    const now = this.#options.clock.nowMs()
    const [leaf] = chain
    for (const [index, certificate] of chain.entries()) {
      if (now < Date.parse(certificate.validFrom) || now > Date.parse(certificate.validTo)) return undefined
      if (this.#roots.some((root) => certificate.checkIssued(root) && certificate.verify(root.publicKey))) {
        return leaf?.publicKey
      }
      const above = chain[index + 1]
      if (
        above === undefined ||
        !above.ca ||
        !certificate.checkIssued(above) ||
        !certificate.verify(above.publicKey)
      ) {
        return undefined
      }
    }
    return undefined
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

function keyId(token: string): string | undefined {
  try {
    return decodeProtectedHeader(token).kid
  } catch {
    // Not a token.
    return undefined
  }
}

async function verifyWith(
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
    // A TypeError: the key is of another kind than the token's algorithm.
    if (error instanceof joseErrors.JOSEError || error instanceof TypeError) return undefined
    throw error
  }
  const access = accessSchema.safeParse(payload['access'] ?? [])
  if (!access.success || payload.exp === undefined) return undefined
  return { subject: payload.sub ?? '', access: access.data, expiresMs: payload.exp * 1000 }
}
