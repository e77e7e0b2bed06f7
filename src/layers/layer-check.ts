/** Checks the unpacked layers: rows against directories, and with `deep` files against the blobs they came from. */
import { stat } from 'node:fs/promises'
import type { StoreProblem } from '../lib/store-problem.ts'
import { errorCode } from '../spec/errors.ts'
import { chainId, digestOfHex, type ChainId } from '../spec/ids.ts'
import type { LayerBlob } from './layer-restore.ts'
import type { Layer, LayerStore } from './layer-store.ts'

/** What a check of the layers is given. */
export type LayerCheck = {
  layers: LayerStore
  deep: boolean
  /** The blob that a layer was made of, where it is at hand. */
  blobOf: (id: ChainId) => LayerBlob | undefined
  /** Whether a container that runs has the layer below its root. */
  isMounted: (id: ChainId) => boolean
  signal: AbortSignal
}

/** See the file's head. */
export async function* checkLayers(check: LayerCheck): AsyncGenerator<StoreProblem> {
  const { layers, signal } = check
  const needed = layers.neededLayers()
  for (const layer of layers.all()) {
    signal.throwIfAborted()
    const problem = needed.has(layer.chainId)
      ? await checkLayer(check, layer)
      : unneeded(layers, layer.chainId)
    if (problem !== undefined && layers.get(layer.chainId) !== undefined) yield problem
  }
  const known = new Set(layers.all().map((layer) => layer.directory))
  for (const name of await layers.driver.listLayers()) {
    const id = digestOfHex(name)
    if (known.has(name) || (id !== undefined && layers.neededLayers().has(chainId(id)))) continue
    yield {
      kind: 'unowned',
      object: layers.driver.layerDirectory(name),
      detail: 'no row names this layer',
      repair: () => layers.removeUnowned(name),
    }
  }
}

function unneeded(layers: LayerStore, id: ChainId): StoreProblem {
  return {
    kind: 'unowned',
    object: id,
    detail: 'no image and no container needs this layer',
    repair: async () => void (await layers.collect([id])),
  }
}

async function checkLayer(check: LayerCheck, layer: Layer): Promise<StoreProblem | undefined> {
  const found = await whatIsWrong(check, layer)
  if (found === undefined) return undefined
  const blob = check.blobOf(layer.chainId)
  if (blob === undefined) {
    return { ...found, object: layer.chainId, advice: 'remove the image and pull it again' }
  }
  if (found.kind === 'damaged' && check.isMounted(layer.chainId)) {
    return { ...found, object: layer.chainId, advice: 'stop the containers that use it, then repair' }
  }
  return { ...found, object: layer.chainId, repair: () => check.layers.restore(layer, blob, check.signal) }
}

async function whatIsWrong(
  { layers, deep, blobOf, signal }: LayerCheck,
  layer: Layer,
): Promise<Pick<StoreProblem, 'kind' | 'detail'> | undefined> {
  try {
    await stat(layers.driver.layerDirectory(layer.directory))
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    return { kind: 'missing', detail: 'the files of this layer are not there' }
  }
  const blob = deep ? blobOf(layer.chainId) : undefined
  if (blob === undefined) return undefined
  try {
    const difference = await layers.compare(layer, blob, signal)
    return difference === undefined ? undefined : { kind: 'damaged', detail: difference }
  } catch {
    // The blob itself is lost or damaged, which the check of the content tells.
    signal.throwIfAborted()
    return undefined
  }
}
