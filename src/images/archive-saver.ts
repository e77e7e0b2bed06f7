/**
 * `docker save`: a docker archive that is an OCI layout too, as Docker writes it since 25. Blobs go out as they are
 * kept, so that what is loaded elsewhere has the same digests; nothing is copied, and the same images give the same
 * bytes.
 */
import type { Blob, ContentStore } from '../content/content-store.ts'
import { tarHeader } from '../lib/tar-format.ts'
import { writeTar, type TarSource } from '../lib/tar-stream.ts'
import { EngineError } from '../spec/errors.ts'
import { digestOfHex, isDigest, type Digest } from '../spec/ids.ts'
import type { Descriptor, Platform } from '../spec/image-types.ts'
import { mediaTypes, type ImageRecord, type StoredManifest, type Target } from './image-record.ts'
import type { ImageStore } from './image-store.ts'
import { blobsOf, documentsOf, manifestFor } from './image-targets.ts'
import {
  canonicalText,
  familiarRepository,
  familiarText,
  parseReference,
  type Reference,
} from './reference.ts'

/** An image to save, with the names to save it under. */
export type Saved = {
  /** The image that readers find who know nothing of indexes. */
  image: ImageRecord
  tags: Reference[]
  /** The images that go out, each with the manifest it goes out under. */
  members: Member[]
  /** The index that goes out with them. */
  target: Target | undefined
}

type Member = { image: ImageRecord; stored: StoredManifest }

/** What saving stands on. */
export type SaveSources = { images: ImageStore; content: ContentStore }

/**
 * The images that the names mean: a bare repository means all its tags, an id an image without names. Without
 * platforms all those of an image go out that are here, with the index they belong to.
 */
export function findSaved(
  images: ImageStore,
  names: readonly string[],
  platforms: readonly Platform[],
): Saved[] {
  const saved = new Map<Digest, Saved>()
  for (const name of names) {
    for (const { text, tag } of findOne(images, name)) {
      for (const found of savedAs(images, text, platforms)) {
        const key = found.target?.descriptor.digest ?? found.image.id
        const entry = saved.get(key) ?? found
        saved.set(key, entry)
        const known = entry.tags.some(
          (other) => tag !== undefined && canonicalText(other) === canonicalText(tag),
        )
        if (tag !== undefined && !known) entry.tags.push(tag)
      }
    }
  }
  return [...saved.values()]
}

function savedAs(images: ImageStore, text: string, platforms: readonly Platform[]): Saved[] {
  if (platforms.length > 0) {
    return platforms.map((platform) => {
      const { image, target } = images.findFor(text, platform)
      return { image, tags: [], members: [{ image, stored: manifestFor(image, target) }], target: undefined }
    })
  }
  const { image, target } = images.findFor(text, undefined)
  const stored = manifestFor(image, target)
  const members = images.members(target).map((one) => ({ image: one, stored: manifestFor(one, target) }))
  if (members.length === 0) return [{ image, tags: [], members: [{ image, stored }], target: undefined }]
  return [{ image, tags: [], members, target }]
}

/** What a name given by the user means: names that can be found, and the tags to save them under. */
function findOne(images: ImageStore, name: string): { text: string; tag?: Reference }[] {
  if (isDigest(name) || digestOfHex(name) !== undefined) return [{ text: name }]
  const reference = parseReference(name)
  if (reference.tag === undefined && reference.digest === undefined) {
    const tags = [...images.allReferences().keys()]
      .map(parseTagged)
      .filter((tag) => tag !== undefined)
      .filter((tag) => tag.repository === reference.repository)
    if (tags.length === 0) return [{ text: knownId(images, name) }]
    return tags.map((tag) => ({ text: familiarText(tag), tag }))
  }
  try {
    images.find(name)
    return reference.digest === undefined ? [{ text: name, tag: reference }] : [{ text: name }]
  } catch (error) {
    if (!(error instanceof EngineError) || error.kind !== 'notFound') throw error
    throw new EngineError('notFound', 'reference does not exist', { cause: error })
  }
}

