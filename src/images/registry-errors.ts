/** Failures of registries in Docker's words (distribution's `registry/client/errors.go` and `errcode`). */
import type { z } from 'zod'
import { EngineError, errorCode, errorMessage, type ErrorKind } from '../spec/errors.ts'
import { goList, goString, goStruct } from '../spec/go-json.ts'
import { parseChallenges } from './registry-challenge.ts'

/** An error that a registry answered; `code` is as in its JSON, `MANIFEST_UNKNOWN`. */
export class RegistryError extends EngineError {
  readonly code: string
  readonly status: number

  constructor(kind: ErrorKind, message: string, parts: { code: string; status: number }) {
    super(kind, message)
    this.code = parts.code
    this.status = parts.status
  }
}

/** The registry could not be talked to: another endpoint, or another attempt, may do. */
export class RegistryUnreachable extends EngineError {
  constructor(message: string, options?: ErrorOptions) {
    super('internal', message, options)
  }
}

const Envelope = goStruct({
  errors: goList(goStruct({ code: goString(), message: goString() })),
  details: goString(),
})

const defaultMessages: Readonly<Record<string, string>> = {
  UNAUTHORIZED: 'authentication required',
  DENIED: 'requested access to the resource is denied',
  TOOMANYREQUESTS: 'too many requests',
  UNSUPPORTED: 'The operation is unsupported.',
  UNAVAILABLE: 'service unavailable',
  MANIFEST_UNKNOWN: 'manifest unknown',
  NAME_UNKNOWN: 'repository name not known to registry',
  BLOB_UNKNOWN: 'blob unknown to registry',
}

const kinds: Readonly<Record<string, ErrorKind>> = {
  UNAUTHORIZED: 'unauthorized',
  DENIED: 'forbidden',
  MANIFEST_UNKNOWN: 'notFound',
  NAME_UNKNOWN: 'notFound',
  BLOB_UNKNOWN: 'notFound',
  NAME_INVALID: 'invalid',
  TAG_INVALID: 'invalid',
  MANIFEST_INVALID: 'invalid',
  TOOMANYREQUESTS: 'unavailable',
  UNAVAILABLE: 'unavailable',
}

/** The error of a code: `manifest unknown: manifest unknown`. */
function registryError(code: string, message: string, status: number): RegistryError {
  const words = code.toLowerCase().replaceAll('_', ' ')
  const said = message === '' ? (defaultMessages[code] ?? '') : message
  const text = said === '' ? words : `${words}: ${said}`
  return new RegistryError(kinds[code] ?? 'internal', text, { code, status })
}

/** The error that an answer of status 400 and above means. */
export function errorOfAnswer(answer: { status: number; challenge: string; body: string }): EngineError {
  const { status, challenge, body } = answer
  if (status >= 500 || status < 400) {
    return new RegistryError('internal', `received unexpected HTTP status: ${statusText(status)}`, {
      code: '',
      status,
    })
  }
  for (const { scheme, parameters } of parseChallenges(challenge)) {
    if (scheme !== 'bearer') continue
    const description = parameters.get('error_description') ?? ''
    if (parameters.get('error') === 'invalid_token') return registryError('UNAUTHORIZED', description, status)
    if (parameters.get('error') === 'insufficient_scope') return registryError('DENIED', description, status)
  }
  const parsed = parseEnvelope(body)
  const first = parsed?.errors?.[0]
  if (first !== undefined) return registryError(first.code, first.message, status)
  if (status === 401) return registryError('UNAUTHORIZED', parsed?.details ?? '', status)
  if (status === 429) return registryError('TOOMANYREQUESTS', parsed?.details ?? '', status)
  const excerpt = JSON.stringify(body.slice(0, 512))
  const why = body === '' ? 'unexpected end of JSON input' : 'no error details found in HTTP response body'
  return new RegistryError('internal', `error parsing HTTP ${status} response body: ${why}: ${excerpt}`, {
    code: '',
    status,
  })
}

function parseEnvelope(body: string): z.output<typeof Envelope> | undefined {
  try {
    return Envelope.parse(JSON.parse(body))
  } catch {
    return undefined
  }
}

function statusText(status: number): string {
  const names: Record<number, string> = {
    500: 'Internal Server Error',
    501: 'Not Implemented',
    502: 'Bad Gateway',
    503: 'Service Unavailable',
    504: 'Gateway Timeout',
  }
  return `${status} ${names[status] ?? ''}`.trim()
}

/** A failed connection in the words of Go's net/http. `address` is host and port. */
export function connectionError(error: unknown, method: string, url: URL): RegistryUnreachable {
  const verb = method[0] + method.slice(1).toLowerCase()
  return new RegistryUnreachable(`${verb} "${url.href}": ${reasonOf(error, url)}`, { cause: error })
}

const networkReasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ETIMEDOUT: 'connection timed out',
}

const untrusted = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_GET_ISSUER_CERT',
])

function reasonOf(error: unknown, url: URL): string {
  const inner = error instanceof AggregateError ? error.errors[0] : error
  const code = errorCode(inner) ?? errorCode(error) ?? ''
  if (code === 'EPROTO' || /^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)/.test(code)) {
    if (/wrong version number|packet length too long|http request/i.test(errorMessage(inner))) {
      return 'http: server gave HTTP response to HTTPS client'
    }
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    const why = code === 'ENOTFOUND' ? 'no such host' : 'Temporary failure in name resolution'
    return `dial tcp: lookup ${url.hostname}: ${why}`
  }
  const network = networkReasons[code]
  if (network !== undefined) return `dial tcp ${addressOf(inner, url)}: connect: ${network}`
  if (code === 'ECONNRESET' || code === 'HPE_INVALID_EOF_STATE') return 'EOF'
  const tls = 'tls: failed to verify certificate: x509: '
  if (untrusted.has(code)) return `${tls}certificate signed by unknown authority`
  if (code === 'CERT_HAS_EXPIRED') return `${tls}certificate has expired or is not yet valid`
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `${tls}certificate is not valid for ${url.hostname}`
  }
  return errorMessage(inner)
}

function addressOf(error: unknown, url: URL): string {
  const field = (name: string): string => {
    const value: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, name) : undefined
    return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
  }
  const address = field('address')
  if (address === '') return url.host
  return `${address.includes(':') ? `[${address}]` : address}:${field('port')}`
}
