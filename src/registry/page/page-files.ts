/**
 * The files of the web page, as the set-up bundles them into `build/console/registry`. They are read and compressed
 * once, when somebody first asks. Their names carry a hash of what is in them, so browsers keep them for ever; the
 * page itself is asked for again with its tag.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import { errorCode } from '../../spec/errors.ts'
import { RegistryError } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import { matchesEtag } from '../handle-blobs.ts'

type PageFile = { type: string; etag: string; bodies: Record<'br' | 'gzip' | 'identity', Buffer> }

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** What a browser may do with the page: load its own files, talk to this registry, and nothing else. */
export const pageHeaders = {
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
}

const notBuilt = 'A Wharf registry. Its web page is not built here: tools/setup/build-console.sh does that.\n'

const compress = { br: promisify(brotliCompress), gzip: promisify(gzip) }

/** See the file's head. */
export class PageFiles {
  readonly #directory: string
  #files: Promise<ReadonlyMap<string, PageFile>> | undefined

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Answers with the page itself; where it was not built, with a word on that: people ask `/` whether we live. */
  async sendPage(exchange: Exchange): Promise<void> {
    const file = (await this.#all()).get('index.html')
    if (file === undefined)
      exchange.bytes(200, Buffer.from(notBuilt), { 'Content-Type': 'text/plain; charset=utf-8' })
    else send(exchange, file, 'no-cache')
  }

  /** Answers with a file that the page names. */
  async sendAsset(exchange: Exchange, name: string): Promise<void> {
    const file = name === 'index.html' ? undefined : (await this.#all()).get(name)
    if (file === undefined) throw new RegistryError('UNSUPPORTED', { message: 'page not found', status: 404 })
    send(exchange, file, 'public, max-age=31536000, immutable')
  }

  async #all(): Promise<ReadonlyMap<string, PageFile>> {
    this.#files ??= load(this.#directory)
    const files = await this.#files
    // Not built yet, perhaps: looked for again next time.
    if (files.size === 0) this.#files = undefined
    return files
  }
}

function send(exchange: Exchange, file: PageFile, cacheControl: string): void {
  const { method } = exchange.request
  if (method !== 'GET' && method !== 'HEAD')
    throw new RegistryError('UNSUPPORTED', { headers: { Allow: 'GET, HEAD' } })
  const accepted = exchange.header('accept-encoding')
  const encoding = /\bbr\b/.test(accepted) ? 'br' : /\bgzip\b/.test(accepted) ? 'gzip' : 'identity'
  const headers = {
    ...pageHeaders,
    'Content-Type': file.type,
    'Cache-Control': cacheControl,
    // One tag a body: a cache must not mix them up (RFC 9110, 8.8.3).
    ETag: `"${file.etag}-${encoding}"`,
    Vary: 'Accept-Encoding',
  }
  if (matchesEtag(exchange.header('if-none-match'), headers.ETag)) {
    exchange.response.writeHead(304, headers).end()
    return
  }
  const body = file.bodies[encoding]
  exchange.bytes(200, body, encoding === 'identity' ? headers : { ...headers, 'Content-Encoding': encoding })
}

async function load(directory: string): Promise<ReadonlyMap<string, PageFile>> {
  let names: string[]
  try {
    names = await readdir(directory)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return new Map()
    throw error
  }
  const known = names.filter((name) => types[extname(name)] !== undefined)
  return new Map(
    await Promise.all(known.map(async (name) => [name, await loadFile(directory, name)] as const)),
  )
}

async function loadFile(directory: string, name: string): Promise<PageFile> {
  const identity = await readFile(join(directory, name))
  const params = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY }
  const [br, gzip] = await Promise.all([
    compress.br(identity, { params }),
    compress.gzip(identity, { level: 9 }),
  ])
  return {
    type: types[extname(name)] ?? 'application/octet-stream',
    etag: createHash('sha256').update(identity).digest('base64url').slice(0, 22),
    bodies: { br, gzip, identity },
  }
}