/** A name that is no repository's may still be the beginning of an id. */
function knownId(images: ImageStore, name: string): string {
  try {
    images.find(name)
    return name
  } catch (error) {
    if (!(error instanceof EngineError) || error.kind !== 'notFound') throw error
    throw new EngineError('notFound', `No such image: ${name}`, { cause: error })
  }
}

function parseTagged(text: string): Reference | undefined {
  return text.includes('@') ? undefined : parseReference(text)
}

/** The archive's bytes; a piece is valid until the next is asked for. The blobs are held until they end. */
export async function* saveImages(
  { images, content }: SaveSources,
  saved: readonly Saved[],
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const held = saved.flatMap(({ members, target }) => [
    ...members.flatMap(({ image }) => blobsOf(image)),
    ...(target === undefined ? [] : documentsOf(target)),
  ])
  using _lease = content.lease(held)
  for await (const piece of writeTar(entries({ images, content }, saved))) {
    signal.throwIfAborted()
    yield piece
  }
}

function* entries({ images, content }: SaveSources, saved: readonly Saved[]): Generator<TarSource> {
  yield directory('blobs/')
  const blobs = new Map<Digest, Blob>()
  for (const { members, target } of saved) {
    const index = target?.index === undefined ? [] : [target.descriptor, ...target.index.nested]
    for (const { digest, size } of index) blobs.set(digest, { digest, size })
    for (const { image, stored } of members) {
      const config = { digest: image.id, size: Buffer.byteLength(images.configText(image.id)) }
      for (const { digest, size } of [config, stored.manifest, ...stored.blobs])
        blobs.set(digest, { digest, size })
    }
  }
  const algorithms = new Set([...blobs.keys()].map((id) => id.slice(0, id.indexOf(':'))))
  for (const algorithm of [...algorithms].sort()) yield directory(`blobs/${algorithm}/`)
  for (const { digest, size } of [...blobs.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1))) {
    const header = tarHeader({ name: blobName(digest), type: 'file', size })
    yield { header, content: content.pieces(digest) }
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
  const manifests = saved.flatMap(({ image, members, target, tags }) => {
    const { mediaType, digest, size } = target?.descriptor ?? members[0]?.stored.manifest ?? image.manifest
    const descriptor = { mediaType, digest, size }
    const platform = target === undefined ? { platform: image.platform } : {}
    if (tags.length === 0) return [{ ...descriptor, ...platform }]
    return tags.map((tag) => ({
      ...descriptor,
      annotations: {
        'io.containerd.image.name': canonicalText(tag),
        'org.opencontainers.image.ref.name': tag.tag ?? '',
      },
      ...platform,
    }))
  })
  return { schemaVersion: 2, mediaType: mediaTypes.index, manifests }
}

function dockerEntry(saved: Saved): object {
  const { image, tags } = saved
  return {
    Config: blobName(image.id),
    RepoTags: tags.length === 0 ? null : tags.map(familiarText),
    Layers: layerBlobs(saved).map((blob) => blobName(blob.digest)),
  }
}

function layerBlobs({ image, members }: Saved): Descriptor[] {
  const stored = members.find((member) => member.image.id === image.id)?.stored
  return stored?.blobs ?? image.layers.map((layer) => layer.blob)
}

/** The file that clients before Docker 1.10 read. */
function repositoriesOf(saved: readonly Saved[]): Record<string, Record<string, string>> {
  const repositories: Record<string, Record<string, string>> = {}
  for (const one of saved) {
    const { tags } = one
    const top = layerBlobs(one).at(-1)?.digest
    if (top === undefined) continue
    for (const { repository, tag = 'latest' } of tags) {
      const name = familiarRepository(repository)
      repositories[name] = { ...repositories[name], [tag]: top.slice(top.indexOf(':') + 1) }
    }
  }
  return repositories
}
