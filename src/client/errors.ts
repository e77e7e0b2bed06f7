/** What an Engine API client throws. */

/** The engine refused: its message, and the HTTP status. */
export class ApiError extends Error {
  readonly status: number
  constructor(message: string, status: number) {
    super(message)
    this.status = status
  }
}

/** No engine could be reached. The message names the address, in Docker's words. */
export class ConnectionError extends Error {
  /** The socket is not there, or nobody listens on it. */
  readonly absent: boolean
  constructor(message: string, options: { absent?: boolean; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.absent = options.absent ?? false
  }
}
