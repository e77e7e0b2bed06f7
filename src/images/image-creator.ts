/** `docker import` and `docker commit`: images made of a tar, and of what a container changed. */
import { createHash } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import type { ContentStore } from '../content/content-store.ts'
import type { OverlayRootfsStore } from '../layers/rootfs-store.ts'
import { formatTimeNs, type Clock } from '../lib/clock.ts'
import type { LayerStore } from '../layers/layer-store.ts'
import { decompressUpTo } from '../lib/decompress.ts'
import { ContainerConfig } from '../spec/container-config.ts'
import { writePieces } from '../lib/write-pieces.ts'
import { EngineError } from '../spec/errors.ts'
import { digest, type ContainerId, type Digest } from '../spec/ids.ts'
import type { HistoryEntry, Platform } from '../spec/image-types.ts'
import { storedConfig } from './config-shape.ts'
import { applyChanges, mergeConfig } from './image-changes.ts'
import type { ImageMaker, LayerFile } from './image-maker.ts'
import { mediaTypes, type ImageRecord } from './image-record.ts'
import type { ImageStore } from './image-store.ts'
import type { Reference } from './reference.ts'

/** What making images stands on. */
export type CreatorOptions = {
  content: ContentStore
  images: ImageStore
  maker: ImageMaker
  rootfs: OverlayRootfsStore
  layers: LayerStore
  clock: Clock
}

/** A container to make an image of. The caller has paused it if that was asked for. */
export type CommitRequest = {
  containerId: ContainerId
  /** The image it was made from; undefined for none. */
  imageId: Digest | undefined
  /** The container's own configuration. */
  containerConfig: ContainerConfig
  /** The configuration the client sent, else the container's is taken. */
  config: ContainerConfig | undefined
  changes: readonly string[]
  comment: string
  author: string
  /** The name to give; undefined for none. */
  reference: Reference | undefined
}

/** The diff id of a tar without entries. */
const emptyDiffId = digest(`sha256:${createHash('sha256').update(Buffer.alloc(1024)).digest('hex')}`)

/** See the file's head. */
export class ImageCreator {
  readonly #options: CreatorOptions

  constructor(options: CreatorOptions) {
    this.#options = options
  }

  /** Makes an image of one layer from a tar, compressed or not. */
  async import(
    source: AsyncIterable<Uint8Array>,
    request: {
      platform: Platform
      message: string
      changes: readonly string[]
      reference: Reference | undefined
    },
    signal: AbortSignal,
  ): Promise<Digest> {
    const { content, maker, clock } = this.#options
    const config = applyChanges(ContainerConfig.parse({}), request.changes)
    const path = content.ingestPath()
    try {
      const plain = decompressUpTo(source, this.#options.layers.maxArchiveBytes)
      const diffId = await writeFile(plain, path, signal)
      const created = formatTimeNs(clock.nowNs())
      const document = {
        ...platformFields(request.platform),
        comment: request.message,
        config: storedConfig(config),
        created,
        history: [{ created, comment: request.message }],
        rootfs: { type: 'layers', diff_ids: [diffId] },
      }
      const layers: LayerFile[] = [{ path, mediaType: mediaTypes.layer, digest: diffId }]
      const references = request.reference === undefined ? [] : [request.reference]
      return await maker.make({ config: encode(document), layers, references }, signal)
    } finally {
      await rm(path, { force: true })
    }
  }

  /** Makes an image of a container: its image's layers and one of what it changed. */
  async commit(request: CommitRequest, signal: AbortSignal): Promise<Digest> {
    const { content, images, maker, rootfs, clock } = this.#options
    const base = applyChanges(request.config ?? request.containerConfig, request.changes)
    const config = mergeConfig(base, request.containerConfig)
    const parent = request.imageId === undefined ? undefined : images.get(request.imageId)
    // Without it most of the container's files would be missing.
    if (parent === undefined && request.imageId !== undefined) {
      throw new EngineError('notFound', `No such image: ${request.imageId}`)
    }
    const history = this.#history(parent)
    const path = content.ingestPath()
    // The image may be removed meanwhile: what its layers came in stays for the new one.
    using _lease = content.lease(parent?.layers.map(({ blob }) => blob.digest) ?? [])
    try {
      const packed = await rootfs.pack(request.containerId, path)
      const isEmpty = packed.digest === emptyDiffId
      const created = formatTimeNs(clock.nowNs())
      const step: HistoryEntry = {
        created,
        created_by: (request.containerConfig.Cmd ?? []).join(' '),
        ...(request.author === '' ? {} : { author: request.author }),
        ...(request.comment === '' ? {} : { comment: request.comment }),
        ...(isEmpty ? { empty_layer: true } : {}),
      }
      const added: LayerFile[] = isEmpty
        ? []
        : [{ path, mediaType: mediaTypes.layer, digest: digest(packed.digest), isMade: true }]
      const diffIds = parent?.layers.map((layer) => layer.diffId) ?? []
      const document = {
        ...platformFields(parent?.platform ?? hostless),
        ...(request.author === '' ? {} : { author: request.author }),
        config: storedConfig(config),
        container: request.containerId,
        created,
        history: [...history, step],
        rootfs: { type: 'layers', diff_ids: isEmpty ? diffIds : [...diffIds, packed.digest] },
      }
      const below = parent?.layers.map(({ blob }) => ({
        path: content.path(blob.digest),
        mediaType: blob.mediaType,
        digest: blob.digest,
        known: { digest: blob.digest, size: blob.size },
      }))
      return await maker.make(
        {
          config: encode(document),
          layers: [...(below ?? []), ...added],
          references: request.reference === undefined ? [] : [request.reference],
          ...(parent === undefined || images.get(parent.id) === undefined ? {} : { parent: parent.id }),
        },
        signal,
      )
    } finally {
      await rm(path, { force: true })
    }
  }

  /** The steps of the parent, exactly as its configuration has them. */
  #history(parent: ImageRecord | undefined): unknown[] {
    if (parent === undefined) return []
    const document: unknown = JSON.parse(this.#options.images.configText(parent.id))
    const history: unknown =
      typeof document === 'object' && document !== null ? Reflect.get(document, 'history') : []
    return Array.isArray(history) ? history : []
  }
}

const hostless: Platform = { os: 'linux', architecture: '' }

function platformFields(platform: Platform): Record<string, unknown> {
  return {
    architecture: platform.architecture,
    os: platform.os,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    ...(platform['os.version'] === undefined ? {} : { 'os.version': platform['os.version'] }),
    ...(platform['os.features'] === undefined ? {} : { 'os.features': platform['os.features'] }),
  }
}

/** The document's bytes with its top-level keys in order, as Docker writes them. */
function encode(document: Record<string, unknown>): Buffer {
  const sorted = Object.entries(document).sort(([a], [b]) => (a < b ? -1 : 1))
  return Buffer.from(JSON.stringify(Object.fromEntries(sorted)))
}

/** Writes a tar to a new file; answers its digest. */
async function writeFile(
  source: AsyncIterable<Uint8Array>,
  path: string,
  signal: AbortSignal,
): Promise<Digest> {
  const hash = createHash('sha256')
  const file = await open(path, 'wx', 0o600)
  try {
    for await (const chunk of source) {
      signal.throwIfAborted()
      hash.update(chunk)
      await writePieces(file, [chunk])
    }
  } finally {
    await file.close()
  }
  return digest(`sha256:${hash.digest('hex')}`)
}
