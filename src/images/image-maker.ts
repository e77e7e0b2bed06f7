/**
 * The end of every way that an image comes in (load, import, commit; pull and build later): layer blobs are
 * unpacked and verified side by side, made durable, published, and the image becomes visible in one transaction.
 */
import { digestOf, type Blob, type ContentStore } from '../content/content-store.ts'
import { DurableWrites } from '../layers/durable-writes.ts'
import type { AppliedLayers, GrowingSource, LayerSource } from '../layers/layer-apply.ts'
import type { LayerJob, LayerJobResult } from '../layers/layer-jobs.ts'
import type { LayerStore } from '../layers/layer-store.ts'
import { parseTimeNs } from '../lib/clock.ts'
import type { WorkerPool } from '../lib/worker-pool.ts'
import { EngineError } from '../spec/errors.ts'
import { algorithmOf, type DiffId, type Digest } from '../spec/ids.ts'
import type { Descriptor } from '../spec/image-types.ts'
import {
  containerConfigOf,
  diffIdsOf,
  ImageConfig,
  mediaTypes,
  parseJson,
  platformOf,
  type ImageRecord,
  type Target,
} from './image-record.ts'
import type { ImageStore } from './image-store.ts'
import type { Reference } from './reference.ts'

/** What the maker stands on. */
export type ImageMakerOptions = {
  content: ContentStore
  layers: LayerStore
  images: ImageStore
  pool: WorkerPool<LayerJob, LayerJobResult>
}

/** A layer's blob in a file: an ingest file, which is moved into the store, or a blob that is there. */
export type LayerFile = {
  path: string
  mediaType: string
  /** What the blob must hash to, where that is known. */
  digest?: Digest
  /** The file is a plain tar that was made and hashed just now. */
  isMade?: true
  /** Set where the file is a blob of the store already. */
  known?: Blob
  /** The layer has been read, so many bytes, and found right. */
  onDone?: (bytes: number) => void
  /** The file is still coming in: see `LayerSource`. It keeps its name, as others may wait for it too. */
  begin?: (signal: AbortSignal) => Promise<GrowingSource>
  /** The blob is not what its digest says. */
  onWrong?: () => void
  /** The file has been moved. */
  onMoved?: (path: string) => void
}

/** An image that has come in. */
export type ImageDraft = {
  /** The configuration's exact bytes. */
  config: Buffer
  /** From the bottom up. */
  layers: readonly LayerFile[]
  /** The image's id where that is not the configuration's sha256. */
  id?: Digest
  /** The manifest's exact bytes, where it came along; else one is made. */
  manifest?: { data: Buffer; mediaType: string; digest?: Digest }
  references: readonly Reference[]
  /** What the names stand for, and its documents, which are there. */
  target?: { target: Target; blobs: readonly Blob[] } | undefined
  parent?: Digest
  /** See `ImageRecord`. */
  fromRegistry?: true
}

/** See the file's head. */
export class ImageMaker {
  readonly #options: ImageMakerOptions

  constructor(options: ImageMakerOptions) {
    this.#options = options
  }

  /** Makes the image and answers its id. Throws invalid when anything is not what its digest says. */
  async make(draft: ImageDraft, signal: AbortSignal): Promise<Digest> {
    const { content, layers, images, pool } = this.#options
    const config = parseJson(ImageConfig, draft.config, 'image configuration')
    await using writes = new DurableWrites(pool, content.directory)
    await using applied = await layers.apply(sourcesOf(draft, diffIdsOf(config)), signal)
    const layerBlobs = applied.blobs.map((blob, index) => ({
      mediaType: draft.layers[index]?.mediaType ?? mediaTypes.layer,
      ...blob,
    }))
    const configBlob = { digest: draft.id ?? digestOf(draft.config), size: draft.config.length }
    const manifest = manifestOf(draft, configBlob, layerBlobs)
    const manifestBlob = { digest: manifest.descriptor.digest, size: manifest.descriptor.size }
    const blobs = [...applied.blobs, configBlob, manifestBlob]
    using _lease = content.lease(blobs.map((blob) => blob.digest))
    // One sync for the blobs and all the unpacked files: they are on one file system.
    await writes.finish()
    signal.throwIfAborted()
    await this.#publishLayers(draft, applied.blobs)
    await content.put(draft.config, algorithmOf(configBlob.digest))
    await content.put(manifest.data, algorithmOf(manifestBlob.digest))
    images.insert({
      record: recordOf({
        id: configBlob.digest,
        config,
        manifest: manifest.descriptor,
        layerBlobs,
        applied,
        draft,
      }),
      config: draft.config.toString('utf8'),
      blobs: [...blobs, ...(draft.target?.blobs ?? [])],
      layers: applied.added,
      references: draft.references,
      target: draft.target?.target,
    })
    return configBlob.digest
  }

