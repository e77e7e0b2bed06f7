/**
 * `docker load`: archives of `docker save` (old and new), and OCI image layouts, with any number of images. What the
 * archive says about its images is read when all of it has come; see `archive-files.ts` for the way there.
 */
import { z } from 'zod'
import type { ContentStore } from '../content/content-store.ts'
import type { LayerStore } from '../layers/layer-store.ts'
import { EngineError } from '../spec/errors.ts'
import { goList, goString, goStruct } from '../spec/go-json.ts'
import { algorithmOf, digest, digestOfHex, isDigest, type Digest } from '../spec/ids.ts'
import type { Platform, ProgressMessage } from '../spec/image-types.ts'
import { digestOf, type Blob } from '../content/content-store.ts'
import { ArchiveFiles } from './archive-files.ts'
import type { ImageDraft, ImageMaker, LayerFile } from './image-maker.ts'
import {
  diffIdsOf,
  ImageConfig,
  isIndexType,
  Manifest,
  mediaTypes,
  parseJson,
  platformOf,
  type ManifestDescriptor,
  type Target,
} from './image-record.ts'
import { platformRank, platformText } from './platform.ts'
import { targetOf } from './pull-choice.ts'
import { familiarText, parseReference, type Reference } from './reference.ts'
import type { FetchedManifest } from './registry-repository.ts'

/** How a load is done. */
export type LoadRequest = {
  /** Leaves out the progress of layers. */
  quiet: boolean
  /** Loads only images for these; all where it is empty, and of an index the one for this machine. */
  platforms: readonly Platform[]
  /** Takes the messages of the API's stream. */
  report: (message: ProgressMessage) => void
}

/** What the loader stands on. */
export type ArchiveLoaderOptions = {
  content: ContentStore
  layers: LayerStore
  maker: ImageMaker
  host: Platform
  /** A name moves to another image: which one has it now, and what to do when the image is there. */
  ownerOf: (reference: Reference, target: Target | undefined) => Digest | undefined
  /** An image has been loaded. */
  onLoaded: (id: Digest) => void
}

const DockerManifest = z.array(
  goStruct({
    Config: goString(),
    RepoTags: goList(z.string()),
    Layers: goList(z.string()),
    Parent: goString(),
  }),
)
type DockerImage = z.infer<typeof DockerManifest>[number]

type Loading = { files: ArchiveFiles; request: LoadRequest; signal: AbortSignal }
/** An image that has come in; `isMore` where another platform of it was named before. */
type Loaded = { id: Digest; references: readonly Reference[]; isMore?: boolean }

const maxIndexDepth = 4

/** See the file's head. */
export class ArchiveLoader {
  readonly #options: ArchiveLoaderOptions

  constructor(options: ArchiveLoaderOptions) {
    this.#options = options
  }

