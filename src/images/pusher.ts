/**
 * `docker push`: layers that the registry lacks go up side by side (or are mounted from a repository that has them),
 * then the configuration, then the manifest. An image that came from a registry goes up exactly as it came. Of
 * another one, layers are compressed on the way and the manifest is made; the same image gives the same digest.
 */
import { rm } from 'node:fs/promises'
import { digestOf, type Blob, type ContentStore } from '../content/content-store.ts'
import type { LayerJob, LayerJobResult } from '../layers/layer-jobs.ts'
import { readAhead } from '../lib/read-ahead.ts'
import type { WorkerPool } from '../lib/worker-pool.ts'
import { EngineError } from '../spec/errors.ts'
import { digest, type Digest } from '../spec/ids.ts'
import type { Descriptor, Platform } from '../spec/image-types.ts'
import { mediaTypes, type ImageRecord, type StoredManifest, type Target } from './image-record.ts'
import type { ImageStore } from './image-store.ts'
import { blobsOf, manifestFor } from './image-targets.ts'
import { IndexPush, type PushedManifest } from './index-push.ts'
import { LayerProgress, type Report } from './pull-progress.ts'
import type { PushedLayers } from './pushed-layers.ts'
import { familiarRepository, familiarText, parseCanonical, type Reference } from './reference.ts'
import type { Registries } from './registries.ts'
import { delay } from './registry-client.ts'
import { splitRepository } from './registry-endpoints.ts'
import { RegistryError, RegistryUnreachable } from './registry-errors.ts'
import { RegistryRepository } from './registry-repository.ts'
import { anonymous, type AuthConfig } from './registry-tokens.ts'

/** What pushes stand on. */
export type PusherOptions = {
  content: ContentStore
  images: ImageStore
  pool: WorkerPool<LayerJob, LayerJobResult>
  registries: Registries
  pushed: PushedLayers
  onPushed: (id: Digest, name: string) => void
}

/** What to push; without a tag it is all tags of the repository. */
export type PushRequest = {
  reference: Reference
  platform: Platform | undefined
  auth: AuthConfig
  report: Report
}

type Push = {
  repository: RegistryRepository
  image: ImageRecord
  /** The manifest to push, where the image has it from elsewhere. */
  stored: StoredManifest
  report: Report
  signal: AbortSignal
}

const dockerTypes = {
  manifest: mediaTypes.dockerManifest,
  config: mediaTypes.dockerConfig,
  layer: mediaTypes.dockerLayerGzip,
}
const ociTypes = { manifest: mediaTypes.manifest, config: mediaTypes.config, layer: mediaTypes.layerGzip }
const reportEveryMs = 100
const maxMountCandidates = 4

/** See the file's head. */
export class Pusher {
  readonly #options: PusherOptions

  constructor(options: PusherOptions) {
    this.#options = options
  }

  /** Pushes. Throws the registry's error. */
  async push(request: PushRequest, signal: AbortSignal): Promise<void> {
    const { registries } = this.#options
    const { reference, report, auth } = request
    report({ status: `The push refers to repository [${reference.repository}]` })
    const tags = this.#tagsOf(reference)
    await registries.withRepository(
      reference.repository,
      { auth, push: true, signal },
      async (repository) => {
        for (const tag of tags) {
          const named = { repository: reference.repository, tag }
          await this.#pushName({ repository, platform: request.platform, report, signal }, named)
        }
      },
    )
  }

