/** Making the layers of one chain; see `layer-store.ts`. */
import { createHash } from 'node:crypto'
import type { IdMapping } from '../lib/id-mapping.ts'
import type { KeyedMutex } from '../lib/mutex.ts'
import type { WorkerPool } from '../lib/worker-pool.ts'
import { EngineError } from '../spec/errors.ts'
import { algorithmOf, chainId, digest, type ChainId, type DiffId, type Digest } from '../spec/ids.ts'
import type { LayerJob, LayerJobResult, UnpackedLayer } from './layer-jobs.ts'
import type { Layer, LayerStore } from './layer-store.ts'
import type { DraftLayer, StorageDriver } from './storage-driver.ts'

/** A layer of the chain, from the bottom up. */
export type LayerSource = {
  diffId: DiffId
  /** File with the layer's blob, compressed or not. */
  path: string
  /** What the blob's bytes must hash to, where that is known. */
  blobDigest?: Digest
  /** The blob is in the store, where it came verified: its layer needs no second look if it is there. */
  known?: { digest: Digest; size: number }
  /** The file is a plain tar that was made and hashed just now. */
  isMade?: true
  /** The file is still being written: waits until it may be read, and holds what that takes. */
  begin?: (signal: AbortSignal) => Promise<GrowingSource>
  /** The blob is not what its digest says. */
  onWrong?: () => void
  /** Reports that the layer is done, with its blob's size. */
  onDone?: (bytes: number) => void
}

/** A layer blob that is still coming in. */
export type GrowingSource = Disposable & {
  growing: SharedArrayBuffer
  /** Asked when it cannot be read: why it is not whole, or not what it should be, if so. */
  failure: () => Promise<unknown>
}

/** Outcome of an apply. Insert `added` in the transaction that makes the image, then dispose. */
export interface AppliedLayers extends AsyncDisposable {
  /** All layers of the chain, from the bottom up. */
  readonly layers: readonly Layer[]
  /** Those of them that have no row yet. */
  readonly added: readonly Layer[]
  /** Digest and size of each source's blob. */
  readonly blobs: readonly { digest: Digest; size: number }[]
}

/** The chain ids of a list of diff ids, from the bottom up (OCI image specification, "Layer ChainID"). */
export function chainIds(diffIds: readonly DiffId[]): ChainId[] {
  const ids: ChainId[] = []
  for (const diff of diffIds) {
    const below = ids.at(-1)
    ids.push(
      chainId(
        below === undefined
          ? diff
          : `sha256:${createHash('sha256').update(`${below} ${diff}`).digest('hex')}`,
      ),
    )
  }
  return ids
}

type Context = {
  store: LayerStore
  driver: StorageDriver
  pool: WorkerPool<LayerJob, LayerJobResult>
  locks: KeyedMutex
  maxLayerBytes: number
  ids: IdMapping | undefined
  signal: AbortSignal
}

type Done = { unpacked: UnpackedLayer; draft: DraftLayer | undefined }

/** One apply. */
export class LayerApply {
  readonly #context: Context

  constructor(context: Context) {
    this.#context = context
  }

