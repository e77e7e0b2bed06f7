/**
 * `docker load`: archives of `docker save` (old and new), and OCI image layouts, with any number of images. What the
 * archive says about its images is read when all of it has come; see `archive-files.ts` for the way there.
 */
import { z } from 'zod'
import type { ContentStore } from '../content/content-store.ts'
import { EngineError } from '../spec/errors.ts'
import { goList, goString, goStruct } from '../spec/go-json.ts'
import { digest, isDigest, type Digest } from '../spec/ids.ts'
import type { Platform, ProgressMessage } from '../spec/image-types.ts'
import { digestOf } from '../content/content-store.ts'
import { ArchiveFiles } from './archive-files.ts'
import type { ImageMaker, LayerFile } from './image-maker.ts'
import {
  diffIdsOf,
  ImageConfig,
  Manifest,
  mediaTypes,
  parseJson,
  platformOf,
  type ManifestDescriptor,
} from './image-record.ts'
import { platformRank, platformText } from './platform.ts'
import { familiarText, parseReference, type Reference } from './reference.ts'

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
  maker: ImageMaker
  host: Platform
  /** A name moves to another image: which one has it now, and what to do when the image is there. */
  ownerOf: (reference: Reference) => Digest | undefined
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
type Loaded = { id: Digest; named: boolean }

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
    await files.read(body, signal)
    const loading = { files, request, signal }
    const docker = await files.document('manifest.json')
    const index = await files.document('index.json')
    const loaded: Loaded[] = []
    if (docker !== undefined) {
      const exact = index === undefined ? new Map() : await exactManifests(files, index)
      const manifest = parseDockerManifest(docker)
      for (const image of manifest) {
        const done = await this.#dockerImage(image, exact, loading)
        if (done !== undefined) loaded.push(done)
      }
    } else if (index !== undefined) loaded.push(...(await this.#layout(index, loading)))
    else {
      throw new EngineError(
        'invalid',
        'open manifest.json: no such file or directory: the archive holds no image',
      )
    }
    // moby names ids only where the last image of the archive has no name.
    if (loaded.at(-1)?.named !== false) return
    for (const { id } of loaded) request.report({ stream: `Loaded image ID: ${id}\n` })
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
    const manifest = exact.get(digestOf(config))
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
    return this.#make({ config, layers, ...(isExact ? { manifest } : {}), references }, loading)
  }

  #layer(part: {
    path: string
    found: ManifestDescriptor | undefined
    diffId: string | undefined
    loading: Loading
  }): LayerFile {
    const { path, found, diffId = '', loading } = part
    const id = diffId.slice('sha256:'.length, 'sha256:'.length + 12)
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
      config: Buffer
      layers: LayerFile[]
      manifest?: ExactManifest
      references: readonly Reference[]
    },
    { request, signal }: Loading,
  ): Promise<Loaded> {
    const id = digestOf(draft.config)
    for (const reference of draft.references) {
      const before = this.#options.ownerOf(reference)
      if (before === undefined || before === id) continue
      request.report({
        stream: `The image ${familiarText(reference)} already exists, renaming the old one with ID ${before} to empty string\n`,
      })
    }
    await this.#options.maker.make(draft, signal)
    this.#options.onLoaded(id)
    for (const reference of draft.references) {
      request.report({ stream: `Loaded image: ${familiarText(reference)}\n` })
    }
    return { id, named: draft.references.length > 0 }
  }

  async #layout(data: Buffer, loading: Loading): Promise<Loaded[]> {
    const index = parseJson(Manifest, data, 'index.json')
    const loaded: Loaded[] = []
    for (const found of index.manifests ?? []) {
      const chosen = await this.#choose(found, loading, 0)
      if (chosen === undefined) continue
      loaded.push(await this.#layoutImage(chosen, referencesOf(found), loading))
    }
    if (loaded.length === 0) {
      throw new EngineError(
        'notFound',
        `the archive has no image for ${platformText(loading.request.platforms[0] ?? this.#options.host)}`,
      )
    }
    return loaded
  }

  /** The manifest to load of an entry of an index, which may be an index itself. */
  async #choose(
    found: ManifestDescriptor,
    loading: Loading,
    depth: number,
  ): Promise<ManifestDescriptor | undefined> {
    if (depth > maxIndexDepth) throw new EngineError('invalid', 'index is nested too deeply')
    const isIndex = found.mediaType === mediaTypes.index || found.mediaType === mediaTypes.dockerList
    if (!isIndex) return isWanted(found.platform ?? undefined, loading.request) ? found : undefined
    const inner = parseJson(Manifest, await blobOf(loading.files, found.digest), 'image index')
    const wanted = loading.request.platforms[0] ?? this.#options.host
    const ranked = (inner.manifests ?? [])
      .map((candidate) => ({ candidate, rank: rankOf(candidate, wanted) }))
      .filter((entry) => entry.rank !== undefined && loading.files.find(blobName(entry.candidate.digest)))
      .sort((a, b) => (a.rank ?? 0) - (b.rank ?? 0))
    const best = ranked[0]?.candidate
    return best === undefined ? undefined : this.#choose(best, loading, depth + 1)
  }

  async #layoutImage(found: ManifestDescriptor, references: Reference[], loading: Loading): Promise<Loaded> {
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
    const exact = { data, mediaType: found.mediaType, layers: manifest.layers ?? [] }
    return this.#make({ config, layers, manifest: exact, references }, loading)
  }
}

type ExactManifest = { data: Buffer; mediaType: string; layers: readonly ManifestDescriptor[] }

/** Manifests that came with a docker archive, by the image they are of; their bytes are worth keeping. */
async function exactManifests(files: ArchiveFiles, index: Buffer): Promise<Map<Digest, ExactManifest>> {
  const manifests = new Map<Digest, ExactManifest>()
  for (const found of parseJson(Manifest, index, 'index.json').manifests ?? []) {
    const data = await files.document(blobName(found.digest))
    if (data === undefined || digestOf(data) !== found.digest) continue
    const manifest = parseJson(Manifest, data, 'image manifest')
    if (manifest.config === undefined) continue
    const layers = manifest.layers ?? []
    manifests.set(digest(manifest.config.digest), { data, mediaType: found.mediaType, layers })
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
  if (id.startsWith('sha256:') && digestOf(data) !== id) {
    throw new EngineError('invalid', `blob ${id} has digest ${digestOf(data)}`)
  }
  return data
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

function rankOf(candidate: ManifestDescriptor, wanted: Platform): number | undefined {
  if (candidate.platform === null) return 99
  if (candidate.platform.os === 'unknown') return undefined
  return platformRank(wanted, candidate.platform)
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
