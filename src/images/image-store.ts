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
import { digestOfHex, isDigest, type ChainId, type Digest } from '../spec/ids.ts'
import type { Platform, ResolvedImage } from '../spec/image-types.ts'
import { textColumn, type Database } from '../store/database.ts'
import { containerConfigOf, ImageConfig, parseJson, type ImageRecord, type Target } from './image-record.ts'
import { imageIn, parkedBlobs, targetIn } from './image-rows.ts'
import { bestFor, blobsOf, documentsOf, ImageTargets, withManifest } from './image-targets.ts'
import { platformText } from './platform.ts'
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
  /** Of the platforms of an index, the one that this machine runs best is its image. */
  host: Platform
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
  /** What the names stand for, where that is known. */
  target?: Target | undefined
}

const maxCached = 32

/** See the file's head. Call `load` before anything else. */
export class ImageStore implements LayerUsers {
  readonly #options: ImageStoreOptions
  readonly #images = new Map<Digest, ImageRecord>()
  /** Blobs of images that other storage drivers have. */
  #parked: Digest[] = []
  /** Canonical reference to image id. */
  readonly #references = new Map<string, Digest>()
  readonly #targets = new ImageTargets()
  readonly #configs = new Map<Digest, ImageConfig>()

  constructor(options: ImageStoreOptions) {
    this.#options = options
    options.layers.addUsers(this)
  }

