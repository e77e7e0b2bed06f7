/**
 * `docker pull`: finds the manifest for the platform, downloads and unpacks the layers that are not there at the same
 * time, and makes the image visible when all of it is verified. Who pulls the same image at the same time takes part
 * in one pull. See `pull-download.ts` for what happens to bytes, `image-maker.ts` for the end.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import type { ContentStore } from '../content/content-store.ts'
import type { GrowingSource } from '../layers/layer-apply.ts'
import { Semaphore } from '../lib/mutex.ts'
import { EngineError } from '../spec/errors.ts'
import { digest, type Digest } from '../spec/ids.ts'
import type { Descriptor, Platform } from '../spec/image-types.ts'
import type { ImageMaker, LayerFile } from './image-maker.ts'
import {
  ImageConfig,
  Manifest,
  mediaTypes,
  parseJson,
  platformOf,
  type ManifestDescriptor,
} from './image-record.ts'
import type { ImageStore } from './image-store.ts'
import { platformRank, platformText } from './platform.ts'
import { Downloads, type Download } from './pull-download.ts'
import { LayerProgress, SharedWork, type Report } from './pull-progress.ts'
import { canonicalText, familiarRepository, familiarText, type Reference } from './reference.ts'
import type { Registries } from './registries.ts'
import { splitRepository } from './registry-endpoints.ts'
import { RegistryError } from './registry-errors.ts'
import type { FetchedManifest, RegistryRepository } from './registry-repository.ts'
import type { AuthConfig } from './registry-tokens.ts'

/** What pulls stand on. */
export type PullerOptions = {
  content: ContentStore
  images: ImageStore
  maker: ImageMaker
  registries: Registries
  host: Platform
  /** Layers that may be unpacked while they come in, at the same time. */
  maxUnpacking: number
  onPulled: (id: Digest, name: string) => void
}

/** What to pull. Without tag and digest it is all tags. */
export type PullRequest = {
  reference: Reference
  platform: Platform | undefined
  auth: AuthConfig
  report: Report
}

const maxConfigBytes = 8 << 20
const maxIndexDepth = 4
const extractReportMs = 200

/** See the file's head. */
export class Puller {
  readonly #options: PullerOptions
  readonly #downloads: Downloads
  readonly #shared = new SharedWork<Digest>()
  readonly #unpacking: Semaphore

