/** Endpoints of uploads: start, mount, pieces, end, status, cancel. */
import type { App } from './app.ts'
import { RegistryError } from './errors.ts'
import type { Exchange } from './exchange.ts'
import { emit, locationOf } from './handling.ts'
import { algorithmOf, isRepositoryName, parseAlgorithm, parseDigest } from './names.ts'
import type { Digest } from '../spec/ids.ts'
import { rangeHeader, type Piece } from './uploads.ts'

type UploadsRoute = { repository: string }
type UploadRoute = { repository: string; id: string }

/** POST: starts an upload, mounts a blob, or takes a blob whole. */
export async function startUpload(app: App, exchange: Exchange, route: UploadsRoute): Promise<void> {
  const { query } = exchange
  const { repository } = route
  if (query.has('mount') && (await mount(app, exchange, repository))) return
  if (query.has('digest')) {
    await wholeUpload(app, exchange, { repository, digest: parseDigest(query.get('digest')) })
    return
  }
  const id = app.uploads.create(repository, parseAlgorithm(query.get('digest-algorithm')))
  const { minChunkBytes } = app.settings()
  answerProgress(app, exchange, {
    status: 202,
    route: { repository, id },
    size: 0,
    headers: minChunkBytes > 0 ? { 'OCI-Chunk-Min-Length': String(minChunkBytes) } : {},
  })
}

/** PATCH: appends a piece. */
export async function appendUpload(app: App, exchange: Exchange, route: UploadRoute): Promise<void> {
  const size = await app.uploads.append(route.repository, route.id, pieceOf(exchange))
  answerProgress(app, exchange, { status: 202, route, size })
}

/** PUT: appends the last piece, if there is one, and ends the upload. */
export async function finishUpload(app: App, exchange: Exchange, route: UploadRoute): Promise<void> {
  const digest = parseDigest(exchange.query.get('digest'))
  await finish(app, exchange, { ...route, digest })
}

/** GET: how far the upload has come. */
export async function uploadStatus(app: App, exchange: Exchange, route: UploadRoute): Promise<void> {
  const size = await app.uploads.size(route.repository, route.id)
  answerProgress(app, exchange, { status: 204, route, size })
}

/** DELETE: forgets the upload. */
export async function cancelUpload(app: App, exchange: Exchange, route: UploadRoute): Promise<void> {
  await app.uploads.cancel(route.repository, route.id)
  exchange.empty(204)
}

async function mount(app: App, exchange: Exchange, repository: string): Promise<boolean> {
  const digest = parseDigest(exchange.query.get('mount'))
  const from = exchange.query.get('from') ?? undefined
  if (from !== undefined && !isRepositoryName(from)) throw new RegistryError('NAME_INVALID')
  const mayRead = (name: string) => exchange.caller.may('pull', name)
  const size = await app.repositories.mount(repository, digest, { from, mayRead })
  if (size === undefined) return false
  emit(app, exchange, {
    action: 'mount',
    kind: 'blob',
    repository,
    digest,
    size,
    ...(from === undefined ? {} : { from }),
  })
  answerBlob(app, exchange, { repository, digest })
  return true
}

async function wholeUpload(
  app: App,
  exchange: Exchange,
  target: { repository: string; digest: Digest },
): Promise<void> {
  const id = app.uploads.create(target.repository, algorithmOf(target.digest))
  try {
    await finish(app, exchange, { ...target, id })
  } catch (error) {
    // Nobody was told the session's name, so nobody can go on with it.
    await app.uploads.cancel(target.repository, id).catch(() => {})
    throw error
  }
}

async function finish(app: App, exchange: Exchange, target: UploadRoute & { digest: Digest }): Promise<void> {
  const { repository, id, digest } = target
  const piece = exchange.hasBody ? pieceOf(exchange) : undefined
  const size = await app.uploads.finish(
    repository,
    id,
    { digest, ...(piece === undefined ? {} : { piece }) },
    async (finished) => {
      await app.repositories.addBlob(repository, digest, finished)
      return finished.size
    },
  )
  emit(app, exchange, { action: 'push', kind: 'blob', repository, digest, size })
  answerBlob(app, exchange, { repository, digest })
}

function answerBlob(app: App, exchange: Exchange, blob: { repository: string; digest: Digest }): void {
  exchange.empty(201, {
    Location: locationOf(app, exchange, `/v2/${blob.repository}/blobs/${blob.digest}`),
    'Docker-Content-Digest': blob.digest,
  })
}

function answerProgress(
  app: App,
  exchange: Exchange,
  answer: { status: number; route: UploadRoute; size: number; headers?: Record<string, string> },
): void {
  const { status, route, size, headers = {} } = answer
  exchange.empty(status, {
    Location: locationOf(app, exchange, `/v2/${route.repository}/blobs/uploads/${route.id}`),
    Range: rangeHeader(size),
    'Docker-Upload-UUID': route.id,
    ...headers,
  })
}

function pieceOf(exchange: Exchange): Piece {
  const length = exchange.contentLength
  const text = exchange.header('content-range')
  if (text === '') return { body: exchange.request, ...(length === undefined ? {} : { length }) }
  // The specification's form is `0-99`; some clients send that of RFC 9110, `bytes 0-99/*`.
  const match = /^(?:bytes\s+)?(\d+)-(\d+)(?:\/(?:\*|\d+))?$/.exec(text)
  if (match === null) {
    throw new RegistryError('BLOB_UPLOAD_INVALID', { message: 'invalid content range', status: 416 })
  }
  const start = Number(match[1])
  const wanted = Number(match[2]) - start + 1
  if (wanted < 0 || (length !== undefined && length !== wanted)) {
    throw new RegistryError('SIZE_INVALID', { detail: { 'Content-Range': text, 'Content-Length': length } })
  }
  return { body: exchange.request, start, length: wanted }
}
