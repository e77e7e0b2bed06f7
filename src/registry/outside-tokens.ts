/** Tokens of an outside issuer, whose certificates or keys the configuration names: JWTs with an `access` claim. */
import { createPublicKey, X509Certificate, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { decodeProtectedHeader } from 'jose'
import { z } from 'zod'
import type { Clock } from '../lib/clock.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import { keyId, verifyWith, type VerifiedToken } from './tokens.ts'

/** Who issues them, for whom, and files that say what they are signed with: either may be empty. */
export type OutsideTokensOptions = {
  service: string
  issuer: string
  /** Certificates of issuers, or of authorities above them, and bare public keys. */
  certificates: string
  /** A JSON Web Key Set. */
  jwks: string
  clock: Clock
}

const algorithms = ['ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'EdDSA']
const keySetSchema = z.object({
  keys: z.array(z.looseObject({ kty: z.string(), kid: z.string().optional(), use: z.string().optional() })),
})

type Key = { id: string | undefined; key: KeyObject }

/** Verifies tokens that somebody else issues. */
export class OutsideTokens {
  readonly #options: OutsideTokensOptions
  #keys: Key[] = []
  #roots: X509Certificate[] = []

  constructor(options: OutsideTokensOptions) {
    this.#options = options
  }

  /** Reads the issuer's certificates and keys. Throws `invalid`. */
  async load(): Promise<void> {
    const { certificates, jwks } = this.#options
    const { roots, keys } =
      certificates === '' ? { roots: [], keys: [] } : await readKeys(certificates, parseBundle)
    const named = jwks === '' ? [] : await readKeys(jwks, parseKeySet)
    this.#roots = roots
    this.#keys = [...keys.map((key) => ({ id: undefined, key })), ...named]
    if (this.#keys.length === 0)
      throw new EngineError('invalid', `no certificate or key in ${certificates || jwks || 'tokens.outside'}`)
  }

  /** What a token says; undefined where it is not good. */
  async verify(token: string): Promise<VerifiedToken | undefined> {
    const { issuer, service, clock } = this.#options
    const leaf = this.#leafKey(token)
    for (const key of leaf === undefined ? this.#keysFor(token) : [leaf]) {
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

  /** The key that the token names, if we have it; all otherwise. */
  #keysFor(token: string): KeyObject[] {
    const id = keyId(token)
    const named = id === undefined ? [] : this.#keys.filter((key) => key.id === id)
    return (named.length > 0 ? named : this.#keys).map(({ key }) => key)
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

async function readKeys<T>(path: string, parse: (text: string) => T): Promise<T> {
  try {
    return parse(await readFile(path, 'utf8'))
  } catch (cause) {
    throw new EngineError('invalid', `cannot read keys from ${path}: ${errorMessage(cause)}`, { cause })
  }
}

/** Certificates, and bare public keys, in PEM. */
function parseBundle(text: string): { roots: X509Certificate[]; keys: KeyObject[] } {
  const blocks = text.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g) ?? []
  const roots = blocks
    .filter((pem) => pem.includes('BEGIN CERTIFICATE'))
    .map((pem) => new X509Certificate(pem))
  const bare = blocks.filter((pem) => pem.includes('PUBLIC KEY')).map((pem) => createPublicKey(pem))
  return { roots, keys: [...roots.map(({ publicKey }) => publicKey), ...bare] }
}

/** A JSON Web Key Set; keys for encryption, and of kinds that sign no tokens here, are passed over. */
function parseKeySet(text: string): Key[] {
  return keySetSchema
    .parse(JSON.parse(text))
    .keys.filter(({ kty, use }) => ['EC', 'RSA', 'OKP'].includes(kty) && (use ?? 'sig') === 'sig')
    .map((jwk) => ({ id: jwk.kid, key: createPublicKey({ key: jwk, format: 'jwk' }) }))
}
