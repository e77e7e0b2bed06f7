/**
 * `docker pull`: finds the manifest for the platform, downloads and unpacks the layers that are not there at the same
 * time, and makes the image visible when all of it is verified. Who pulls the same image at the same time takes part
 * in one pull. See `pull-download.ts` for what happens to bytes, `image-maker.ts` for the end.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import type { Blob, ContentStore } from '../content/content-store.ts'
import type { GrowingSource } from '../layers/layer-apply.ts'
import { Semaphore } from '../lib/mutex.ts'
import { EngineError } from '../spec/errors.ts'
import { algorithmOf, digest, type Digest } from '../spec/ids.ts'
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
import { manifestFor } from './image-targets.ts'
import { choose, typeOf, type Choice } from './pull-choice.ts'
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
    const isHere = (id: Digest) => images.imageOfManifest(id) !== undefined
    const fetch = (id: Digest) => repository.manifest(id, signal)
    const platform = request.platform ?? this.#options.host
    const choice = await choose(found, { reference, platform, isHere, fetch })
    // A tag beside a digest is for the reader: what is kept is the digest.
    const { repository: name, tag } = reference
    const byDigest: Reference = { repository: name, digest: found.digest }
    const byTag: Reference = { repository: name, ...(tag === undefined ? {} : { tag }) }
    const names = reference.digest === undefined ? [byDigest, byTag] : [byDigest]
    const shown = reference.digest === undefined ? byTag : byDigest
    const isThere = isHere(choice.digest)
    const before = images.allReferences().get(canonicalText(shown))
    const bringIn = () =>
      this.#shared.run(choice.digest, { report, signal }, (shared, sharedSignal) =>
        translated(reference, () => this.#image({ repository, choice, names, report: shared }, sharedSignal)),
      )
    let id = await bringIn()
    // Removed since: then it is brought in once more.
    while (!(await this.#name(names, id, choice))) id = await bringIn()
    report({ status: `Digest: ${found.digest}` })
    onPulled(id, familiarText(shown))
    return !isThere || before !== images.allReferences().get(canonicalText(shown))
  }

  /**
   * Gives the image those of the names that it does not have: another pull may have brought it in. Answers whether it
   * is still there.
   */
  async #name(names: readonly Reference[], id: Digest, { target, documents }: Choice): Promise<boolean> {
    const { images, content } = this.#options
    const missing = names.filter((name) => {
      const isSame = images.targetOf(name)?.descriptor.digest === target.descriptor.digest
      return !isSame || !images.allReferences().has(canonicalText(name))
    })
    if (missing.length === 0) return true
    using _lease = content.lease(documents.map((document) => document.digest))
    const blobs = await putDocuments(content, documents)
    if (images.get(id) === undefined) return false
    for (const name of missing) images.tag(name, id, { target, blobs })
    return true
  }

  /** Brings one image in; answers its id. */
  async #image(
    part: { repository: RegistryRepository; choice: Choice; names: Reference[]; report: Report },
    signal: AbortSignal,
  ): Promise<Digest> {
    const { repository, choice, names, report } = part
    const { images, content, maker } = this.#options
    const known = images.imageOfManifest(choice.digest)
    if (known !== undefined) {
      const { blobs } = manifestFor(known, { descriptor: { ...known.manifest, digest: choice.digest } })
      for (const layer of blobs) new LayerProgress(layer.digest, report).say('Already exists')
      return known.id
    }
    const found = choice.manifest ?? (await repository.manifest(choice.digest, signal))
    const manifest = parseJson(Manifest, found.data, 'image manifest')
    if (manifest.config === undefined) throw new EngineError('invalid', 'image manifest has no config')
    checkConfigType(manifest.config.mediaType)
    const id = digest(manifest.config.digest)
    const layers = (manifest.layers ?? []).map(descriptorOf)
    const indexes = choice.documents.map((document) => document.digest)
    using _lease = content.lease([id, found.digest, ...indexes, ...layers.map((layer) => layer.digest)])
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
        id,
        manifest: { data: found.data, mediaType: typeOf(found, manifest), digest: found.digest },
        references: names,
        target: { target: choice.target, blobs: await putDocuments(content, choice.documents) },
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

/** Keeps the exact bytes of indexes. */
async function putDocuments(content: ContentStore, documents: readonly FetchedManifest[]): Promise<Blob[]> {
  const blobs: Blob[] = []
  for (const { data, digest: id } of documents) blobs.push(await content.put(data, algorithmOf(id)))
  return blobs
}

function descriptorOf(found: ManifestDescriptor): Descriptor {
  return { mediaType: found.mediaType, digest: digest(found.digest), size: found.size }
}

/** Damaged bytes may end an unpacking before their digest is known; then it is found out here. */
async function failureOf(download: Download, { digest: wanted }: Descriptor): Promise<unknown> {
  if (!download.isDone) return download.failure
  const algorithm = algorithmOf(wanted)
  const hash = createHash(algorithm)
  await pipeline(createReadStream(download.path), hash)
  if (`${algorithm}:${hash.digest('hex')}` === wanted) return undefined
  download.discard()
  return new EngineError('invalid', `filesystem layer verification failed for digest ${wanted}`)
}

/** Registries keep other things than images too. Some do not know what a configuration is (moby distribution). */
const configTypes: readonly string[] = [
  '',
  'application/octet-stream',
  mediaTypes.config,
  mediaTypes.dockerConfig,
]

function checkConfigType(mediaType: string): void {
  if (configTypes.includes(mediaType)) return
  const kind = mediaType === 'application/vnd.docker.plugin.v1+json' ? 'plugin' : 'unknown'
  throw new EngineError('invalid', `Encountered remote ${JSON.stringify(mediaType)}(${kind}) when fetching`)
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