  async #publishLayers(draft: ImageDraft, blobs: readonly Blob[]): Promise<void> {
    const { content } = this.#options
    const done = new Set<string>()
    for (const [index, { path, onMoved, begin }] of draft.layers.entries()) {
      const id = blobs[index]?.digest
      if (id === undefined || done.has(path) || path === content.path(id)) continue
      done.add(path)
      if (begin === undefined) await content.publish(path, id)
      else await content.publishLink(path, id)
      onMoved?.(content.path(id))
    }
  }
}

function sourcesOf(draft: ImageDraft, diffIds: readonly DiffId[]): LayerSource[] {
  if (diffIds.length !== draft.layers.length) {
    // moby distribution/pull_v2.go and image/tarexport/load.go
    throw new EngineError(
      'invalid',
      draft.fromRegistry === true
        ? "layers from manifest don't match image configuration"
        : `invalid manifest, layers length mismatch: expected ${draft.layers.length}, got ${diffIds.length}`,
    )
  }
  return diffIds.flatMap((diffId, index) => {
    const layer = draft.layers[index]
    if (layer === undefined) return []
    return [
      {
        diffId,
        path: layer.path,
        ...(layer.digest === undefined ? {} : { blobDigest: layer.digest }),
        ...(layer.isMade === undefined ? {} : { isMade: layer.isMade }),
        ...(layer.known === undefined ? {} : { known: layer.known }),
        ...(layer.begin === undefined ? {} : { begin: layer.begin }),
        ...(layer.onWrong === undefined ? {} : { onWrong: layer.onWrong }),
        ...(layer.onDone === undefined ? {} : { onDone: layer.onDone }),
      },
    ]
  })
}

function manifestOf(
  draft: ImageDraft,
  config: Blob,
  layers: readonly Descriptor[],
): { data: Buffer; descriptor: Descriptor } {
  const made = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: { mediaType: mediaTypes.config, ...config },
    layers,
  }
  const given: ImageDraft['manifest'] = draft.manifest
  const { data, mediaType, digest } = given ?? {
    data: Buffer.from(JSON.stringify(made)),
    mediaType: mediaTypes.manifest,
  }
  return { data, descriptor: { mediaType, digest: digest ?? digestOf(data), size: data.length } }
}

type RecordParts = {
  id: Digest
  config: ImageConfig
  manifest: Descriptor
  layerBlobs: readonly Descriptor[]
  applied: AppliedLayers
  draft: ImageDraft
}

function recordOf({ id, config, manifest, layerBlobs, applied, draft }: RecordParts): ImageRecord {
  return {
    id,
    manifest,
    layers: applied.layers.flatMap(({ diffId, chainId, size }, index) => {
      const blob = layerBlobs[index]
      return blob === undefined ? [] : [{ diffId, chainId, size, blob }]
    }),
    platform: platformOf(config),
    created: config.created,
    createdNs: (parseTimeNs(config.created) ?? 0n).toString(),
    labels: containerConfigOf(config).Labels,
    parent: draft.parent,
    ...(draft.fromRegistry === undefined ? {} : { fromRegistry: draft.fromRegistry }),
    lastTagged: '',
  }
}
