/**
 * Images and their names. An image is its configuration: the id is the configuration's digest, its exact bytes are
 * kept, and so are those of its manifest and layer blobs. Records without the configuration's text are held in
 * memory, so that listing a thousand images reads nothing; the text is read from the row when one is looked into.
 * Every change is one transaction of rows, after the files are there.
 */
import type { ContentStore, Blob } from '../content/content-store.ts'
import type { Layer, LayerStore, LayerUsers } from '../layers/layer-store.ts'
import { formatTimeNs, type Clock } from '../lib/clock.ts'
import { EngineError } from '../spec/errors.ts'
import { isDigest, type ChainId, type Digest } from '../spec/ids.ts'
import type { Platform, ResolvedImage } from '../spec/image-types.ts'
import { textColumn, type Database } from '../store/database.ts'
import { parkedValues } from '../store/parked-rows.ts'
import { containerConfigOf, ImageConfig, parseJson, type ImageRecord } from './image-record.ts'
import { platformRank, platformText } from './platform.ts'
import {
  canonicalText,
  familiarText,
  parseCanonical,
  parseReference,
  withDefaultTag,
  type Reference,
} from './reference.ts'

/** What the store stands on. */
export type ImageStoreOptions = {
  database: Database
  content: ContentStore
  layers: LayerStore
  clock: Clock
}

/** An image to be inserted, with what its transaction brings. */
export type NewImage = {
  record: ImageRecord
  /** The configuration's exact text. */
  config: string
  blobs: readonly Blob[]
  layers: readonly Layer[]
  /** Names it gets; they are taken from whatever has them. */
  references: readonly Reference[]
}

const maxCached = 32

/** See the file's head. Call `load` before anything else. */
export class ImageStore implements LayerUsers {
  readonly #options: ImageStoreOptions
  readonly #images = new Map<Digest, ImageRecord>()
  /** Images that other storage drivers have. */
  #parked: ImageRecord[] = []
  /** Canonical reference to image id. */
  readonly #references = new Map<string, Digest>()
  readonly #configs = new Map<Digest, ImageConfig>()

  constructor(options: ImageStoreOptions) {
    this.#options = options
    options.layers.addUsers(this)
  }

  /** Reads all records. */
  load(): void {
    for (const row of this.#options.database.all('SELECT record FROM images')) {
      const image = imageOf(textColumn(row, 'record'))
      this.#images.set(image.id, image)
    }
    this.#parked = parkedValues(this.#options.database, 'images', 'record').map(imageOf)
    for (const row of this.#options.database.all('SELECT reference, image_id FROM image_references')) {
      const id = textColumn(row, 'image_id')
      if (isDigest(id)) this.#references.set(textColumn(row, 'reference'), id)
    }
  }

