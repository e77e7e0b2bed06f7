/**
 * The images' part of `GET /system/df`. What an image takes on disk is its unpacked layers and the blobs that are kept
 * beside them, those of its other platforms included; so that all of it adds up to what is in the store.
 */
import type { ContentStore } from '../content/content-store.ts'
import { digest, type Digest } from '../spec/ids.ts'
import type { ImageSummary } from '../spec/image-types.ts'
import { listImages, type ListSources } from './image-list.ts'
import type { ImageRecord } from './image-record.ts'
import { blobsOf, documentsOf } from './image-targets.ts'

/** Disk use of all images. */
export type ImagesUsage = {
  /** Images that containers use. */
  activeCount: number
  totalCount: number
  /** Bytes of all layers and blobs, each once. */
  totalBytes: number
  /** Bytes of those that no image in use has. */
  reclaimableBytes: number
  /** Sizes here are what the image takes on disk, and what it shares with others. */
  items: ImageSummary[]
}

/** What usage is counted from. */
export type UsageSources = ListSources & { content: ContentStore }

/** Bytes of the things on disk, by their names. */
type Holdings = ReadonlyMap<string, number>

/** What the images take on disk. */
export function imagesUsage(sources: UsageSources): ImagesUsage {
  const { images, layers, content, usersOf } = sources
  const blobs = new Map(content.all().map(({ digest, size }) => [digest, size]))
  const listed = listImages(sources, { all: false, filters: new Map(), sharedSize: false, manifests: false })
  const held = new Map(listed.map(({ Id }) => [Id, holdingsOf(sources, images.get(digest(Id)), blobs)]))
  const holders = new Map<string, number>()
  for (const one of held.values()) for (const key of one.keys()) holders.set(key, (holders.get(key) ?? 0) + 1)
  const items = listed.map((item) => {
    const own: Holdings = held.get(item.Id) ?? new Map()
    const shared = [...own].filter(([key]) => (holders.get(key) ?? 0) > 1)
    return { ...item, Size: sum(own.values()), SharedSize: sum(shared.map(([, bytes]) => bytes)) }
  })
  const active = images.all().filter((image) => usersOf(image.id).length > 0)
  const needed = new Map(active.flatMap((image) => [...holdingsOf(sources, image, blobs)]))
  const totalBytes = sum(layers.all().map((layer) => layer.size)) + sum(blobs.values())
  const reclaimableBytes = totalBytes - sum(needed.values())
  return { activeCount: active.length, totalCount: items.length, totalBytes, reclaimableBytes, items }
}

function holdingsOf(
  { images }: UsageSources,
  image: ImageRecord | undefined,
  blobs: ReadonlyMap<Digest, number>,
): Holdings {
  const held = new Map<string, number>()
  if (image === undefined) return held
  const targets = images.referencesOf(image.id).flatMap((name) => images.targetOf(name) ?? [])
  const keep = (id: Digest) => held.set(`blob ${id}`, blobs.get(id) ?? 0)
  for (const id of targets.flatMap(documentsOf)) keep(id)
  for (const one of [image, ...targets.flatMap((target) => images.members(target))]) {
    for (const { chainId, size } of one.layers) held.set(`layer ${chainId}`, size)
    for (const id of blobsOf(one)) keep(id)
  }
  return held
}

function sum(values: Iterable<number>): number {
  let total = 0
  for (const value of values) total += value
  return total
}