  /** See `LayerStore.apply`. */
  async run(sources: readonly LayerSource[]): Promise<AppliedLayers> {
    const { store, locks, signal } = this.#context
    const ids = chainIds(sources.map((source) => source.diffId))
    await using undo = new AsyncDisposableStack()
    undo.use(store.lease(ids))
    // From the bottom up, so that two chains with a common base never wait for one another crosswise. What is
    // there needs no lock: the lease keeps it.
    for (const id of ids) if (store.get(id) === undefined) undo.use(await locks.acquire(id, signal))
    const missing = ids.map((id) => store.get(id) === undefined)
    const done = await this.#unpackAll(sources, missing, undo)
    const layers: Layer[] = []
    const added: Layer[] = []
    for (const [index, id] of ids.entries()) {
      const layer =
        store.get(id) ??
        (await this.#publish({ id, layers, source: sources[index], done: done[index] }, undo))
      if (missing[index] === true) added.push(layer)
      layers.push(layer)
    }
    const held = undo.move()
    return {
      layers,
      added,
      blobs: done.map(({ unpacked }) => ({ digest: digest(unpacked.blobDigest), size: unpacked.blobBytes })),
      [Symbol.asyncDispose]: () => held.disposeAsync(),
    }
  }

  async #unpackAll(
    sources: readonly LayerSource[],
    missing: readonly boolean[],
    undo: AsyncDisposableStack,
  ): Promise<Done[]> {
    const outcomes = await Promise.allSettled(
      sources.map(async (source, index) => this.#unpack(source, missing[index] === true, undo)),
    )
    return outcomes.map((outcome) => {
      if (outcome.status === 'rejected') throw outcome.reason
      return outcome.value
    })
  }

  async #unpack(source: LayerSource, isMissing: boolean, undo: AsyncDisposableStack): Promise<Done> {
    const { driver } = this.#context
    if (!isMissing && source.known !== undefined)
      return { unpacked: unread(source, source.known), draft: undefined }
    const draft = isMissing ? undo.use(await driver.createLayer()) : undefined
    const unpacked = await this.#read(source, draft)
    if (source.blobDigest !== undefined && source.blobDigest !== unpacked.blobDigest) {
      source.onWrong?.()
      throw new EngineError(
        'invalid',
        // moby distribution/pull_v2.go
        source.begin === undefined
          ? `layer blob has digest ${unpacked.blobDigest}, expected ${source.blobDigest}`
          : `filesystem layer verification failed for digest ${source.blobDigest}`,
      )
    }
    if (unpacked.diffId !== source.diffId) {
      // moby distribution/pull_v2.go and image/tarexport/load.go
      throw new EngineError(
        'invalid',
        source.begin === undefined
          ? `invalid diffID for layer: expected "${source.diffId}", got "${unpacked.diffId}"`
          : "layers from manifest don't match image configuration",
      )
    }
    source.onDone?.(unpacked.blobBytes)
    return { unpacked, draft }
  }

  async #read(source: LayerSource, draft: DraftLayer | undefined): Promise<UnpackedLayer> {
    const { pool, maxLayerBytes, ids, signal } = this.#context
    using coming = await source.begin?.(signal)
    try {
      const { unpacked } = await pool.run(
        {
          kind: 'unpack',
          source: source.path,
          algorithm: source.blobDigest === undefined ? 'sha256' : algorithmOf(source.blobDigest),
          plainAlgorithm: algorithmOf(source.diffId),
          maxBytes: maxLayerBytes,
          ids,
          ...(source.isMade === undefined ? {} : { made: source.diffId }),
          ...(draft === undefined ? {} : { target: draft.directory }),
          ...(coming === undefined ? {} : { growing: coming.growing }),
        },
        signal,
      )
      if (unpacked === undefined) throw new Error('unpack answered nothing')
      return unpacked
    } catch (error) {
      throw (await coming?.failure()) ?? error
    }
  }

  async #publish(
    step: { id: ChainId; layers: readonly Layer[]; source: LayerSource | undefined; done: Done | undefined },
    undo: AsyncDisposableStack,
  ): Promise<Layer> {
    const { driver, pool, store } = this.#context
    const { id, layers, source, done } = step
    if (source === undefined || done?.draft === undefined) throw new Error(`layer ${id} went away`)
    const { draft, unpacked } = done
    if (unpacked.implied.length > 0 && layers.length > 0) {
      const lowers = layers.map((layer) => driver.layerDirectory(layer.directory)).toReversed()
      await pool.run({ kind: 'inherit', directory: draft.directory, implied: unpacked.implied, lowers })
    }
    const directory = id.slice(id.indexOf(':') + 1)
    await draft.publish(directory, layers.map((layer) => layer.directory).toReversed())
    undo.defer(async () => {
      // Published and not committed: nothing names it.
      if (store.get(id) === undefined) await driver.removeLayer(directory)
    })
    return {
      chainId: id,
      parent: layers.at(-1)?.chainId,
      diffId: source.diffId,
      size: unpacked.size,
      directory,
    }
  }
}

/** What reading a layer again would give. */
function unread(source: LayerSource, { digest: id, size }: { digest: Digest; size: number }): UnpackedLayer {
  return { blobDigest: id, blobBytes: size, diffId: source.diffId, size: 0, implied: [] }
}