  async #pushName(
    part: {
      repository: RegistryRepository
      platform: Platform | undefined
      report: Report
      signal: AbortSignal
    },
    name: { repository: string; tag: string },
  ): Promise<void> {
    const { images, content, onPushed } = this.#options
    const { repository, platform, report, signal } = part
    const { image, target } = images.findFor(familiarText(name), platform)
    using _lease = content.lease([...images.members(target).flatMap(blobsOf), ...blobsOf(image)])
    const pushImage = (member: ImageRecord, stored: StoredManifest, tagOrDigest: string) =>
      this.#pushImage({ repository, image: member, stored, report, signal }, tagOrDigest)
    const sources = () => this.#indexSources(target, repository, signal)
    const pushed =
      target?.index === undefined || platform !== undefined
        ? await pushImage(image, manifestFor(image, target), name.tag)
        : await new IndexPush({ ...this.#options, repository, pushImage, sources, report, signal }).push(
            target,
            name.tag,
          )
    const { digest: id, size } = pushed
    images.tag({ repository: name.repository, digest: id }, image.id, { target: pushed.target })
    onPushed(image.id, familiarText(name))
    report({ status: `${name.tag}: digest: ${id} size: ${size}` })
    report({ progressDetail: {}, aux: { Tag: name.tag, Digest: id, Size: size } })
  }

  /** Other repositories that an index has been in: there may be what is not here. */
  async #indexSources(
    target: Target | undefined,
    to: RegistryRepository,
    signal: AbortSignal,
  ): Promise<RegistryRepository[]> {
    const { images, registries } = this.#options
    const names = [...images.allReferences().keys()].map(parseCanonical)
    const found = new Set(
      names
        .filter((name) => name.digest !== undefined && name.digest === target?.descriptor.digest)
        .map((name) => name.repository)
        .filter((name) => name !== `${to.domain}/${to.path}`),
    )
    const opened: RegistryRepository[] = []
    for (const name of [...found].slice(0, maxMountCandidates)) {
      const { domain, path } = splitRepository(name)
      if (domain === to.domain) opened.push(new RegistryRepository(to.client, { domain, path }))
      else {
        const client = await registries.connect(domain, anonymous, signal).catch(() => undefined)
        if (client !== undefined) opened.push(new RegistryRepository(client, { domain, path }))
      }
    }
    return opened
  }

  #tagsOf(reference: Reference): string[] {
    const named = [...this.#options.images.allReferences().keys()]
      .map(parseCanonical)
      .filter((known) => known.repository === reference.repository)
    if (named.length === 0) {
      throw new EngineError(
        'notFound',
        `An image does not exist locally with the tag: ${familiarRepository(reference.repository)}`,
      )
    }
    const tags = named.flatMap(({ tag }) => (tag === undefined ? [] : [tag])).toSorted()
    if (reference.tag === undefined) return tags
    if (tags.includes(reference.tag)) return [reference.tag]
    throw new EngineError('notFound', `tag does not exist: ${familiarText(reference)}`)
  }

  /** Pushes one image under a tag or its digest. */
  async #pushImage(push: Push, tagOrDigest: string): Promise<PushedManifest> {
    const { images, registries } = this.#options
    const { repository, image, stored, report, signal } = push
    const lines = image.layers.map(({ diffId }) => new LayerProgress(diffId, report))
    for (const line of lines.toReversed()) line.say('Preparing')
    const failed = new AbortController()
    const together = { ...push, signal: AbortSignal.any([signal, failed.signal]) }
    const outcomes = await Promise.allSettled(
      image.layers.map(async (layer, index) => {
        const line = lines[index] ?? new LayerProgress(layer.diffId, report)
        using _place = await this.#place(registries.uploads.acquire(), line)
        together.signal.throwIfAborted()
        return this.#pushLayer(together, index, line).catch((error: unknown) => {
          failed.abort(error)
          throw error
        })
      }),
    )
    signal.throwIfAborted()
    if (failed.signal.aborted) throw failed.signal.reason
    const layers = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    const config = Buffer.from(images.configText(image.id))
    const configBlob = { digest: image.id, size: config.length }
    if (!(await repository.hasBlob(image.id, signal))) {
      await this.#retrying(signal, () => repository.upload(configBlob, () => once(config), signal))
    }
    const manifest = await this.#manifest(push, configBlob, layers)
    await this.#retrying(signal, () => repository.putManifest(tagOrDigest, manifest, signal))
    if (!isExact(push))
      return { digest: digestOf(manifest.data), size: manifest.data.length, target: undefined }
    const { digest: id, size } = stored.manifest
    return { digest: id, size, target: { descriptor: stored.manifest } }
  }

  async #place(place: Promise<Disposable>, line: LayerProgress): Promise<Disposable> {
    const isFree = await Promise.race([place.then(() => true), Promise.resolve(false)])
    if (!isFree) line.say('Waiting')
    return place
  }

  async #manifest(
    push: Push,
    config: Blob,
    layers: readonly Descriptor[],
  ): Promise<{ data: Buffer; mediaType: string }> {
    if (isExact(push)) {
      const { digest: id, mediaType } = push.stored.manifest
      return { data: await this.#options.content.read(id), mediaType }
    }
    // Docker's own types, which every registry takes; they have none for zstd.
    const hasZstd = layers.some(({ mediaType }) => mediaType.endsWith('+zstd'))
    const types = hasZstd ? ociTypes : dockerTypes
    const made = {
      schemaVersion: 2,
      mediaType: types.manifest,
      config: { mediaType: types.config, size: config.size, digest: config.digest },
      layers: layers.map(({ mediaType, size, digest: id }) => {
        return { mediaType: mediaType.endsWith('+zstd') ? mediaType : types.layer, size, digest: id }
      }),
    }
    return { data: Buffer.from(JSON.stringify(made, undefined, 3)), mediaType: types.manifest }
  }

  /** Brings one layer up; answers what the manifest says of it. */
  async #pushLayer(push: Push, index: number, line: LayerProgress): Promise<Descriptor> {
    const { content, pushed } = this.#options
    const { image, stored, repository, signal } = push
    const layer = image.layers[index]
    const stands = stored.blobs[index]
    if (layer === undefined || stands === undefined)
      throw new Error(`image ${image.id} has no layer ${index}`)
    if (isExact(push) || isCompressed(stands.mediaType)) {
      await this.#pushBlob(push, stands, content.path(stands.digest), line)
      return stands
    }
    const before = pushed.get(layer.diffId)
    if (before !== undefined) {
      const there = await this.#isThere(push, before, line)
      if (there) return { mediaType: mediaTypes.dockerLayerGzip, ...before }
    }
    const target = content.ingestPath()
    try {
      const source = content.path(layer.blob.digest)
      const { packed } = await this.#options.pool.run({ kind: 'compress', source, target }, signal)
      if (packed === undefined) throw new Error('compress answered nothing')
      const blob = { digest: digest(packed.digest), size: packed.bytes }
      await this.#pushBlob({ ...push, repository }, blob, target, line)
      pushed.note(layer.diffId, blob)
      return { mediaType: mediaTypes.dockerLayerGzip, ...blob }
    } finally {
      await rm(target, { force: true })
    }
  }

  async #isThere({ repository, signal, image }: Push, blob: Blob, line: LayerProgress): Promise<boolean> {
    if (await repository.hasBlob(blob.digest, signal)) {
      line.say('Layer already exists')
      return true
    }
    for (const from of this.#mountCandidates(repository, image, blob.digest)) {
      if (await repository.mount(blob.digest, splitRepository(from).path, signal)) {
        line.say(`Mounted from ${familiarRepository(splitRepository(from).path)}`)
        return true
      }
    }
    return false
  }

  async #pushBlob(push: Push, blob: Blob, path: string, line: LayerProgress): Promise<void> {
    const { repository, signal } = push
    if (await this.#isThere(push, blob, line)) return
    await this.#retrying(signal, () => repository.upload(blob, () => counted(path, blob, line), signal))
    line.say('Pushed')
  }

  /** Repositories of the same registry where the blob may be: those of images that have it. */
  #mountCandidates(repository: RegistryRepository, image: ImageRecord, blob: Digest): string[] {
    const { images, pushed } = this.#options
    const layer = image.layers.find(
      (one) => one.blob.digest === blob || pushed.get(one.diffId)?.digest === blob,
    )
    if (layer === undefined) return []
    const here = repository.domain
    const found = new Set<string>()
    for (const other of images.all()) {
      if (!other.layers.some(({ diffId }) => diffId === layer.diffId)) continue
      for (const reference of images.referencesOf(other.id)) {
        const { domain, path } = splitRepository(reference.repository)
        // A name by digest shows that it has been there.
        if (reference.digest !== undefined && domain === here && path !== repository.path) {
          found.add(reference.repository)
        }
      }
    }
    return [...found].slice(0, maxMountCandidates)
  }

  /** Tries again after a broken connection or a server in trouble. */
  async #retrying(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    const { maxAttempts } = this.#options.registries.settings
    for (let attempt = 1; ; attempt++) {
      try {
        await work()
        return
      } catch (error) {
        signal.throwIfAborted()
        const mayHelp =
          error instanceof RegistryUnreachable || (error instanceof RegistryError && error.status >= 500)
        if (!mayHelp || attempt >= maxAttempts) throw error
        await delay(2 ** (attempt - 1) * 1000, signal)
      }
    }
  }
}

function isExact({ image, stored }: Push): boolean {
  if (image.fromRegistry === true || stored.manifest.digest !== image.manifest.digest) return true
  return stored.blobs.every((blob) => isCompressed(blob.mediaType))
}

function isCompressed(mediaType: string): boolean {
  return /\+gzip$|\+zstd$|\.gzip$/.test(mediaType)
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield bytes
}

async function* counted(path: string, blob: Blob, line: LayerProgress): AsyncGenerator<Buffer, void, void> {
  let bytes = 0
  let reported = 0
  for await (const chunk of readAhead(path)) {
    yield chunk
    bytes += chunk.length
    if (Date.now() - reported >= reportEveryMs || bytes === blob.size) {
      reported = Date.now()
      line.show('Pushing', bytes, blob.size)
    }
  }
}
