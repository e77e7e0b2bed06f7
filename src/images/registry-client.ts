/**
 * The client of one registry at one of its endpoints. The first request finds out what authorization the registry
 * wants (`GET /v2/`); tokens are got for the scopes of a request and kept. Redirects are followed without taking
 * credentials to another host; an answer 429 is obeyed.
 */
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { EngineError } from '../spec/errors.ts'
import { parseChallenges, type Challenge } from './registry-challenge.ts'
import type { Endpoint } from './registry-endpoints.ts'
import { errorOfAnswer } from './registry-errors.ts'
import { basicHeader, fetchToken, type AuthConfig, type Token } from './registry-tokens.ts'
import type { KnownEndpoints } from './known-endpoints.ts'
import type { RegistryTransport } from './registry-transport.ts'

/** A request to the registry; `path` is an address or begins with `/v2/`. */
export type RegistryRequest = {
  method: string
  path: string | URL
  /** What the token must allow: `repository:library/busybox:pull`. */
  scopes: readonly string[]
  headers?: Readonly<Record<string, string>>
  body?: Buffer
  /** Opens a large body; again when it has to be sent again. Its length is in the headers. */
  stream?: () => AsyncIterable<Uint8Array>
  /** Answers that are no failure, beside 2xx. */
  accept?: readonly number[]
}

/** What a client is made of. */
export type RegistryClientParts = {
  endpoint: Endpoint
  auth: AuthConfig
  transport: RegistryTransport
  maxAttempts: number
  known: KnownEndpoints
}

const maxRedirects = 10
const maxErrorBytes = 64 * 1024
const maxRetryAfterSeconds = 60
const tokenReserveMs = 5_000

/** See the file's head. */
export class RegistryClient {
  readonly endpoint: Endpoint
  readonly #parts: RegistryClientParts
  readonly #tokens = new Map<string, { token: string; expiresMs: number }>()
  #challenges: Promise<readonly Challenge[]> | undefined
  #hasAnswered = false
  /** They are what the registry wanted a while ago. */
  #isRemembered = false
  #identityToken = ''

  constructor(parts: RegistryClientParts) {
    this.endpoint = parts.endpoint
    this.#parts = parts
  }

  /** Whether anything has come from the registry. */
  get hasAnswered(): boolean {
    return this.#hasAnswered
  }

  /** Asks what the registry wants, and so whether it can be reached. Throws RegistryUnreachable. */
  async ping(signal: AbortSignal): Promise<void> {
    await this.#challengesOf(signal)
  }

  /** Proves the credentials; answers the identity token if the server gives one. Throws unauthorized. */
  async login(signal: AbortSignal): Promise<string> {
    const challenge = await this.#wanted(signal)
    if (challenge?.scheme === 'bearer') {
      const token = await this.#fetchToken(challenge, [], signal, true)
      this.#tokens.set('', { token: token.token, expiresMs: Date.now() + token.expiresInSeconds * 1000 })
      this.#identityToken = token.refreshToken
    }
    const answer = await this.request({ method: 'GET', path: '/v2/', scopes: [] }, signal)
    await drain(answer)
    return this.#identityToken
  }

