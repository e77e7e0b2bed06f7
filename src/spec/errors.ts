/**
 * The one error hierarchy. Code throws an `EngineError` of a kind where the fact is known; the daemon maps the
 * kind to an HTTP status, the CLI to an exit code, the registry to an OCI error code.
 */

/** Error kinds and the HTTP status that the Engine API answers for each. */
export const errorKinds = {
  notModified: 304,
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  notFound: 404,
  conflict: 409,
  tooLarge: 413,
  internal: 500,
  notImplemented: 501,
  unavailable: 503,
} as const

/** One of the keys of `errorKinds`. */
export type ErrorKind = keyof typeof errorKinds

/** A failure whose kind and text a client may rely on. The message is Docker's where Docker has one. */
export class EngineError extends Error {
  readonly kind: ErrorKind

  constructor(kind: ErrorKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'EngineError'
    this.kind = kind
  }
}

/** The code of a system error (`ENOENT`), or undefined for anything else. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** What failed first, where the undoing of it failed as well. */
export function firstError(error: unknown): unknown {
  return error instanceof SuppressedError ? firstError(error.suppressed) : error
}

/** The message of whatever was thrown. */
export function errorMessage(error: unknown): string {
  const first = firstError(error)
  return first instanceof Error ? first.message : String(first)
}
