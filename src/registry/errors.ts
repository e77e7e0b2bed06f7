/** The registry's errors: OCI codes, their HTTP status, and the JSON envelope that clients read. */
import { EngineError, errorCode, type ErrorKind } from '../spec/errors.ts'

// OCI distribution specification, "Error Codes": answers of 4xx have no others. The last two are the reference
// registry's, for 5xx.
const codes = {
  BLOB_UNKNOWN: { status: 404, kind: 'notFound', text: 'blob unknown to registry' },
  BLOB_UPLOAD_INVALID: { status: 400, kind: 'invalid', text: 'blob upload invalid' },
  BLOB_UPLOAD_UNKNOWN: { status: 404, kind: 'notFound', text: 'blob upload unknown to registry' },
  DIGEST_INVALID: { status: 400, kind: 'invalid', text: 'provided digest did not match uploaded content' },
  MANIFEST_BLOB_UNKNOWN: { status: 404, kind: 'notFound', text: 'blob unknown to registry' },
  MANIFEST_INVALID: { status: 400, kind: 'invalid', text: 'manifest invalid' },
  MANIFEST_UNKNOWN: { status: 404, kind: 'notFound', text: 'manifest unknown' },
  NAME_INVALID: { status: 400, kind: 'invalid', text: 'invalid repository name' },
  NAME_UNKNOWN: { status: 404, kind: 'notFound', text: 'repository name not known to registry' },
  SIZE_INVALID: { status: 400, kind: 'invalid', text: 'provided length did not match content length' },
  UNAUTHORIZED: { status: 401, kind: 'unauthorized', text: 'authentication required' },
  DENIED: { status: 403, kind: 'forbidden', text: 'requested access to the resource is denied' },
  UNSUPPORTED: { status: 405, kind: 'invalid', text: 'The operation is unsupported.' },
  TOOMANYREQUESTS: { status: 429, kind: 'unavailable', text: 'too many requests' },
  UNAVAILABLE: { status: 503, kind: 'unavailable', text: 'service unavailable' },
  UNKNOWN: { status: 500, kind: 'internal', text: 'unknown error' },
} as const satisfies Record<string, { status: number; kind: ErrorKind; text: string }>

/** One of the codes. */
export type RegistryErrorCode = keyof typeof codes

/** What an error may carry beside its code. */
export type RegistryErrorOptions = ErrorOptions & {
  message?: string
  detail?: unknown
  /** Where the code's own status does not fit. */
  status?: number
  headers?: Record<string, string | string[]>
}

/** A failure that the client is told about, with its OCI code. */
export class RegistryError extends EngineError {
  readonly code: RegistryErrorCode
  readonly status: number
  readonly detail: unknown
  readonly headers: Record<string, string | string[]>

  constructor(code: RegistryErrorCode, options: RegistryErrorOptions = {}) {
    super(codes[code].kind, options.message ?? codes[code].text, options)
    this.name = 'RegistryError'
    this.code = code
    this.status = options.status ?? codes[code].status
    this.detail = options.detail
    this.headers = options.headers ?? {}
  }

  /** The body that clients are sent. */
  get body(): string {
    return errorBody([this])
  }
}

/** Several things wrong with one request; the status is the first one's. */
export class RegistryErrors extends RegistryError {
  readonly errors: readonly RegistryError[]

  constructor(first: RegistryError, rest: readonly RegistryError[]) {
    super(first.code, { message: first.message, detail: first.detail, status: first.status })
    this.errors = [first, ...rest]
  }

  override get body(): string {
    return errorBody(this.errors)
  }
}

/** The answer to a client when the disk is full, whether a file or the index could not grow; undefined for other errors. */
export function noSpaceError(error: unknown): RegistryError | undefined {
  const isFull =
    errorCode(error) === 'ENOSPC' ||
    (error instanceof Error && 'errcode' in error && error.errcode === sqliteFull)
  if (!isFull) return undefined
  return new RegistryError('UNAVAILABLE', {
    message: 'no space left on the registry',
    cause: error,
    status: 507,
  })
}

// SQLITE_FULL.
const sqliteFull = 13

function errorBody(errors: readonly RegistryError[]): string {
  const list = errors.map(({ code, message, detail }) => ({
    code,
    message,
    ...(detail === undefined ? {} : { detail }),
  }))
  return `${JSON.stringify({ errors: list })}\n`
}
