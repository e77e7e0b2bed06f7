/** Endpoints of blobs: reading, ranges, deletion. */
import type { App } from './app.ts'
import type { BlobFetch } from './blob-fetch.ts'
import { RegistryError } from './errors.ts'
import type { Exchange } from './exchange.ts'
import { checkDelete, emit } from './handling.ts'
import { parseDigest } from './names.ts'
import type { ByteRange } from './storage-driver.ts'
import { blobPath } from './tree.ts'

/** The place of a blob. */
type BlobRoute = { repository: string; digest: string }

/** GET and HEAD of a blob. */
export async function getBlob(app: App, exchange: Exchange, route: BlobRoute): Promise<void> {
  const digest = parseDigest(route.digest)
  const fetch = await app.cache.fetchBlob(route.repository, digest)
  if (fetch !== undefined && !fetch.isStored) {
    if (exchange.request.method === 'GET' && exchange.header('range') === '') {
      await sendFetched(app, exchange, { repository: route.repository, fetch })
      return
    }
    await fetch.stored
  }
  const size = await app.repositories.blobSize(route.repository, digest)
  const etag = `"${digest}"`
  const headers = {
    'Docker-Content-Digest': digest,
    ETag: etag,
    'Cache-Control': 'max-age=31536000',
    'Accept-Ranges': 'bytes',
    'Content-Type': 'application/octet-stream',
  }
  if (matchesEtag(exchange.header('if-none-match'), etag)) {
    exchange.empty(304, headers)
    return
  }
  if (exchange.request.method === 'HEAD') {
    exchange.response.writeHead(200, { ...headers, 'Content-Length': String(size) }).end()
    return
  }
  const location = await app.driver.redirect?.(blobPath(digest))
  if (location !== undefined) {
    exchange.empty(307, { 'Docker-Content-Digest': digest, Location: location })
    return
  }
  // A range that the client wants of another version is the whole (RFC 9110, 13.1.5).
  const ifRange = exchange.header('if-range')
  const range = ifRange === '' || ifRange === etag ? parseRange(exchange.header('range'), size) : undefined
  // Opened before the answer begins: what is collected meanwhile is still read to its end.
  await using source = await app.repositories.openBlob(digest, range ?? { start: 0, end: size - 1 })
  emit(app, exchange, { action: 'pull', kind: 'blob', repository: route.repository, digest, size })
  const length = range === undefined ? size : range.end - range.start + 1
  exchange.response.writeHead(range === undefined ? 200 : 206, {
    ...headers,
    'Content-Length': String(length),
    ...(range === undefined ? {} : { 'Content-Range': `bytes ${range.start}-${range.end}/${size}` }),
  })
  try {
    await source.sendTo(exchange.response)
    exchange.response.end()
  } catch (error) {
    // A client that hung up is no failure of ours.
    if (!exchange.response.destroyed) throw error
  }
}

/** Sends a blob on while it comes from an upstream. */
async function sendFetched(
  app: App,
  exchange: Exchange,
  { repository, fetch }: { repository: string; fetch: BlobFetch },
): Promise<void> {
  const { digest, size } = fetch
  emit(app, exchange, { action: 'pull', kind: 'blob', repository, digest, size })
  exchange.response.writeHead(200, {
    'Docker-Content-Digest': digest,
    'Content-Type': 'application/octet-stream',
    'Content-Length': String(size),
  })
  try {
    await fetch.sendTo(exchange.response)
    exchange.response.end()
  } catch (error) {
    // A client that hung up is no failure of ours; the fetch goes on for the others.
    if (!exchange.response.destroyed) throw error
  }
}

/** DELETE of a blob. */
export async function deleteBlob(app: App, exchange: Exchange, route: BlobRoute): Promise<void> {
  checkDelete(app)
  const digest = parseDigest(route.digest)
  await app.repositories.deleteBlob(route.repository, digest)
  emit(app, exchange, { action: 'delete', kind: 'blob', repository: route.repository, digest })
  exchange.empty(202, { 'Docker-Content-Digest': digest })
}

/** Whether an If-None-Match header names the tag. */
export function matchesEtag(header: string, etag: string): boolean {
  if (header === '') return false
  return header.split(',').some((part) => {
    const wanted = part.trim().replace(/^W\//, '')
    return wanted === '*' || wanted === etag || `"${wanted}"` === etag
  })
}

/**
 * The one range that is asked for; undefined for the whole, which is also the answer to several ranges and to other
 * units. Throws UNSUPPORTED where nothing of it is in the blob.
 */
export function parseRange(header: string, size: number): ByteRange | undefined {
  const match = /^bytes=\s*(\d*)-(\d*)\s*$/.exec(header)
  if (match === null) return undefined
  const [, first = '', last = ''] = match
  if (first === '' && last === '') return undefined
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1)
  // A last byte before the first makes no range at all (RFC 9110, 14.1.2).
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined
  if (start > end) {
    throw new RegistryError('UNSUPPORTED', {
      message: 'the blob has no such range',
      status: 416,
      headers: { 'Content-Range': `bytes */${size}` },
    })
  }
  return { start, end }
}
