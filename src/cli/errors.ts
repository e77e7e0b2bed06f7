/** How a command ends other than well: a message for stderr and an exit code. */
import { ApiError, ConnectionError } from '../client/errors.ts'
import { fileErrorMessage } from '../lib/file-error.ts'
import { OutputClosed } from './output.ts'

/** Printed as it is (if not empty), then the process ends with `code`. */
export class CliError extends Error {
  readonly code: number
  constructor(message: string, options: { code?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.code = options.code ?? 1
  }
}

/** A command line that makes no sense; the command's usage hint follows it. */
export class UsageError extends CliError {
  constructor(message: string, code = 125) {
    super(message, { code })
  }
}

/** `docker: MESSAGE` and a pointer to `--help`: how run and create end when the container cannot be had. */
export class RunError extends CliError {}

/** The line for stderr, and the exit code, of whatever a command threw. */
export function failureOf(error: unknown): { message: string; code: number } {
  if (error instanceof CliError) return { message: error.message, code: error.code }
  if (error instanceof ApiError) return { message: `Error response from daemon: ${error.message}`, code: 1 }
  if (error instanceof ConnectionError) return { message: error.message, code: 1 }
  if (error instanceof OutputClosed) return { message: '', code: 141 }
  return { message: fileErrorMessage(error), code: 1 }
}

/** Whether a command failed because no engine could be reached. */
export function failsToConnect(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof ConnectionError) return true
  }
  return false
}
