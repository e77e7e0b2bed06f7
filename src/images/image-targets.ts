/**
 * What names stand for beyond one image: the manifest or the index that a registry has under them. An index holds
 * the images of all its platforms that are here, so that they stay although they have no names of their own.
 * Only memory; the rows are the image store's.
 */
import type { Digest } from '../spec/ids.ts'
import type { Platform } from '../spec/image-types.ts'
import { manifestsOf, type ImageRecord, type StoredManifest, type Target } from './image-record.ts'
import { platformRank } from './platform.ts'

/** See the file's head. Names are canonical texts. */
export class ImageTargets {
  readonly #targets = new Map<string, Target>()
  readonly #images = new Map<Digest, Digest>()

  get(name: string): Target | undefined {
    return this.#targets.get(name)
  }

  set(name: string, target: Target | undefined): void {
    if (target === undefined) this.#targets.delete(name)
    else this.#targets.set(name, target)
  }

  /** The image's manifests can be found from now on. */
  addImage(image: ImageRecord): void {
    for (const { manifest } of manifestsOf(image)) this.#images.set(manifest.digest, image.id)
  }

  removeImage(image: ImageRecord): void {
    for (const { manifest } of manifestsOf(image)) {
      if (this.#images.get(manifest.digest) === image.id) this.#images.delete(manifest.digest)
    }
  }

  /** The image that a manifest here is of. */
  imageOf(manifest: Digest): Digest | undefined {
    return this.#images.get(manifest)
  }

  /** Images of an index that are here, in its order; of a manifest none. */
  members(target: Target | undefined): Digest[] {
    const ids = (target?.index?.manifests ?? []).flatMap(({ digest }) => this.#images.get(digest) ?? [])
    return [...new Set(ids)]
  }

  /** Names that stand for the same index or manifest. */
  namesOf(id: Digest): string[] {
    return [...this.#targets].flatMap(([name, target]) => (target.descriptor.digest === id ? [name] : []))
  }

  /** Names of indexes that hold an image, in order. */
  namesHolding(id: Digest): string[] {
    return [...this.#targets]
      .flatMap(([name, target]) => (this.members(target).includes(id) ? [name] : []))
      .sort((a, b) => (a < b ? -1 : 1))
  }

  /** Images that an index holds. */
  held(): Set<Digest> {
    return new Set([...this.#distinct()].flatMap((target) => this.members(target)))
  }

  /** Digests of the documents that names need beside images. */
  documents(): Digest[] {
    return [...this.#distinct()].flatMap(documentsOf)
  }

  *#distinct(): Generator<Target> {
    const seen = new Set<Digest>()
    for (const target of this.#targets.values()) {
      if (target.index === undefined || seen.has(target.descriptor.digest)) continue
      seen.add(target.descriptor.digest)
      yield target
    }
  }
}

/** Digests of an index's own bytes, and of those inside it. */
export function documentsOf(target: Target): Digest[] {
  if (target.index === undefined) return []
  return [target.descriptor, ...target.index.nested].map(({ digest }) => digest)
}

/** The manifest of an image that a name stands for; its own where that is none of them. */
export function manifestFor(image: ImageRecord, target: Target | undefined): StoredManifest {
  const wanted = new Set((target?.index?.manifests ?? [target?.descriptor]).map((one) => one?.digest))
  const [own = { manifest: image.manifest, blobs: [] }, ...others] = manifestsOf(image)
  return [own, ...others].find(({ manifest }) => wanted.has(manifest.digest)) ?? own
}

/** The image with one more manifest from a registry. */
export function withManifest(
  known: ImageRecord,
  { manifest, layers, fromRegistry }: ImageRecord,
): ImageRecord {
  if (fromRegistry !== true) return known
  if (manifestsOf(known).some((one) => one.manifest.digest === manifest.digest)) {
    return known.manifest.digest === manifest.digest ? { ...known, fromRegistry } : known
  }
  const added: StoredManifest = { manifest, blobs: layers.map((layer) => layer.blob) }
  return { ...known, alternatives: [...(known.alternatives ?? []), added] }
}

/** Of some images the one that a machine of the platform runs best; undefined where it runs none. */
export function bestFor(platform: Platform, images: readonly ImageRecord[]): ImageRecord | undefined {
  return images
    .flatMap((image) => {
      const rank = platformRank(platform, image.platform)
      return rank === undefined ? [] : [{ image, rank }]
    })
    .sort((a, b) => a.rank - b.rank)[0]?.image
}

/** Digests of all blobs of an image. */
export function blobsOf(image: ImageRecord): Digest[] {
  const manifests = manifestsOf(image).flatMap(({ manifest, blobs }) => [manifest, ...blobs])
  return [image.id, ...manifests.map(({ digest }) => digest)]
}
