/** A registry that this one caches: requests with the proofs that it asks for. */
import type { Clock } from '../lib/clock.ts'
import { errorMessage } from '../spec/errors.ts'
import type { UpstreamConfig } from './config.ts'
import { RegistryError } from './errors.ts'

const timeoutMs = 30_000
const shortestTokenSeconds = 60

type Proof = { header: string; untilMs: number }

/** See the file's head. */
export class Upstream {
  readonly config: UpstreamConfig
  readonly #clock: Clock
  readonly #proofs = new Map<string, Proof>()

  constructor(config: UpstreamConfig, clock: Clock) {
    this.config = config
    this.#clock = clock
  }

  /** The upstream's name of a repository; undefined where the repository is not from there. */
  nameOf(repository: string): string | undefined {
    const { prefix } = this.config
    if (prefix === '') return repository
    return repository.startsWith(`${prefix}/`) ? repository.slice(prefix.length + 1) : undefined
  }

  /**
   * Asks for something of a repository; any status below 500 is an answer, with its body unread. Throws UNAVAILABLE
   * when the upstream cannot be reached or fails.
   */
  async request(
    method: 'GET' | 'HEAD',
    target: { name: string; path: string; accept?: string },
    signal?: AbortSignal,
  ): Promise<Response> {
    const url = new URL(`/v2/${target.name}/${target.path}`, this.config.url)
    const known = this.#proofs.get(target.name)
    const proof = known !== undefined && this.#clock.nowMs() < known.untilMs ? known.header : undefined
    const first = await this.#fetch(url, { method, accept: target.accept, proof }, signal)
    if (first.status !== 401) return first
    const challenge = first.headers.get('www-authenticate') ?? ''
    await first.body?.cancel()
    const header = await this.#prove(target.name, challenge)
    return header === undefined
      ? first
      : await this.#fetch(url, { method, accept: target.accept, proof: header }, signal)
  }

  async #fetch(
    url: URL,
    options: { method: string; accept: string | undefined; proof: string | undefined },
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const headers = new Headers()
    if (options.accept !== undefined) headers.set('Accept', options.accept)
    if (options.proof !== undefined) headers.set('Authorization', options.proof)
    // Headers must come soon; a body may take its time.
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(new Error('upstream does not answer')), timeoutMs)
    let answer: Response
    try {
      const all = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal])
      answer = await fetch(url, { method: options.method, headers, signal: all })
    } catch (cause) {
      throw new RegistryError('UNAVAILABLE', { message: `upstream: ${errorMessage(cause)}`, cause })
    } finally {
      clearTimeout(timer)
    }
    if (answer.status < 500) return answer
    await answer.body?.cancel()
    throw new RegistryError('UNAVAILABLE', { message: `upstream answers ${answer.status}` })
  }

  /** An `Authorization` header that a challenge asks for; undefined where there is none to be had. */
  async #prove(name: string, challenge: string): Promise<string | undefined> {
    const { username, password } = this.config
    const basic =
      username === '' ? undefined : `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
    if (!/^bearer\s/i.test(challenge)) {
      if (basic !== undefined) this.#proofs.set(name, { header: basic, untilMs: Number.POSITIVE_INFINITY })
      return basic
    }
    const parameters = new Map(
      [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map((match) => [match[1] ?? '', match[2] ?? '']),
    )
    const realm = parameters.get('realm') ?? ''
    if (!URL.canParse(realm)) return undefined
    const url = new URL(realm)
    url.searchParams.set('service', parameters.get('service') ?? '')
    url.searchParams.set('scope', parameters.get('scope') ?? `repository:${name}:pull`)
    const answer = await this.#fetch(url, { method: 'GET', accept: undefined, proof: basic }, undefined)
    if (!answer.ok) {
      await answer.body?.cancel()
      return undefined
    }
    const body: unknown = await answer.json()
    const token = textField(body, 'token') ?? textField(body, 'access_token')
    if (token === undefined) return undefined
    const seconds = numberField(body, 'expires_in') ?? shortestTokenSeconds
    const header = `Bearer ${token}`
    if (this.#proofs.size > 10_000) this.#proofs.clear()
    // A little earlier, so that it does not end on the way.
    this.#proofs.set(name, { header, untilMs: this.#clock.nowMs() + seconds * 900 })
    return header
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

function textField(value: unknown, name: string): string | undefined {
  const found = field(value, name)
  return typeof found === 'string' ? found : undefined
}

function numberField(value: unknown, name: string): number | undefined {
  const found = field(value, name)
  return typeof found === 'number' && found > 0 ? found : undefined
}