  constructor(options: PullerOptions) {
    this.#options = options
    this.#unpacking = new Semaphore(options.maxUnpacking)
    this.#downloads = new Downloads({
      content: options.content,
      places: () => options.registries.downloads,
      maxAttempts: () => options.registries.settings.maxAttempts,
    })
  }

  /** Pulls, and says how it went in Docker's words. Throws the registry's error in Docker's words. */
  async pull(request: PullRequest, signal: AbortSignal): Promise<void> {
    const { reference, auth, report } = request
    await this.#downloads.sweep()
    const isNew = await this.#options.registries.withRepository(
      reference.repository,
      { auth, signal },
      async (repository) => {
        if (reference.tag !== undefined || reference.digest !== undefined) {
          return this.#pullNamed(repository, request, signal)
        }
        let isAnyNew = false
        for (const tag of await translated(reference, () => repository.tags(signal))) {
          const named = { ...request, reference: { ...reference, tag } }
          if (await this.#pullNamed(repository, named, signal)) isAnyNew = true
        }
        return isAnyNew
      },
    )
    const name = familiarText(reference)
    report({
      status: isNew
        ? `Status: Downloaded newer image for ${name}`
        : `Status: Image is up to date for ${name}`,
    })
  }

  /** Answers whether the name has moved to another image. */
  async #pullNamed(
    repository: RegistryRepository,
    request: PullRequest,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { images, onPulled } = this.#options
    const { reference, report } = request
    const wanted = reference.digest ?? reference.tag ?? 'latest'
    const found = await translated(reference, () => repository.manifest(wanted, signal))
    report({ status: `Pulling from ${splitRepository(reference.repository).path}`, id: wanted })
    const chosen = await this.#choose(repository, found, request, signal)
    // A tag beside a digest is for the reader: what is kept is the digest.
    const { repository: name, tag } = reference
    const byDigest: Reference = { repository: name, digest: found.digest }
    const byTag: Reference = { repository: name, ...(tag === undefined ? {} : { tag }) }
    const names = reference.digest === undefined ? [byDigest, byTag] : [byDigest]
    const shown = reference.digest === undefined ? byTag : byDigest
    const before = images.allReferences().get(canonicalText(shown))
    const id = await this.#shared.run(chosen.digest, { report, signal }, (shared, sharedSignal) =>
      translated(reference, () =>
        this.#image({ repository, found: chosen, names, report: shared }, sharedSignal),
      ),
    )
    report({ status: `Digest: ${found.digest}` })
    const known = images.allReferences()
    for (const one of names) if (known.get(canonicalText(one)) !== id) images.tag(one, id)
    onPulled(id, familiarText(shown))
    return before !== id
  }

  /** The manifest for the platform, through indexes. */
  async #choose(
    repository: RegistryRepository,
    found: FetchedManifest,
    request: PullRequest,
    signal: AbortSignal,
  ): Promise<FetchedManifest> {
    let current = found
    for (let depth = 0; depth <= maxIndexDepth; depth++) {
      const kind = kindOf(current, request.reference)
      if (kind.manifests === undefined) return current
      const wanted = request.platform ?? this.#options.host
      const best = bestOf(kind.manifests, wanted)
      if (best === undefined) {
        throw new EngineError(
          'notFound',
          `no matching manifest for ${platformText(wanted)} in the manifest list entries`,
        )
      }
      current = await repository.manifest(best, signal)
    }
    throw new EngineError('invalid', 'image index is nested too deeply')
  }

  /** Brings one image in; answers its id. */
  async #image(
    part: { repository: RegistryRepository; found: FetchedManifest; names: Reference[]; report: Report },
    signal: AbortSignal,
  ): Promise<Digest> {
    const { repository, found, names, report } = part
    const { images, content, maker } = this.#options
    const manifest = parseJson(Manifest, found.data, 'image manifest')
    if (manifest.config === undefined) throw new EngineError('invalid', 'image manifest has no config')
    const id = digest(manifest.config.digest)
    const layers = (manifest.layers ?? []).map(descriptorOf)
    using _lease = content.lease([id, found.digest, ...layers.map((layer) => layer.digest)])
    if (images.get(id) !== undefined) {
      for (const layer of layers) new LayerProgress(layer.digest, report).say('Already exists')
      return id
    }
    const lines = layers.map((layer) => new LayerProgress(layer.digest, report))
    for (const line of lines) line.say('Pulling fs layer')
    await using parts = new AsyncDisposableStack()
    // All of them settle before any failure counts: what has been joined must be left again.
    const joined = await Promise.allSettled(
      layers.map((layer, index) => this.#layer({ repository, layer, line: lines[index], parts })),
    )
    const files = joined.map((outcome) => {
      if (outcome.status === 'rejected') throw outcome.reason
      return outcome.value
    })
    const config = await repository.smallBlob(id, maxConfigBytes, signal)
    checkConfig(config)
    return await maker.make(
      {
        config,
        layers: files,
        manifest: { data: found.data, mediaType: typeOf(found, manifest) },
        references: names,
        fromRegistry: true,
      },
      signal,
    )
  }

  async #layer(part: {
    repository: RegistryRepository
    layer: Descriptor
    line: LayerProgress | undefined
    parts: AsyncDisposableStack
  }): Promise<LayerFile> {
    const { repository, layer, line, parts } = part
    const { content } = this.#options
    const known = content.get(layer.digest)
    if (known !== undefined) {
      line?.say('Already exists')
      return { path: content.path(layer.digest), mediaType: layer.mediaType, digest: layer.digest, known }
    }
    const joined = await this.#downloads.join(layer, repository, (state) => line?.download(state))
    parts.use(joined)
    const { download } = joined
    return {
      path: download.path,
      mediaType: layer.mediaType,
      digest: layer.digest,
      begin: (signal) => this.#begin(download, { layer, line, signal }),
      onDone: () => line?.say('Pull complete'),
      onWrong: () => download.discard(),
    }
  }

  /** Waits until a layer may be unpacked: at once while there is room for that, else when it is all there. */
  async #begin(
    download: Download,
    { layer, line, signal }: { layer: Descriptor; line: LayerProgress | undefined; signal: AbortSignal },
  ): Promise<GrowingSource> {
    const place = this.#unpacking.acquire()
    const { promise: aborted, reject } = Promise.withResolvers<never>()
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      signal.throwIfAborted()
      await Promise.race([place, download.finished, aborted])
    } catch (error) {
      void place.then((held) => held[Symbol.dispose]())
      throw error
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
    const timer = setInterval(() => {
      if (download.isDone)
        line?.show('Extracting', Math.min(layer.size, download.file.consumedBytes), layer.size)
    }, extractReportMs)
    return {
      growing: download.file.shared,
      failure: () => failureOf(download, layer),
      [Symbol.dispose]: () => {
        clearInterval(timer)
        void place.then((held) => held[Symbol.dispose]())
      },
    }
  }
}

