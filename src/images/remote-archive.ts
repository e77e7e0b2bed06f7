/** `docker import http://...`: an archive that a web server has, as moby's builder/remotecontext fetches it. */
import { STATUS_CODES, type IncomingMessage } from 'node:http'
import { EngineError, type ErrorKind } from '../spec/errors.ts'
import type { Report } from './pull-progress.ts'
import { readAnswer } from './registry-client.ts'

/** Sends a request for an address, through a proxy where one is configured. */
export type Get = (url: URL, signal: AbortSignal) => Promise<IncomingMessage>

const maxRedirects = 10
const maxErrorBytes = 64 * 1024
const reportEveryMs = 100
const kinds: Readonly<Record<number, ErrorKind>> = {
  400: 'invalid',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'notFound',
}

/** The archive at an address; without a scheme it is one of HTTP. Throws with the server's answer. */
export async function remoteArchive(
  get: Get,
  source: string,
  { report, signal }: { report: Report; signal: AbortSignal },
): Promise<AsyncIterable<Uint8Array>> {
  const url = addressOf(source)
  const answer = await follow(get, url, signal)
  const status = answer.statusCode ?? 0
  if (status >= 400) {
    const body = (await readAnswer(answer, maxErrorBytes)).toString('utf8').trim()
    const words = `${status} ${STATUS_CODES[status] ?? ''}`.trim()
    throw new EngineError(
      kinds[status] ?? 'internal',
      `failed to GET ${shownAddress(url)} with status ${words}: ${body}`,
    )
  }
  report({ status: `Downloading from ${shownAddress(url)}` })
  return counted(answer, report)
}

/** An address as it may be shown: without the password in it. */
function shownAddress(url: URL): string {
  if (url.password === '') return url.href
  const shown = new URL(url)
  shown.password = 'xxxxx'
  return shown.href
}

/** What the image says of where it came from. */
export function importComment(source: string): string {
  return `Imported from ${source === '-' || !source.includes('@') ? source : shownAddress(addressOf(source))}`
}

function addressOf(source: string): URL {
  const text = source.includes('://') ? source : `http://${source}`
  if (!URL.canParse(text)) throw new EngineError('invalid', `parse ${JSON.stringify(text)}: invalid URL`)
  const url = new URL(text)
  if (url.protocol === 'http:' || url.protocol === 'https:') return url
  const scheme = url.protocol.slice(0, -1)
  throw new EngineError('internal', `Get ${JSON.stringify(text)}: unsupported protocol scheme "${scheme}"`)
}

/** Credentials are part of an address: they go nowhere else than where they were given for. */
async function follow(get: Get, from: URL, signal: AbortSignal): Promise<IncomingMessage> {
  let url = from
  for (let redirects = 0; ; redirects++) {
    const answer = await get(url, signal)
    const { location } = answer.headers
    if (![301, 302, 303, 307, 308].includes(answer.statusCode ?? 0) || location === undefined) return answer
    answer.destroy()
    if (redirects >= maxRedirects) {
      throw new EngineError('internal', `Get ${JSON.stringify(location)}: stopped after 10 redirects`)
    }
    url = addressOf(new URL(location, url).href)
  }
}

async function* counted(answer: IncomingMessage, report: Report): AsyncGenerator<Uint8Array, void, void> {
  const total = Number(answer.headers['content-length'] ?? -1)
  let current = 0
  let reportedMs = 0
  const say = () =>
    report({ status: 'Importing', progressDetail: { current, total: Math.max(total, 0) }, id: '' })
  for await (const chunk of answer) {
    if (!Buffer.isBuffer(chunk)) continue
    current += chunk.length
    yield chunk
    const now = Date.now()
    if (now - reportedMs < reportEveryMs) continue
    reportedMs = now
    say()
  }
  if (total >= 0 && current !== total) throw new EngineError('internal', 'unexpected EOF')
  say()
}
