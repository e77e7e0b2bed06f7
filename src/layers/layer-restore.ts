/** Making a layer's files again from its blob, and comparing the two: for the check of the store. */
import type { IdMapping } from '../lib/id-mapping.ts'
import type { WorkerPool } from '../lib/worker-pool.ts'
import { algorithmOf, type Digest } from '../spec/ids.ts'
import { DurableWrites } from './durable-writes.ts'
import type { LayerJob, LayerJobResult, UnpackedLayer } from './layer-jobs.ts'
import type { Layer } from './layer-store.ts'
import type { DraftLayer, StorageDriver } from './storage-driver.ts'

/** The blob that a layer was made of. */
export type LayerBlob = { digest: Digest; path: string }

type Means = {
  driver: StorageDriver
  pool: WorkerPool<LayerJob, LayerJobResult>
  maxLayerBytes: number
  ids: IdMapping | undefined
}

/** See `LayerStore.restore`. The caller holds the layer's lock. `below` is the chain under it, topmost first. */
export async function restoreLayer(
  means: Means,
  { layer, below, blob }: { layer: Layer; below: readonly Layer[]; blob: LayerBlob },
  signal: AbortSignal,
): Promise<void> {
  const { driver, pool } = means
  await using draft = await driver.createLayer()
  await using writes = new DurableWrites(pool, draft.directory)
  const { implied } = await unpackInto(means, draft, { layer, blob }, signal)
  const lowers = below.map(({ directory }) => directory)
  if (implied.length > 0 && lowers.length > 0) {
    const directories = lowers.map((name) => driver.layerDirectory(name))
    await pool.run({ kind: 'inherit', directory: draft.directory, implied, lowers: directories }, signal)
  }
  await writes.finish()
  await draft.publish(layer.directory, lowers)
}

/** See `LayerStore.compare`. */
export async function compareLayer(
  means: Means,
  { layer, blob }: { layer: Layer; blob: LayerBlob },
  signal: AbortSignal,
): Promise<string | undefined> {
  const { driver, pool } = means
  await using draft = await driver.createLayer()
  await unpackInto(means, draft, { layer, blob }, signal)
  const bytesIn = async (directory: string) => (await pool.run({ kind: 'usage', directory }, signal)).bytes
  const expected = await bytesIn(draft.directory)
  const found = await bytesIn(driver.layerDirectory(layer.directory))
  return found === expected ? undefined : `its files have ${found} bytes, the blob unpacks to ${expected}`
}

async function unpackInto(
  { pool, maxLayerBytes, ids }: Means,
  draft: DraftLayer,
  { layer, blob }: { layer: Layer; blob: LayerBlob },
  signal: AbortSignal,
): Promise<UnpackedLayer> {
  const { unpacked } = await pool.run(
    {
      kind: 'unpack',
      source: blob.path,
      algorithm: algorithmOf(blob.digest),
      plainAlgorithm: algorithmOf(layer.diffId),
      maxBytes: maxLayerBytes,
      ids,
      target: draft.directory,
    },
    signal,
  )
  if (unpacked?.blobDigest !== blob.digest || unpacked.diffId !== layer.diffId) {
    throw new Error(`blob ${blob.digest} is damaged`)
  }
  return unpacked
}
