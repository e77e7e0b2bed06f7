/**
 * Requests to registries: connections are kept and used again, certificates come from the system and from
 * `certs.d/HOST:PORT`, proxies from the configuration. One request, one answer; redirects and authorization are the
 * caller's (`registry-client.ts`).
 */
import { readdirSync, readFileSync } from 'node:fs'
import {
  Agent as HttpAgent,
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { sendAll } from '../lib/output.ts'
import { errorCode } from '../spec/errors.ts'
import type { RegistrySettings } from './registry-endpoints.ts'
import { connectionError } from './registry-errors.ts'

/** A request as it goes out. */
export type HttpRequest = {
  method: string
  url: URL
  headers: Readonly<Record<string, string>>
  /** A stream comes with its length in the headers, or goes out chunked; a piece is used when the next is asked for. */
  body?: Buffer | AsyncIterable<Uint8Array>
  verify: boolean
}

const connectTimeoutMs = 30_000
/** A connection over which nothing comes for so long is given up. */
const silenceTimeoutMs = 60_000
const maxIdleConnections = 8

/** See the file's head. Disposing ends idle connections. */
export class RegistryTransport implements Disposable {
  readonly #settings: () => Pick<RegistrySettings, 'proxies' | 'certificateDirectories'>
  readonly #userAgent: string
  readonly #agents = new Map<string, HttpAgent | HttpsAgent>()

  constructor(
    settings: () => Pick<RegistrySettings, 'proxies' | 'certificateDirectories'>,
    userAgent: string,
  ) {
    this.#settings = settings
    this.#userAgent = userAgent
  }

  /** Sends a request. The answer's body must be read or destroyed. Throws RegistryUnreachable. */
  async send(request: HttpRequest, signal: AbortSignal): Promise<IncomingMessage> {
    signal.throwIfAborted()
    const { method, url, headers, body } = request
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest
    const length = Buffer.isBuffer(body) ? { 'content-length': String(body.length) } : {}
    const outgoing = send(url, {
      method,
      headers: { 'user-agent': this.#userAgent, ...length, ...headers },
      agent: this.#agent(url, request.verify),
      signal,
      timeout: silenceTimeoutMs,
    })
    outgoing.on('timeout', () =>
      outgoing.destroy(Object.assign(new Error('i/o timeout'), { code: 'ETIMEDOUT' })),
    )
    outgoing.on('error', reject)
    outgoing.on('response', resolve)
    if (body === undefined || Buffer.isBuffer(body)) outgoing.end(body)
    // An answer may come before all of the body is sent; then the answer counts.
    else sendBody(body, outgoing).catch(reject)
    try {
      return await promise
    } catch (error) {
      signal.throwIfAborted()
      throw connectionError(error, method, url)
    }
  }

  /** Forgets certificates and proxies: the next connections read them again. */
  reset(): void {
    for (const agent of this.#agents.values()) agent.destroy()
    this.#agents.clear()
  }

  [Symbol.dispose](): void {
    this.reset()
  }

  #agent(url: URL, verify: boolean): HttpAgent | HttpsAgent {
    const key = `${url.origin} ${String(verify)}`
    let agent = this.#agents.get(key)
    if (agent === undefined) {
      agent = this.#newAgent(url, verify)
      this.#agents.set(key, agent)
    }
    return agent
  }

  #newAgent(url: URL, verify: boolean): HttpAgent | HttpsAgent {
    const { proxies, certificateDirectories } = this.#settings()
    // As Go has it, this machine is never reached through a proxy.
    const isLocal = /^(localhost|127\.[0-9.]+|\[::1\])$/.test(url.hostname)
    const proxyEnv = { HTTP_PROXY: proxies.http, HTTPS_PROXY: proxies.https, NO_PROXY: proxies.none }
    const options = {
      keepAlive: true,
      maxFreeSockets: maxIdleConnections,
      timeout: connectTimeoutMs,
      ...(isLocal ? {} : { proxyEnv }),
    }
    if (url.protocol === 'http:') return new HttpAgent(options)
    const host = url.port === '' ? [url.hostname, `${url.hostname}:443`] : [url.host]
    const found = certificateDirectories.flatMap((directory) => host.map((name) => join(directory, name)))
    const own = ownCertificates(found)
    const ca = verify ? [...systemCertificates(), ...own.ca] : undefined
    return new HttpsAgent({ ...options, rejectUnauthorized: verify, ca, cert: own.cert, key: own.key })
  }
}

type OwnCertificates = { ca: string[]; cert: string[] | undefined; key: string[] | undefined }

/** `*.crt` are authorities, `*.cert` with `*.key` are the client's own (Docker's certs.d). */
function ownCertificates(directories: readonly string[]): OwnCertificates {
  const ca: string[] = []
  const cert: string[] = []
  const key: string[] = []
  for (const directory of directories) {
    for (const name of entriesOf(directory)) {
      const read = () => readFileSync(join(directory, name), 'utf8')
      if (name.endsWith('.crt')) ca.push(read())
      else if (name.endsWith('.cert')) cert.push(read())
      else if (name.endsWith('.key')) key.push(read())
    }
  }
  return { ca, cert: cert.length > 0 ? cert : undefined, key: key.length > 0 ? key : undefined }
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory).toSorted()
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return []
    throw error
  }
}

/** Where distributions keep the system's authorities (as Go's crypto/x509 looks for them). */
const systemFiles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
]

function systemCertificates(): readonly string[] {
  for (const path of systemFiles) {
    try {
      return [readFileSync(path, 'utf8')]
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
    }
  }
  return rootCertificates
}

async function sendBody(pieces: AsyncIterable<Uint8Array>, outgoing: ClientRequest): Promise<void> {
  try {
    await sendAll(pieces, outgoing)
  } catch (error) {
    outgoing.destroy(error instanceof Error ? error : new Error(String(error)))
    throw error
  }
}