  /** See `LayerUsers`. */
  layersInUse(): Iterable<ChainId> {
    return [...this.#images.values()]
      .map((image) => image.layers.at(-1)?.chainId)
      .filter((id) => id !== undefined)
  }

  /** Whether an image needs a blob, also one that waits for its storage driver to come back. */
  needsBlob(): (id: Digest) => boolean {
    const needed = new Set([...this.#images.values(), ...this.#parked].flatMap(blobsOf))
    return (id) => needed.has(id)
  }

  all(): ImageRecord[] {
    return [...this.#images.values()]
  }

  get(id: Digest): ImageRecord | undefined {
    return this.#images.get(id)
  }

  /** Images committed or built from this one. */
  childrenOf(id: Digest): ImageRecord[] {
    return [...this.#images.values()].filter((image) => image.parent === id)
  }

  /** Names of an image, canonical, in order. */
  referencesOf(id: Digest): Reference[] {
    const texts: string[] = []
    for (const [text, imageId] of this.#references) if (imageId === id) texts.push(text)
    return texts.sort((a, b) => (a < b ? -1 : 1)).map(parseCanonical)
  }

  /** All names with their images, canonical. */
  allReferences(): ReadonlyMap<string, Digest> {
    return this.#references
  }

  /** The configuration of an image. */
  config(id: Digest): ImageConfig {
    const cached = this.#configs.get(id)
    if (cached !== undefined) return cached
    const config = parseJson(ImageConfig, this.configText(id), 'image configuration')
    this.#configs.set(id, config)
    const [oldest] = this.#configs.keys()
    if (this.#configs.size > maxCached && oldest !== undefined) this.#configs.delete(oldest)
    return config
  }

  /** The configuration's exact text. Throws notFound. */
  configText(id: Digest): string {
    const row = this.#options.database.get('SELECT record FROM images WHERE id = ?', id)
    if (row === undefined) throw new EngineError('notFound', `No such image: ${id}`)
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by this class
    return (JSON.parse(textColumn(row, 'record')) as { config: string }).config
  }

  /** Finds an image by name, id or id prefix. Throws notFound and invalid with Docker's texts. */
  find(text: string): { image: ImageRecord; reference: Reference | undefined } {
    const asDigest = /^[0-9a-f]{64}$/.test(text) ? `sha256:${text}` : text
    if (isDigest(asDigest)) {
      const image = this.#images.get(asDigest)
      if (image === undefined) throw new EngineError('notFound', `No such image: ${asDigest}`)
      return { image, reference: undefined }
    }
    const reference = withDefaultTag(parseReference(text))
    const named = this.#findNamed(reference)
    if (named !== undefined) return { image: named, reference }
    const image = this.#findPrefix(text)
    if (image === undefined) throw new EngineError('notFound', `No such image: ${familiarText(reference)}`)
    return { image, reference: undefined }
  }

  #findNamed(reference: Reference): ImageRecord | undefined {
    // A tag beside a digest is for the reader: the digest decides.
    const { repository, digest } = reference
    const key = canonicalText(digest === undefined ? reference : { repository, digest })
    const id = this.#references.get(key)
    if (id !== undefined) return this.#images.get(id)
    const isIdOfNamed =
      digest !== undefined && this.referencesOf(digest).some((known) => known.repository === repository)
    return isIdOfNamed && digest !== undefined ? this.#images.get(digest) : undefined
  }

  #findPrefix(text: string): ImageRecord | undefined {
    const prefix = text.startsWith('sha256:') ? text.slice('sha256:'.length) : text
    if (!/^[0-9a-f]{1,64}$/.test(prefix)) return undefined
    const found = [...this.#images.values()].filter((image) => image.id.startsWith(`sha256:${prefix}`))
    return found.length === 1 ? found[0] : undefined
  }

  /** See containers/'s `ImageSource`. */
  resolve(text: string, platform?: Platform): ResolvedImage {
    const { image, reference } = this.find(text)
    if (platform !== undefined && platformRank(platform, image.platform) === undefined) {
      throw new EngineError(
        'notFound',
        `image with reference ${text} was found but its platform (${platformText(image.platform)}) does not match the specified platform (${platformText(platform)})`,
      )
    }
    return {
      id: image.id,
      reference: reference === undefined ? image.id : familiarText(reference),
      config: containerConfigOf(this.config(image.id)),
      platform: image.platform,
      diffIds: image.layers.map((layer) => layer.diffId),
      topLayer: image.layers.at(-1)?.chainId,
      manifest: image.manifest,
    }
  }

  /** See containers/'s `ImageSource`. */
  namesOf(id: Digest): string[] {
    return this.referencesOf(id).map(familiarText)
  }

  /** Makes an image visible, with its blobs' and layers' rows and its names. One that is there stays as it is. */
  insert({ record, config, blobs, layers, references }: NewImage): void {
    const kept = this.#images.get(record.id) ?? record
    const { database, content, layers: layerStore } = this.#options
    const tagged = references.length === 0 ? kept : { ...kept, lastTagged: this.#now() }
    database.transaction(() => {
      content.insert(blobs)
      layerStore.insert(layers)
      this.#write(tagged, config)
      for (const reference of references) this.#writeReference(reference, record.id)
    })
    this.#images.set(record.id, tagged)
    for (const reference of references) this.#references.set(canonicalText(reference), record.id)
  }

  /** Gives an image a name, which is taken from whatever had it; answers that image's id. */
  tag(reference: Reference, id: Digest): Digest | undefined {
    const image = this.#images.get(id)
    if (image === undefined) throw new EngineError('notFound', `No such image: ${id}`)
    const text = canonicalText(reference)
    const before = this.#references.get(text)
    const tagged = { ...image, lastTagged: this.#now() }
    const config = this.configText(id)
    this.#options.database.transaction(() => {
      this.#write(tagged, config)
      this.#writeReference(reference, id)
    })
    this.#images.set(id, tagged)
    this.#references.set(text, id)
    return before
  }

  /** Takes names away. */
  untag(references: readonly Reference[]): void {
    const texts = references.map(canonicalText)
    this.#options.database.transaction(() => {
      for (const text of texts) {
        this.#options.database.run('DELETE FROM image_references WHERE reference = ?', text)
      }
    })
    for (const text of texts) this.#references.delete(text)
  }

  /** Removes an image that has no names any more, and what only it needed. Answers the layers that went. */
  async delete(id: Digest): Promise<Layer[]> {
    const image = this.#images.get(id)
    if (image === undefined) return []
    this.#options.database.transaction(() => {
      this.#options.database.run('DELETE FROM image_references WHERE image_id = ?', id)
      this.#options.database.run('DELETE FROM images WHERE id = ?', id)
    })
    this.#images.delete(id)
    this.#configs.delete(id)
    const top = image.layers.at(-1)?.chainId
    const removed = top === undefined ? [] : await this.#options.layers.collect([top])
    await this.#options.content.collect(blobsOf(image), this.needsBlob())
    return removed
  }

  #write(image: ImageRecord, config: string): void {
    this.#options.database.run(
      'INSERT INTO images (id, created_ns, record) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record',
      image.id,
      BigInt(image.createdNs),
      JSON.stringify({ image, config }),
    )
  }

  #writeReference(reference: Reference, id: Digest): void {
    this.#options.database.run(
      "INSERT INTO image_references (reference, image_id, record) VALUES (?, ?, '{}') ON CONFLICT (reference) DO UPDATE SET image_id = excluded.image_id",
      canonicalText(reference),
      id,
    )
  }

  #now(): string {
    return formatTimeNs(this.#options.clock.nowNs())
  }
}

/** The image of a row, which this file has written: its shape is known. */
function imageOf(record: string): ImageRecord {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return (JSON.parse(record) as { image: ImageRecord }).image
}

/** Digests of all blobs of an image. */
export function blobsOf(image: ImageRecord): Digest[] {
  return [image.id, image.manifest.digest, ...image.layers.map((layer) => layer.blob.digest)]
}