function descriptorOf(found: ManifestDescriptor): Descriptor {
  return { mediaType: found.mediaType, digest: digest(found.digest), size: found.size }
}

/** Damaged bytes may end an unpacking before their digest is known; then it is found out here. */
async function failureOf(download: Download, { digest: wanted }: Descriptor): Promise<unknown> {
  if (!download.isDone) return download.failure
  const algorithm = wanted.slice(0, wanted.indexOf(':'))
  const hash = createHash(algorithm)
  await pipeline(createReadStream(download.path), hash)
  if (`${algorithm}:${hash.digest('hex')}` === wanted) return undefined
  download.discard()
  return new EngineError('invalid', `filesystem layer verification failed for digest ${wanted}`)
}

/** Index or manifest; throws for what is neither. */
function kindOf(
  found: FetchedManifest,
  reference: Reference,
): { manifests?: Manifest['manifests'] & object } {
  if (/docker\.distribution\.manifest\.v1\+/.test(found.mediaType)) throw schemaOne(reference)
  const parsed = parseJson(Manifest, found.data, 'image manifest')
  if (parsed.schemaVersion === 1) throw schemaOne(reference)
  if (parsed.manifests !== undefined && parsed.manifests !== null) return { manifests: parsed.manifests }
  if (parsed.config === undefined) {
    throw new EngineError('invalid', `unsupported manifest media type: ${found.mediaType}`)
  }
  return {}
}

function schemaOne(reference: Reference): EngineError {
  return new EngineError(
    'invalid',
    `[DEPRECATION NOTICE] Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. Suggest the author of ${familiarText(reference)} to upgrade the image to the OCI Format or Docker Image manifest v2, schema 2. More information at https://docs.docker.com/go/deprecated-image-specs/`,
  )
}

function bestOf(
  manifests: readonly NonNullable<Manifest['manifests']>[number][],
  wanted: Platform,
): Digest | undefined {
  let best: { rank: number; digest: string } | undefined
  for (const { platform, digest: id } of manifests) {
    if (platform === null) continue
    const rank = platformRank(wanted, platform)
    if (rank === undefined || (best !== undefined && best.rank <= rank)) continue
    best = { rank, digest: id }
  }
  return best === undefined ? undefined : digest(best.digest)
}

function typeOf(found: FetchedManifest, manifest: Manifest): string {
  if (manifest.mediaType !== '') return manifest.mediaType
  return found.mediaType === '' ? mediaTypes.manifest : found.mediaType
}

function checkConfig(data: Buffer): void {
  const { os } = platformOf(parseJson(ImageConfig, data, 'image configuration'))
  if (os !== 'linux') {
    throw new EngineError(
      'invalid',
      `image operating system ${JSON.stringify(os)} cannot be used on this platform`,
    )
  }
}

/** Runs work of a pull; the registry's error gets the words that Docker has for it (distribution/errors.go). */
async function translated<T>(reference: Reference, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    const name = familiarRepository(reference.repository)
    if (error.code === 'DENIED') {
      throw new EngineError(
        'notFound',
        `pull access denied for ${name}, repository does not exist or may require 'docker login': ${error.message}`,
        { cause: error },
      )
    }
    if (error.code === 'MANIFEST_UNKNOWN') {
      throw new EngineError(
        'notFound',
        `manifest for ${familiarText(reference)} not found: ${error.message}`,
        {
          cause: error,
        },
      )
    }
    if (error.code === 'NAME_UNKNOWN') {
      throw new EngineError('notFound', `repository ${name} not found: ${error.message}`, { cause: error })
    }
    throw error
  }
}
