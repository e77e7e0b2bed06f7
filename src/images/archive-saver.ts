/**
 * `docker save`: a docker archive that is an OCI layout too, as Docker writes it since 25. Blobs go out as they are
 * kept, so that what is loaded elsewhere has the same digests; nothing is copied, and the same images give the same
 * bytes.
 */
import { Readable } from 'node:stream'
import type { Blob, ContentStore } from '../content/content-store.ts'
import { tarHeader } from '../lib/tar-format.ts'
import { writeTar, type TarSource } from '../lib/tar-stream.ts'
import { EngineError } from '../spec/errors.ts'
import type { Digest } from '../spec/ids.ts'
import type { Platform } from '../spec/image-types.ts'
import { mediaTypes, type ImageRecord } from './image-record.ts'
import { blobsOf, type ImageStore } from './image-store.ts'
import { platformRank, platformText } from './platform.ts'
import {
  canonicalText,
  familiarRepository,
  familiarText,
  parseReference,
  type Reference,
} from './reference.ts'

/** An image to save, with the names to save it under. */
export type Saved = { image: ImageRecord; tags: Reference[] }

/** What saving stands on. */
export type SaveSources = { images: ImageStore; content: ContentStore }

/** The images that the names mean: a bare repository means all its tags, an id an image without names. */
export function findSaved(
  images: ImageStore,
  names: readonly string[],
  platforms: readonly Platform[],
): Saved[] {
  const saved = new Map<Digest, Saved>()
  const add = (image: ImageRecord, tag?: Reference) => {
    const entry = saved.get(image.id) ?? { image, tags: [] }
    saved.set(image.id, entry)
    const known = entry.tags.some((other) => tag !== undefined && canonicalText(other) === canonicalText(tag))
    if (tag !== undefined && !known) entry.tags.push(tag)
  }
  for (const name of names) for (const { image, tag } of findOne(images, name)) add(image, tag)
  for (const { image } of saved.values()) checkPlatform(image, platforms)
  return [...saved.values()]
}

function findOne(images: ImageStore, name: string): { image: ImageRecord; tag?: Reference }[] {
  if (/^(sha256:)?[0-9a-f]{64}$/.test(name)) return [{ image: images.find(name).image }]
  const reference = parseReference(name)
  if (reference.tag === undefined && reference.digest === undefined) {
    const tags = [...images.allReferences()]
      .map(([text, id]) => ({ tag: parseTagged(text), image: images.get(id) }))
      .filter(({ tag }) => tag?.repository === reference.repository)
      .flatMap(({ tag, image }) => (tag === undefined || image === undefined ? [] : [{ tag, image }]))
    return tags.length > 0 ? tags : [{ image: images.find(name).image }]
  }
  try {
    const { image } = images.find(name)
    return reference.digest === undefined ? [{ image, tag: reference }] : [{ image }]
  } catch (error) {
    if (!(error instanceof EngineError) || error.kind !== 'notFound') throw error
    throw new EngineError('notFound', 'reference does not exist', { cause: error })
  }
}

function parseTagged(text: string): Reference | undefined {
  return text.includes('@') ? undefined : parseReference(text)
}

function checkPlatform(image: ImageRecord, platforms: readonly Platform[]): void {
  const matches = platforms.some((platform) => platformRank(platform, image.platform) !== undefined)
  const [wanted] = platforms
  if (matches || wanted === undefined) return
  throw new EngineError(
    'notFound',
    `image ${image.id} is for platform ${platformText(image.platform)}, not ${platformText(wanted)}`,
  )
}

/** The archive as a stream. The blobs are held until it ends. */
export function saveImages(sources: SaveSources, saved: readonly Saved[], signal: AbortSignal): Readable {
  return Readable.from(archiveBytes(sources, saved), { objectMode: false, signal })
}

async function* archiveBytes(
  { images, content }: SaveSources,
  saved: readonly Saved[],
): AsyncGenerator<Uint8Array, void, void> {
  using _lease = content.lease(saved.flatMap(({ image }) => blobsOf(image)))
  yield* writeTar(entries({ images, content }, saved))
}

function* entries({ images, content }: SaveSources, saved: readonly Saved[]): Generator<TarSource> {
  yield directory('blobs/')
  const blobs = new Map<Digest, Blob>()
  for (const { image } of saved) {
    const config = { digest: image.id, size: Buffer.byteLength(images.configText(image.id)) }
    for (const blob of [config, image.manifest, ...image.layers.map((layer) => layer.blob)]) {
      blobs.set(blob.digest, { digest: blob.digest, size: blob.size })
    }
  }
  const algorithms = new Set([...blobs.keys()].map((id) => id.slice(0, id.indexOf(':'))))
  for (const algorithm of [...algorithms].sort()) yield directory(`blobs/${algorithm}/`)
  for (const { digest, size } of [...blobs.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1))) {
    const header = tarHeader({ name: blobName(digest), type: 'file', size })
    yield { header, content: content.stream(digest) }
  }
  yield document('index.json', indexOf(saved))
  yield document('manifest.json', saved.map(dockerEntry))
  yield document('oci-layout', { imageLayoutVersion: '1.0.0' })
  const repositories = repositoriesOf(saved)
  if (Object.keys(repositories).length > 0) yield document('repositories', repositories)
}

function directory(name: string): TarSource {
  return { header: tarHeader({ name, type: 'directory' }) }
}

function document(name: string, value: unknown): TarSource {
  const data = Buffer.from(JSON.stringify(value))
  return { header: tarHeader({ name, type: 'file', size: data.length }), content: [data] }
}

function blobName(id: Digest): string {
  return `blobs/${id.replace(':', '/')}`
}

function indexOf(saved: readonly Saved[]): object {
  const manifests = saved.flatMap(({ image, tags }) => {
    const { mediaType, digest, size } = image.manifest
    const descriptor = { mediaType, digest, size }
    const { platform } = image
    if (tags.length === 0) return [{ ...descriptor, platform }]
    return tags.map((tag) => ({
      ...descriptor,
      annotations: {
        'io.containerd.image.name': canonicalText(tag),
        'org.opencontainers.image.ref.name': tag.tag ?? '',
      },
      platform,
    }))
  })
  return { schemaVersion: 2, mediaType: mediaTypes.index, manifests }
}

function dockerEntry({ image, tags }: Saved): object {
  return {
    Config: blobName(image.id),
    RepoTags: tags.length === 0 ? null : tags.map(familiarText),
    Layers: image.layers.map((layer) => blobName(layer.blob.digest)),
  }
}

/** The file that clients before Docker 1.10 read. */
function repositoriesOf(saved: readonly Saved[]): Record<string, Record<string, string>> {
  const repositories: Record<string, Record<string, string>> = {}
  for (const { image, tags } of saved) {
    const top = image.layers.at(-1)?.blob.digest
    if (top === undefined) continue
    for (const { repository, tag = 'latest' } of tags) {
      const name = familiarRepository(repository)
      repositories[name] = { ...repositories[name], [tag]: top.slice(top.indexOf(':') + 1) }
    }
  }
  return repositories
}