  /** Sends a request. Throws the registry's error; the answer's body is the caller's to read or destroy. */
  async request(request: RegistryRequest, signal: AbortSignal): Promise<IncomingMessage> {
    let renewed = false
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#follow(request, signal)
      const status = answer.statusCode ?? 0
      if ((status >= 200 && status < 300) || request.accept?.includes(status) === true) return answer
      const wait = attempt < this.#parts.maxAttempts ? retryAfterMs(answer) : undefined
      const failure = await answerError(answer)
      if (status === 401 && !renewed && this.#mayRenew(request.scopes)) {
        renewed = true
      } else if (wait !== undefined) await delay(wait, signal)
      else throw failure
    }
  }

  /** The token may have run out before its time, or the registry want something else than a while ago. */
  #mayRenew(scopes: readonly string[]): boolean {
    const wasRemembered = this.#isRemembered
    if (wasRemembered) {
      this.#parts.known.forget(this.endpoint)
      this.#challenges = undefined
    }
    return this.#tokens.delete(scopeKey(scopes)) || wasRemembered
  }

  async #follow(request: RegistryRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const { transport } = this.#parts
    const { base, verify } = this.endpoint
    let url = this.url(request.path)
    let { method } = request
    for (let redirects = 0; ; redirects++) {
      const isHome = url.origin === base.origin
      const authorization = isHome ? await this.#authorization(request.scopes, signal) : undefined
      const body = method === request.method ? (request.stream?.() ?? request.body) : undefined
      const answer = await transport.send(
        {
          method,
          url,
          verify: isHome ? verify : true,
          headers: {
            ...request.headers,
            ...(authorization === undefined ? {} : { authorization }),
          },
          ...(body === undefined ? {} : { body }),
        },
        signal,
      )
      this.#hasAnswered = true
      const status = answer.statusCode ?? 0
      const { location } = answer.headers
      const isRedirect = [301, 302, 303, 307, 308].includes(status) && location !== undefined
      if (!isRedirect || request.accept?.includes(status) === true) return answer
      answer.destroy()
      if (redirects >= maxRedirects) throw new EngineError('internal', 'stopped after 10 redirects')
      url = new URL(location, url)
      if (status === 303 && method !== 'HEAD') method = 'GET'
    }
  }

  /** The address of a path at the endpoint. */
  url(path: string | URL): URL {
    if (typeof path !== 'string') return path
    const { base } = this.endpoint
    const below = base.pathname.replace(/\/$/, '')
    return new URL(`${below}${path}`, base)
  }

  async #authorization(scopes: readonly string[], signal: AbortSignal): Promise<string | undefined> {
    const { auth } = this.#parts
    if (auth.registrytoken !== '') return `Bearer ${auth.registrytoken}`
    const challenge = await this.#wanted(signal)
    if (challenge?.scheme === 'basic') return auth.username === '' ? undefined : basicHeader(auth)
    if (challenge?.scheme !== 'bearer') return undefined
    const key = scopeKey(scopes)
    const kept = this.#tokens.get(key)
    if (kept !== undefined && kept.expiresMs - tokenReserveMs > Date.now()) return `Bearer ${kept.token}`
    const { token, expiresInSeconds } = await this.#fetchToken(challenge, scopes, signal)
    this.#tokens.set(key, { token, expiresMs: Date.now() + expiresInSeconds * 1000 })
    return `Bearer ${token}`
  }

  /** The challenge that can be met: a token where one is offered. */
  async #wanted(signal: AbortSignal): Promise<Challenge | undefined> {
    const challenges = await this.#challengesOf(signal)
    return (
      challenges.find(({ scheme }) => scheme === 'bearer') ??
      challenges.find(({ scheme }) => scheme === 'basic')
    )
  }

  async #fetchToken(
    challenge: Challenge,
    scopes: readonly string[],
    signal: AbortSignal,
    offline = false,
  ): Promise<Token> {
    const { transport, auth } = this.#parts
    const { verify, base } = this.endpoint
    return fetchToken(
      challenge,
      { scopes, auth, offline },
      async (request) => {
        const isHome = request.url.hostname === base.hostname
        const answer = await transport.send({ ...request, verify: isHome ? verify : true }, signal)
        const challengeText = answer.headers['www-authenticate'] ?? ''
        return {
          status: answer.statusCode ?? 0,
          challenge: challengeText,
          body: (await readAnswer(answer, maxErrorBytes)).toString('utf8'),
        }
      },
      errorOfAnswer,
    )
  }

  #challengesOf(signal: AbortSignal): Promise<readonly Challenge[]> {
    if (this.#challenges === undefined) {
      const remembered = this.#parts.known.challengesOf(this.endpoint)
      this.#isRemembered = remembered !== undefined
      if (remembered !== undefined) {
        this.#challenges = Promise.resolve(remembered)
        return this.#challenges
      }
      const asked = this.#askChallenges(signal)
      this.#challenges = asked
      // A failure is not kept: the next request asks again.
      asked.catch(() => (this.#challenges = undefined))
    }
    return this.#challenges
  }

  async #askChallenges(signal: AbortSignal): Promise<Challenge[]> {
    const { transport } = this.#parts
    const { base, verify } = this.endpoint
    const answer = await transport.send({ method: 'GET', url: this.url('/v2/'), headers: {}, verify }, signal)
    this.#hasAnswered = true
    const status = answer.statusCode ?? 0
    const header = answer.headers['www-authenticate'] ?? ''
    await drain(answer)
    if (status >= 500) {
      throw new EngineError(
        'internal',
        `Get "${base.origin}/v2/": received unexpected HTTP status: ${status}`,
      )
    }
    const challenges = status === 401 ? parseChallenges(header) : []
    this.#parts.known.note(this.endpoint, challenges)
    return challenges
  }
}

function scopeKey(scopes: readonly string[]): string {
  return scopes.join(' ')
}

/** How long a registry that is asked too much wants to be left alone; undefined where it does not say. */
function retryAfterMs(answer: IncomingMessage): number | undefined {
  if (answer.statusCode !== 429 && answer.statusCode !== 503) return undefined
  const text = answer.headers['retry-after']
  if (text === undefined) return undefined
  const seconds = /^[0-9]+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000
  if (!Number.isFinite(seconds) || seconds > maxRetryAfterSeconds) return undefined
  return Math.max(0, seconds * 1000)
}

/** Reads an answer whole. Throws invalid beyond the limit. */
export async function readAnswer(answer: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of answer) {
    if (!Buffer.isBuffer(chunk)) continue
    length += chunk.length
    if (length > maxBytes) throw new EngineError('invalid', `answer is larger than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Reads an answer to its end and drops it, so that the connection can be used again. */
export async function drain(answer: IncomingMessage): Promise<void> {
  answer.resume()
  if (!answer.readableEnded && !answer.destroyed) await once(answer, 'close')
}

async function answerError(answer: IncomingMessage): Promise<EngineError> {
  const body = answer.method === 'HEAD' ? '' : (await readAnswer(answer, maxErrorBytes)).toString('utf8')
  return errorOfAnswer({
    status: answer.statusCode ?? 0,
    challenge: answer.headers['www-authenticate'] ?? '',
    body,
  })
}

/** Waits; rejects with the signal's reason when aborted. */
export async function delay(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await promise
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}