  /** Loads all images of an archive. Throws invalid for a damaged one; images before the damage stay. */
  async load(body: AsyncIterable<Uint8Array>, request: LoadRequest, signal: AbortSignal): Promise<void> {
    await using files = new ArchiveFiles(this.#options.content)
    await files.read(body, this.#options.layers.maxArchiveBytes, signal)
    const loading = { files, request, signal }
    const docker = await files.document('manifest.json')
    const index = await files.document('index.json')
    const loaded: Loaded[] = []
    if (index !== undefined && (docker === undefined || hasIndexes(index))) {
      loaded.push(...(await this.#layout(index, loading)))
    } else if (docker !== undefined) {
      const exact = index === undefined ? new Map() : await exactManifests(files, index)
      const manifest = parseDockerManifest(docker)
      for (const image of manifest) {
        const done = await this.#dockerImage(image, exact, loading)
        if (done !== undefined) loaded.push(done)
      }
    } else {
      throw new EngineError(
        'invalid',
        'open manifest.json: no such file or directory: the archive holds no image',
      )
    }
    for (const { references } of loaded) {
      for (const reference of references) {
        request.report({ stream: `Loaded image: ${familiarText(reference)}\n` })
      }
    }
    // moby names ids only where the last image of the archive has no name.
    const whole = loaded.filter(({ isMore }) => isMore !== true)
    if (whole.at(-1)?.references.length !== 0) return
    for (const { id } of whole) request.report({ stream: `Loaded image ID: ${id}\n` })
  }

  async #dockerImage(
    image: DockerImage,
    exact: ReadonlyMap<Digest, ExactManifest>,
    loading: Loading,
  ): Promise<Loaded | undefined> {
    const { files, request } = loading
    const config = await files.document(image.Config)
    if (config === undefined) throw missing(image.Config)
    const parsed = parseJson(ImageConfig, config, 'image configuration')
    if (!isWanted(platformOf(parsed), request)) return undefined
    const id = configDigest(image.Config, config)
    const manifest = exact.get(id)
    const names = image.Layers ?? []
    const isExact = manifest !== undefined && manifest.layers.length === names.length
    const layers = names.map((name, position) =>
      this.#layer({
        path: files.find(name) ?? neverThere(name),
        found: isExact ? manifest.layers[position] : undefined,
        diffId: diffIdsOf(parsed)[position],
        loading,
      }),
    )
    const references = (image.RepoTags ?? []).map((name) => {
      const reference = parseReference(name)
      if (reference.tag === undefined) throw new EngineError('invalid', `invalid tag "${name}"`)
      return reference
    })
    return this.#make({ id, config, layers, ...(isExact ? { manifest } : {}), references }, loading)
  }

  #layer(part: {
    path: string
    found: ManifestDescriptor | undefined
    diffId: string | undefined
    loading: Loading
  }): LayerFile {
    const { path, found, diffId = '', loading } = part
    const start = diffId.indexOf(':') + 1
    const id = diffId.slice(start, start + 12)
    const report = (progressDetail: { current: number; total: number }) => {
      if (!loading.request.quiet) loading.request.report({ status: 'Loading layer', progressDetail, id })
    }
    return {
      path,
      mediaType: found?.mediaType ?? mediaTypes.layer,
      ...(found === undefined ? {} : { digest: digest(found.digest) }),
      onDone: (bytes) => report({ current: bytes, total: bytes }),
      onMoved: (to) => loading.files.moved(path, to),
    }
  }

  async #make(
    draft: {
      id: Digest
      config: Buffer
      layers: LayerFile[]
      manifest?: ExactManifest
      references: readonly Reference[]
      target?: ImageDraft['target']
    },
    { request, signal }: Loading,
  ): Promise<Loaded> {
    const { id } = draft
    for (const reference of draft.references) {
      const before = this.#options.ownerOf(reference, draft.target?.target)
      if (before === undefined || before === id) continue
      request.report({
        stream: `The image ${familiarText(reference)} already exists, renaming the old one with ID ${before} to empty string\n`,
      })
    }
    await this.#options.maker.make(draft, signal)
    this.#options.onLoaded(id)
    return { id, references: draft.references }
  }

  async #layout(data: Buffer, loading: Loading): Promise<Loaded[]> {
    const index = parseJson(Manifest, data, 'index.json')
    const loaded: Loaded[] = []
    for (const found of index.manifests ?? []) {
      const references = referencesOf(found)
      if (isIndexType(found.mediaType)) loaded.push(...(await this.#layoutIndex(found, references, loading)))
      else if (isWanted(found.platform ?? undefined, loading.request)) {
        loaded.push(await this.#layoutImage(found, references, loading))
      }
    }
    if (loaded.length === 0) {
      throw new EngineError(
        'notFound',
        `the archive has no image for ${platformText(loading.request.platforms[0] ?? this.#options.host)}`,
      )
    }
    return loaded
  }

  /** All images of an index that are in the archive, or those of the platforms asked for, with the index itself. */
  async #layoutIndex(
    found: ManifestDescriptor,
    references: Reference[],
    loading: Loading,
  ): Promise<Loaded[]> {
    const { content } = this.#options
    const documents = await indexDocuments(loading.files, found)
    const [outer] = documents
    if (outer === undefined) return []
    const target = targetOf(outer, documents)
    using _lease = content.lease(documents.map((document) => document.digest))
    const blobs: Blob[] = []
    for (const { data, digest: id } of documents) blobs.push(await content.put(data, algorithmOf(id)))
    const loaded: Loaded[] = []
    for (const entry of target.index?.manifests ?? []) {
      if (!loading.files.find(blobName(entry.digest)) || entry.platform?.os === 'unknown') continue
      if (!isWanted(entry.platform, loading.request)) continue
      const manifest = { ...entry, platform: null }
      const image = await this.#layoutImage(manifest, references, loading, { target, blobs })
      loaded.push({
        id: image.id,
        references: loaded.length === 0 ? references : [],
        isMore: loaded.length > 0,
      })
    }
    return loaded
  }

  async #layoutImage(
    found: Pick<ManifestDescriptor, 'digest' | 'mediaType'>,
    references: Reference[],
    loading: Loading,
    target?: ImageDraft['target'],
  ): Promise<Loaded> {
    const data = await blobOf(loading.files, found.digest)
    const manifest = parseJson(Manifest, data, 'image manifest')
    if (manifest.config === undefined) throw new EngineError('invalid', 'image manifest has no config')
    const config = await blobOf(loading.files, manifest.config.digest)
    const diffIds = diffIdsOf(parseJson(ImageConfig, config, 'image configuration'))
    const layers = (manifest.layers ?? []).map((layer, position) =>
      this.#layer({
        path: loading.files.find(blobName(layer.digest)) ?? neverThere(blobName(layer.digest)),
        found: layer,
        diffId: diffIds[position],
        loading,
      }),
    )
    const exact = {
      data,
      mediaType: found.mediaType,
      layers: manifest.layers ?? [],
      digest: digest(found.digest),
    }
    const id = digest(manifest.config.digest)
    return this.#make({ id, config, layers, manifest: exact, references, target }, loading)
  }
}

