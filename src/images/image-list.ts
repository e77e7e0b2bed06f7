/** `GET /images/json` and the images' part of `GET /system/df`: answered from memory, no file is read. */
import type { LayerStore } from '../layers/layer-store.ts'
import type { Clock } from '../lib/clock.ts'
import type { ChainId, Digest } from '../spec/ids.ts'
import type { ImageSummary } from '../spec/image-types.ts'
import {
  booleanFilter,
  checkFilterNames,
  labelFilter,
  referenceFilter,
  untilFilter,
  type Filters,
} from './image-filters.ts'
import type { ImageRecord } from './image-record.ts'
import type { ImageUser } from './image-service.ts'
import type { ImageStore } from './image-store.ts'
import { manifestSummaries } from './manifest-summary.ts'
import { familiarText, parseCanonical, type Reference } from './reference.ts'

const acceptedFilters = ['dangling', 'label', 'label!', 'before', 'since', 'reference', 'until']

/** What a list is made of. */
export type ListSources = {
  images: ImageStore
  layers: LayerStore
  clock: Clock
  usersOf: (id: Digest) => readonly ImageUser[]
}

/** How images are listed. */
export type ListOptions = { all: boolean; filters: Filters; sharedSize: boolean; manifests: boolean }

/** The images that the filters let through, newest first. */
export function listImages(sources: ListSources, options: ListOptions): ImageSummary[] {
  const { images } = sources
  const { filters } = options
  checkFilterNames(filters, acceptedFilters)
  const dangling = booleanFilter(filters, 'dangling')
  const matchesReference = referenceFilter(filters)
  const tests = [labelFilter(filters), untilFilter(filters, sources.clock), ...ageFilters(images, filters)]
  const names = namesByImage(images)
  const parents = new Set(images.all().map((image) => image.parent))
  const shared = options.sharedSize ? sharedLayers(images) : undefined
  const rows: { createdNs: bigint; summary: ImageSummary }[] = []
  const held = images.held()
  for (const image of images.all()) {
    if (!tests.every((test) => test(image))) continue
    const known = names.get(image.id) ?? []
    // Another platform of an image that is shown.
    if (known.length === 0 && held.has(image.id)) continue
    if (dangling === true && (parents.has(image.id) || known.some((name) => name.tag !== undefined))) continue
    const shown = matchesReference === undefined ? known : known.filter(matchesReference)
    if (shown.length === 0) {
      const hidden = !options.all && parents.has(image.id)
      if (hidden || dangling === false || matchesReference !== undefined) continue
    }
    const summary = summaryOf(sources, image, { names: shown, shared, ...options })
    rows.push({ createdNs: BigInt(image.createdNs), summary })
  }
  rows.sort((a, b) => compare(b.createdNs, a.createdNs))
  return rows.map(({ summary }) => summary)
}

/** Bytes of an image's layers. */
export function imageBytes(image: ImageRecord): number {
  return image.layers.reduce((sum, layer) => sum + layer.size, 0)
}

function ageFilters(images: ImageStore, filters: Filters): ((image: ImageRecord) => boolean)[] {
  const before = (filters.get('before') ?? []).map((name) => images.find(name).image)
  const since = (filters.get('since') ?? []).map((name) => images.find(name).image)
  return [
    ...before.map((other) => (image: ImageRecord) => compareCreated(image, other) < 0),
    ...since.map((other) => (image: ImageRecord) => compareCreated(image, other) > 0),
  ]
}

function compareCreated(a: ImageRecord, b: ImageRecord): number {
  return compare(BigInt(a.createdNs), BigInt(b.createdNs))
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function namesByImage(images: ImageStore): Map<Digest, Reference[]> {
  const names = new Map<Digest, Reference[]>()
  for (const [text, id] of [...images.allReferences()].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const known = names.get(id)
    if (known === undefined) names.set(id, [parseCanonical(text)])
    else known.push(parseCanonical(text))
  }
  return names
}

/** Layers that more than one image has. */
function sharedLayers(images: ImageStore): Set<ChainId> {
  const seen = new Set<ChainId>()
  const shared = new Set<ChainId>()
  for (const image of images.all()) {
    for (const { chainId } of image.layers) {
      if (seen.has(chainId)) shared.add(chainId)
      seen.add(chainId)
    }
  }
  return shared
}

type SummaryParts = {
  names: readonly Reference[]
  shared: ReadonlySet<ChainId> | undefined
  manifests: boolean
}

function summaryOf(sources: ListSources, image: ImageRecord, parts: SummaryParts): ImageSummary {
  const { names, shared, manifests } = parts
  const size = imageBytes(image)
  const users = sources.usersOf(image.id)
  const target = names.map((name) => sources.images.targetOf(name)).find((one) => one !== undefined)
  const sharedSize =
    shared === undefined
      ? -1
      : image.layers.reduce((sum, layer) => sum + (shared.has(layer.chainId) ? layer.size : 0), 0)
  return {
    Id: image.id,
    ParentId: image.parent ?? '',
    RepoTags: names.filter((name) => name.digest === undefined).map(familiarText),
    RepoDigests: names.filter((name) => name.digest !== undefined).map(familiarText),
    Created: Number(BigInt(image.createdNs) / 1_000_000_000n),
    Size: size,
    SharedSize: sharedSize,
    Labels: image.labels,
    Containers: users.length,
    Descriptor: target?.descriptor ?? image.manifest,
    ...(manifests ? { Manifests: manifestSummaries(sources, image, target) } : {}),
  }
}

/** Tags of an image, familiar; names by digest are left out. */
export function tagsOf(images: ImageStore, id: Digest): string[] {
  return images
    .referencesOf(id)
    .filter((reference) => reference.digest === undefined)
    .map((reference) => familiarText(reference))
}