  /** Reads all records. */
  load(): void {
    for (const row of this.#options.database.all('SELECT record FROM images')) {
      const image = imageIn(textColumn(row, 'record'))
      this.#images.set(image.id, image)
      this.#targets.addImage(image)
    }
    this.#parked = parkedBlobs(this.#options.database)
    for (const row of this.#options.database.all(
      'SELECT reference, image_id, record FROM image_references',
    )) {
      const id = textColumn(row, 'image_id')
      const target = targetIn(textColumn(row, 'record'))
      const reference = textColumn(row, 'reference')
      if (isDigest(id)) this.#references.set(reference, id)
      this.#targets.set(reference, target)
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
    const images = [...this.#images.values()].flatMap(blobsOf)
    const needed = new Set([...images, ...this.#parked, ...this.#targets.documents()])
    return (id) => needed.has(id)
  }

  all(): ImageRecord[] {
    return [...this.#images.values()]
  }

  get(id: Digest): ImageRecord | undefined {
    return this.#images.get(id)
  }

  /** What a name stands for, where it came from a registry or an archive. */
  targetOf(reference: Reference): Target | undefined {
    return this.#targets.get(canonicalText(reference))
  }

  /** What an image's first name stands for. */
  targetOfImage(id: Digest): Target | undefined {
    return this.referencesOf(id)
      .map((reference) => this.targetOf(reference))
      .find((target) => target !== undefined)
  }

  /** The image that a manifest here is of. */
  imageOfManifest(manifest: Digest): ImageRecord | undefined {
    const id = this.#targets.imageOf(manifest)
    return id === undefined ? undefined : this.#images.get(id)
  }

  /** Images of an index that are here, in its order; none for a manifest. */
  members(target: Target | undefined): ImageRecord[] {
    return this.#targets.members(target).flatMap((id) => this.#images.get(id) ?? [])
  }

  /** Images that some index holds, with or without names of their own. */
  held(): ReadonlySet<Digest> {
    return this.#targets.held()
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

  /** Names that an image goes by: its own, else those of an index that holds it. */
  namesShown(id: Digest): Reference[] {
    const own = this.referencesOf(id)
    return own.length > 0 ? own : this.#targets.namesHolding(id).map(parseCanonical)
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
    const asDigest = digestOfHex(text) ?? text
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

  /** As `find`; of an index the image for the platform, where one is asked for. */
  findFor(
    text: string,
    platform: Platform | undefined,
  ): { image: ImageRecord; reference: Reference | undefined; target: Target | undefined } {
    const { image, reference } = this.find(text)
    const target = reference === undefined ? this.targetOfImage(image.id) : this.#targetNamed(reference)
    const members = this.members(target)
    const candidates = members.some(({ id }) => id === image.id) ? members : [image]
    const found = platform === undefined ? image : bestFor(platform, candidates)
    if (found !== undefined) return { image: found, reference, target }
    const wanted = platform === undefined ? '' : platformText(platform)
    throw new EngineError(
      'notFound',
      `image with reference ${text} was found but its platform (${platformText(image.platform)}) does not match the specified platform (${wanted})`,
    )
  }

  #targetNamed({ repository, tag, digest }: Reference): Target | undefined {
    return this.targetOf(
      digest === undefined ? { repository, ...(tag === undefined ? {} : { tag }) } : { repository, digest },
    )
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
    const [, algorithm = '', prefix = ''] = /^(?:(sha256|sha512):)?([0-9a-f]{1,128})$/.exec(text) ?? []
    if (prefix === '') return undefined
    const found = [...this.#images.values()].filter(
      ({ id }) => id.startsWith(algorithm) && id.startsWith(prefix, id.indexOf(':') + 1),
    )
    return found.length === 1 ? found[0] : undefined
  }

  /** See containers/'s `ImageSource`. */
  resolve(text: string, platform?: Platform): ResolvedImage {
    const { image, reference } = this.findFor(text, platform)
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
  insert({ record, config, blobs, layers, references, target }: NewImage): void {
    const known = this.#images.get(record.id)
    const kept = known === undefined ? record : withManifest(known, record)
    const { database, content, layers: layerStore } = this.#options
    const tagged = references.length === 0 ? kept : { ...kept, lastTagged: this.#now() }
    this.#targets.addImage(tagged)
    const names = this.#namesFor(references, target)
    const id = this.#preferred(target, tagged)
    try {
      database.transaction(() => {
        content.insert(blobs)
        layerStore.insert(layers)
        this.#write(tagged, config)
        for (const name of names) this.#writeName(name, id, target)
      })
    } catch (error) {
      if (known === undefined) this.#targets.removeImage(tagged)
      throw error
    }
    this.#images.set(record.id, tagged)
    for (const name of names) this.#setName(name, id, target)
  }

  /**
   * Gives an image a name, which is taken from whatever had it; answers that image's id. The name stands for
   * `target`, whose documents are there.
   */
  tag(
    reference: Reference,
    id: Digest,
    { target, blobs = [] }: { target?: Target | undefined; blobs?: readonly Blob[] } = {},
  ): Digest | undefined {
    const image = this.#images.get(id)
    if (image === undefined) throw new EngineError('notFound', `No such image: ${id}`)
    const before = this.#references.get(canonicalText(reference))
    const names = this.#namesFor([reference], target)
    const shown = this.#preferred(target, image)
    const tagged = { ...image, lastTagged: this.#now() }
    const config = this.configText(id)
    this.#options.database.transaction(() => {
      this.#options.content.insert(blobs)
      this.#write(tagged, config)
      for (const name of names) this.#writeName(name, shown, target)
    })
    this.#images.set(id, tagged)
    for (const name of names) this.#setName(name, shown, target)
    return before
  }

  /** The names to write: with an index come all others that stand for it, as its image may be another now. */
  #namesFor(references: readonly Reference[], target: Target | undefined): string[] {
    const others = target?.index === undefined ? [] : this.#targets.namesOf(target.descriptor.digest)
    return [...new Set([...references.map(canonicalText), ...others])]
  }

  /** Of the images of an index the one for this machine; else the one given. */
  #preferred(target: Target | undefined, image: ImageRecord): Digest {
    const members = this.#targets
      .members(target)
      .flatMap((id) => (id === image.id ? image : (this.#images.get(id) ?? [])))
    return (bestFor(this.#options.host, members) ?? image).id
  }

  /** Takes names away. */
  untag(references: readonly Reference[]): void {
    const texts = references.map(canonicalText)
    this.#options.database.transaction(() => {
      for (const text of texts) {
        this.#options.database.run('DELETE FROM image_references WHERE reference = ?', text)
      }
    })
    for (const text of texts) {
      this.#references.delete(text)
      this.#targets.set(text, undefined)
    }
  }

  /** Takes an image out of the indexes that hold it: their names go on to another platform that is here. */
  detach(image: ImageRecord): void {
    this.#targets.removeImage(image)
    for (const name of this.referencesOf(image.id).map(canonicalText)) {
      const target = this.#targets.get(name)
      const [first, ...others] = this.members(target)
      if (first === undefined) continue
      const id = (bestFor(this.#options.host, [first, ...others]) ?? first).id
      this.#writeName(name, id, target)
      this.#setName(name, id, target)
    }
  }

  /** Removes the documents of indexes that no name stands for any more. */
  async collectTargets(targets: readonly Target[]): Promise<void> {
    await this.#options.content.collect(targets.flatMap(documentsOf), this.needsBlob())
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
    this.#targets.removeImage(image)
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

  #writeName(name: string, id: Digest, target: Target | undefined): void {
    this.#options.database.run(
      'INSERT INTO image_references (reference, image_id, record) VALUES (?, ?, ?) ON CONFLICT (reference) DO UPDATE SET image_id = excluded.image_id, record = excluded.record',
      name,
      id,
      JSON.stringify({ target }),
    )
  }

  #setName(name: string, id: Digest, target: Target | undefined): void {
    this.#references.set(name, id)
    this.#targets.set(name, target)
  }

  #now(): string {
    return formatTimeNs(this.#options.clock.nowNs())
  }
}
