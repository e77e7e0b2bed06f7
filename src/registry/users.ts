/**
 * Users with bcrypt hashes from an htpasswd file. A wrong name takes as long as a wrong password; a password that
 * was right is remembered for a short time, as the hash of all that made it right, since bcrypt is slow on purpose.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Clock } from '../lib/clock.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import { RegistryError } from './errors.ts'

/** Whether a password has a hash; takes as long whichever it is. */
export type PasswordMatches = (password: string, hash: string) => Promise<boolean>

const rememberedMs = 60_000
const mostRemembered = 10_000
// Of a random password, at the cost that htpasswd uses.
const nobodysHash = '$2b$05$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy'
/** bcrypt reads no further (and some readers stop at a NUL). */
export const mostPasswordBytes = 72
const mostWaiting = 200

/** See the file's head. */
export class Users {
  readonly #path: string
  readonly #clock: Clock
  readonly #matches: PasswordMatches
  #waiting = 0
  readonly #remembered = new Map<string, number>()
  #hashes: ReadonlyMap<string, string> = new Map()

  constructor(path: string, clock: Clock, matches: PasswordMatches) {
    this.#path = path
    this.#clock = clock
    this.#matches = matches
  }

  /** Reads the file again; keeps the old users when it cannot be read. Throws `invalid`. */
  async load(): Promise<void> {
    try {
      this.#hashes = parseHtpasswd(await readFile(this.#path, 'utf8'))
    } catch (cause) {
      throw new EngineError('invalid', `cannot read users from ${this.#path}: ${errorMessage(cause)}`, {
        cause,
      })
    }
    this.#remembered.clear()
  }

  /** Whether there is a user of this name. */
  has(name: string): boolean {
    return this.#hashes.has(name)
  }

  /** A user's hash, which nobody else may learn; undefined where there is no such user. */
  hashOf(name: string): string | undefined {
    return this.#hashes.get(name)
  }

  /** Whether the password is the user's. Throws TOOMANYREQUESTS while too many others wait for an answer. */
  async check(name: string, password: string): Promise<boolean> {
    const hash = this.#hashes.get(name)
    const key = createHash('sha256')
      .update(JSON.stringify([name, password, hash]))
      .digest('hex')
    const now = this.#clock.nowMs()
    if (now < (this.#remembered.get(key) ?? 0)) return true
    const right = await this.#compare(password, hash ?? nobodysHash)
    if (hash === undefined || !right || Buffer.byteLength(password) > mostPasswordBytes) return false
    if (this.#remembered.size >= mostRemembered) this.#remembered.clear()
    this.#remembered.set(key, now + rememberedMs)
    return true
  }

  async #compare(password: string, hash: string): Promise<boolean> {
    // Guesses must not pile up before those who know their password.
    if (this.#waiting >= mostWaiting) {
      throw new RegistryError('TOOMANYREQUESTS', { headers: { 'Retry-After': '1' } })
    }
    this.#waiting += 1
    try {
      return await this.#matches(password, hash)
    } finally {
      this.#waiting -= 1
    }
  }
}

/** Names and hashes of an htpasswd file. Throws where a line has no bcrypt hash. */
export function parseHtpasswd(text: string): Map<string, string> {
  const users = new Map<string, string>()
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const colon = line.indexOf(':')
    const hash = line.slice(colon + 1)
    if (colon < 1 || !/^\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}$/.test(hash)) {
      throw new Error(`line ${index + 1} is not NAME:BCRYPT-HASH (htpasswd -B)`)
    }
    users.set(line.slice(0, colon), hash)
  }
  return users
}

/** Name and password of an `Authorization: Basic` header; undefined for anything else. */
export function parseBasic(header: string): { name: string; password: string } | undefined {
  const match = /^basic\s+([A-Za-z0-9+/=]+)\s*$/i.exec(header)
  if (match?.[1] === undefined) return undefined
  const text = Buffer.from(match[1], 'base64').toString()
  const colon = text.indexOf(':')
  return colon < 0 ? undefined : { name: text.slice(0, colon), password: text.slice(colon + 1) }
}
