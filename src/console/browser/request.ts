/** Requests to the server that the page came from. */

/** A request that the server refused, or that did not reach it (status 0). */
export class RequestError extends Error {
  readonly status: number

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'RequestError'
    this.status = status
  }
}

/** What a request is made of. */
export type RequestOptions = {
  method?: 'GET' | 'POST'
  headers?: Record<string, string>
  body?: unknown
  /** Takes the server's own words out of the body of a refusal. */
  messageOf?: (body: unknown) => string
  signal?: AbortSignal | undefined
}

/** Waits before a read that did not arrive is tried again. */
const retryDelaysMs = [100, 400, 1500]

/** Sends a request and reads the JSON of its answer. Throws RequestError, and AbortError when the signal says so. */
export async function requestJson(path: string, options: RequestOptions = {}): Promise<unknown> {
  const { method = 'GET', headers = {}, body, messageOf, signal } = options
  const init: RequestInit = {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  }
  const answer = await send(path, init, method === 'GET' ? retryDelaysMs : [])
  const value: unknown = await answer.json().catch(() => undefined)
  if (answer.ok) return value
  const message = messageOf?.(value) ?? ''
  throw new RequestError(answer.status, message === '' ? `The server answered ${answer.status}.` : message)
}

/** Sends it, and again after each delay while it does not arrive: browsers give up whatever is under way when an
 * interface comes or goes, and machines with containers have that happen all the time. */
async function send(path: string, init: RequestInit, delaysMs: readonly number[]): Promise<Response> {
  try {
    return await fetch(path, init)
  } catch (cause) {
    if (init.signal?.aborted === true) throw cause
    const [delayMs, ...rest] = delaysMs
    if (delayMs === undefined) throw new RequestError(0, 'The server cannot be reached.', { cause })
    await new Promise((resolve) => {
      setTimeout(resolve, delayMs)
    })
    return await send(path, init, rest)
  }
}
