/** Endpoints of manifests and referrers. */
import type { Digest } from '../spec/ids.ts'
import { textColumn, type Row } from '../store/database.ts'
import type { App } from './app.ts'
import { RegistryError } from './errors.ts'
import { nextLink, type Exchange } from './exchange.ts'
import { matchesEtag } from './handle-blobs.ts'
import { checkDelete, emit, emitDeletion, locationOf } from './handling.ts'
import { defaultPlatform, isIndexType, mediaTypes } from './manifest.ts'
import { isTag, parseDigest, parseReference, type Reference } from './names.ts'
import type { ManifestRow } from './registry-index.ts'

type ManifestRoute = { repository: string; reference: string }

/** The most tags in one push. */
const mostTags = 100
/** Bytes of descriptors in one page of referrers: an index must not outgrow what clients read. */
const referrersPageBytes = 3 * 1024 * 1024
const referrersPage = 1000

/** GET and HEAD of a manifest. */
export async function getManifest(app: App, exchange: Exchange, route: ManifestRoute): Promise<void> {
  const { repository } = route
  const reference = parseReference(route.reference)
  await app.cache.prepareManifest(repository, reference)
  const found = await acceptable(app, exchange, { repository, reference })
  const { digest, mediaType, size } = found
  const etag = `"${digest}"`
  const headers = { 'Docker-Content-Digest': digest, ETag: etag, 'Content-Type': mediaType }
  if (matchesEtag(exchange.header('if-none-match'), etag)) {
    exchange.empty(304, headers)
    return
  }
  if (exchange.request.method === 'HEAD') {
    exchange.response.writeHead(200, { ...headers, 'Content-Length': String(size) }).end()
    return
  }
  emit(app, exchange, {
    action: 'pull',
    kind: 'manifest',
    repository,
    digest,
    mediaType,
    size,
    ...tagOf(reference),
  })
  exchange.bytes(200, app.repositories.content(digest), headers)
}

/** PUT of a manifest. */
export async function putManifest(app: App, exchange: Exchange, route: ManifestRoute): Promise<void> {
  const { repository } = route
  const reference = parseReference(route.reference)
  const extraTags = exchange.query.getAll('tag')
  if (extraTags.length > mostTags) {
    throw new RegistryError('MANIFEST_INVALID', { message: 'too many tags in one request', status: 414 })
  }
  const bad = extraTags.find((tag) => !isTag(tag))
  if (bad !== undefined)
    throw new RegistryError('MANIFEST_INVALID', { message: 'invalid tag name', detail: { tag: bad } })
  const limit = app.settings().maxManifestBytes
  const content = await exchange.body(
    limit,
    () =>
      new RegistryError('MANIFEST_INVALID', {
        message: `manifest is larger than ${limit} bytes`,
        status: 413,
      }),
  )
  const contentType = exchange.header('content-type')
  const tags = 'tag' in reference ? [] : extraTags
  const stored = await app.repositories.putManifest({ repository, content, contentType, reference, tags })
  const { digest, mediaType, subject } = stored
  for (const tag of stored.tags.length > 0 ? stored.tags : [undefined]) {
    emit(app, exchange, {
      action: 'push',
      kind: 'manifest',
      repository,
      digest,
      mediaType,
      size: content.length,
      ...(tag === undefined ? {} : { tag }),
    })
  }
  exchange.empty(201, {
    Location: locationOf(app, exchange, `/v2/${repository}/manifests/${digest}`),
    'Docker-Content-Digest': digest,
    ...(subject === undefined ? {} : { 'OCI-Subject': subject }),
    ...(tags.length === 0 ? {} : { 'OCI-Tag': stored.tags.join(', ') }),
  })
}

/** DELETE of a tag or a manifest. */
export async function deleteManifest(app: App, exchange: Exchange, route: ManifestRoute): Promise<void> {
  checkDelete(app)
  const { repository } = route
  const reference = parseReference(route.reference)
  const { tags } = await app.repositories.deleteManifest(repository, reference)
  emitDeletion(app, exchange, { repository, reference, tags })
  exchange.empty(202)
}

/** GET of the manifests that have a manifest as their subject. */
export function getReferrers(
  app: App,
  exchange: Exchange,
  route: { repository: string; digest: string },
): void {
  const subject = parseDigest(route.digest)
  const type = exchange.query.get('artifactType') ?? undefined
  const last = exchange.query.get('last') ?? ''
  const id = app.index.repositoryId(route.repository)
  const page = { last, limit: referrersPage + 1, ...(type === undefined ? {} : { type }) }
  const rows = id === undefined ? [] : app.index.referrers(id, subject, page)
  const { manifests, more } = fitPage(rows)
  const lastShown = manifests.at(-1)?.digest
  const next = { last: lastShown ?? '', ...(type === undefined ? {} : { artifactType: type }) }
  exchange.json(
    { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests },
    {
      'Content-Type': mediaTypes.ociIndex,
      ...(type === undefined ? {} : { 'OCI-Filters-Applied': 'artifactType' }),
      ...(more ? nextLink(`/v2/${route.repository}/referrers/${subject}`, next) : {}),
    },
  )
}

function fitPage(rows: readonly Row[]) {
  let bytes = 0
  const manifests = []
  for (const row of rows.slice(0, referrersPage)) {
    const annotations = textColumn(row, 'annotations')
    bytes += annotations.length + 400
    if (bytes > referrersPageBytes && manifests.length > 0) break
    const artifactType = textColumn(row, 'artifact_type')
    const parsed: unknown = annotations === '' ? undefined : JSON.parse(annotations)
    manifests.push({
      mediaType: textColumn(row, 'media_type'),
      size: Number(row['size']),
      digest: textColumn(row, 'digest'),
      ...(artifactType === '' ? {} : { artifactType }),
      ...(parsed === undefined ? {} : { annotations: parsed }),
    })
  }
  return { manifests, more: rows.length > manifests.length }
}

/** The manifest, or of an index the one that a client which knows no indexes can use. */
async function acceptable(
  app: App,
  exchange: Exchange,
  wanted: { repository: string; reference: Reference },
): Promise<ManifestRow> {
  const found = app.repositories.manifest(wanted.repository, wanted.reference)
  if ('digest' in wanted.reference || !isIndexType(found.mediaType)) return found
  const accept = exchange.header('accept')
  if (accept === '' || accept.includes('*/*') || accept.includes(found.mediaType)) return found
  if (!accept.includes(mediaTypes.dockerManifest) && !accept.includes(mediaTypes.ociManifest)) return found
  const child: Digest | undefined = defaultPlatform(app.repositories.content(found.digest))
  if (child === undefined) return found
  await app.cache.prepareManifest(wanted.repository, { digest: child })
  const image = app.repositories.manifest(wanted.repository, { digest: child })
  return accept.includes(image.mediaType) ? image : found
}

function tagOf(reference: Reference): { tag?: string } {
  return 'tag' in reference ? { tag: reference.tag } : {}
}