type ExactManifest = {
  data: Buffer
  mediaType: string
  layers: readonly ManifestDescriptor[]
  digest: Digest
}

/** Manifests that came with a docker archive, by the image they are of; their bytes are worth keeping. */
async function exactManifests(files: ArchiveFiles, index: Buffer): Promise<Map<Digest, ExactManifest>> {
  const manifests = new Map<Digest, ExactManifest>()
  for (const found of parseJson(Manifest, index, 'index.json').manifests ?? []) {
    const data = await files.document(blobName(found.digest))
    const id = digest(found.digest)
    if (data === undefined || digestOf(data, algorithmOf(id)) !== id) continue
    const manifest = parseJson(Manifest, data, 'image manifest')
    if (manifest.config === undefined) continue
    const layers = manifest.layers ?? []
    manifests.set(digest(manifest.config.digest), { data, mediaType: found.mediaType, layers, digest: id })
  }
  return manifests
}

function parseDockerManifest(data: Buffer): DockerImage[] {
  if (data.toString('utf8').trim() === 'null') {
    throw new EngineError('invalid', 'invalid manifest, manifest cannot be null (but can be [])')
  }
  return parseJson(DockerManifest, data, 'manifest.json')
}

async function blobOf(files: ArchiveFiles, id: string): Promise<Buffer> {
  const data = await files.document(blobName(id))
  if (data === undefined) throw missing(blobName(id))
  const found = digestOf(data, algorithmOf(digest(id)))
  if (found !== id) throw wrongBlob(id, found)
  return data
}

/** The image's id: what its configuration is called as a blob of a layout, else its sha256. */
function configDigest(name: string, config: Buffer): Digest {
  const [, hex = ''] = /^blobs\/sha\d+\/([0-9a-f]+)$/.exec(name) ?? []
  const id = digestOfHex(hex)
  const found = digestOf(config, id === undefined ? 'sha256' : algorithmOf(id))
  if (id !== undefined && found !== id) throw wrongBlob(id, found)
  return found
}

function wrongBlob(id: string, found: Digest): EngineError {
  return new EngineError('invalid', `blob ${id} has digest ${found}`)
}

function blobName(id: string): string {
  return `blobs/${id.replace(':', '/')}`
}

function missing(name: string): EngineError {
  return new EngineError('invalid', `open ${name}: no such file or directory`)
}

function neverThere(name: string): never {
  throw missing(name)
}

function isWanted(platform: Platform | undefined, { platforms }: LoadRequest): boolean {
  if (platforms.length === 0 || platform === undefined) return true
  return platforms.some((wanted) => platformRank(wanted, platform) !== undefined)
}

function hasIndexes(data: Buffer): boolean {
  const { manifests } = parseJson(Manifest, data, 'index.json')
  return (manifests ?? []).some(({ mediaType }) => isIndexType(mediaType))
}

/** An index of the archive and the ones inside it, the outermost first. */
async function indexDocuments(
  files: ArchiveFiles,
  found: Pick<ManifestDescriptor, 'digest' | 'mediaType'>,
  depth = 0,
): Promise<FetchedManifest[]> {
  if (depth > maxIndexDepth) throw new EngineError('invalid', 'index is nested too deeply')
  const data = await blobOf(files, found.digest)
  const documents = [{ digest: digest(found.digest), mediaType: found.mediaType, data }]
  for (const inner of parseJson(Manifest, data, 'image index').manifests ?? []) {
    if (!isIndexType(inner.mediaType) || files.find(blobName(inner.digest)) === undefined) continue
    documents.push(...(await indexDocuments(files, inner, depth + 1)))
  }
  return documents
}

/** Names of an entry of an index: containerd's annotation, or a whole name in OCI's. */
function referencesOf(found: ManifestDescriptor): Reference[] {
  const full = found.annotations?.['io.containerd.image.name']
  const short = found.annotations?.['org.opencontainers.image.ref.name']
  const name = full ?? (short !== undefined && /[:/]/.test(short) ? short : undefined)
  if (name === undefined || isDigest(name)) return []
  const reference = parseReference(name)
  return [
    reference.tag === undefined && reference.digest === undefined
      ? { ...reference, tag: 'latest' }
      : reference,
  ]
}
