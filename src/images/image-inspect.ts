/** `GET /images/{name}/json` and `/history`. */
import type { LayerStore } from '../layers/layer-store.ts'
import { zeroTime, parseTimeNs } from '../lib/clock.ts'
import { EngineError } from '../spec/errors.ts'
import type { Digest } from '../spec/ids.ts'
import type { ImageHistoryItem, ImageInspect, Platform } from '../spec/image-types.ts'
import { shownConfig } from './config-shape.ts'
import { imageBytes, tagsOf } from './image-list.ts'
import type { ImageRecord } from './image-record.ts'
import type { ImageStore } from './image-store.ts'
import type { ImageUser } from './image-service.ts'
import { manifestSummaries } from './manifest-summary.ts'
import { familiarText } from './reference.ts'

/** What answers are made of. */
export type InspectSources = {
  images: ImageStore
  layers: LayerStore
  usersOf: (id: Digest) => readonly ImageUser[]
}

/** An image in full. Throws notFound, also when it is for another platform than asked for. */
export function inspectImage(
  sources: InspectSources,
  name: string,
  { platform, manifests = false }: { platform?: Platform; manifests?: boolean },
): ImageInspect {
  const { images, layers } = sources
  const { image, target } = images.findFor(name, platform)
  const shown = platform === undefined ? (target?.descriptor ?? image.manifest) : image.manifest
  const config = images.config(image.id)
  const names = images.namesShown(image.id)
  const chain = image.layers.map((layer) => layers.get(layer.chainId)?.directory ?? '').toReversed()
  const lastComment = config.history?.at(-1)?.comment ?? ''
  return {
    Id: image.id,
    RepoTags: names.filter((reference) => reference.digest === undefined).map(familiarText),
    RepoDigests: names.filter((reference) => reference.digest !== undefined).map(familiarText),
    Parent: image.parent ?? '',
    Comment: config.comment === '' ? lastComment : config.comment,
    ...(config.created === '' ? {} : { Created: config.created }),
    DockerVersion: config.docker_version,
    Author: config.author,
    Config: config.config === null ? null : shownConfig(config.config),
    Architecture: config.architecture,
    ...(config.variant === '' ? {} : { Variant: config.variant }),
    Os: image.platform.os,
    ...(config['os.version'] === '' ? {} : { OsVersion: config['os.version'] }),
    Size: imageBytes(image),
    GraphDriver: { Name: layers.driver.name, Data: layers.driver.describeLayers(chain) },
    RootFS: { Type: config.rootfs.type, Layers: image.layers.map((layer) => layer.diffId) },
    Descriptor: shown,
    ...(manifests ? { Manifests: manifestSummaries(sources, image, target) } : {}),
    Metadata: { LastTagTime: image.lastTagged === '' ? zeroTime : image.lastTagged },
  }
}

/** The steps an image was made in, newest first. */
export function imageHistory(
  { images }: InspectSources,
  name: string,
  platform: Platform | undefined,
): ImageHistoryItem[] {
  const { image } = images.findFor(name, platform)
  const items: ImageHistoryItem[] = []
  let layer = 0
  for (const entry of images.config(image.id).history ?? []) {
    let size = 0
    if (!entry.empty_layer) {
      const found = image.layers[layer]
      if (found === undefined) {
        throw new EngineError('internal', 'too many non-empty layers in History section')
      }
      size = found.size
      layer += 1
    }
    items.unshift({
      Id: '<missing>',
      Created: Number((parseTimeNs(entry.created) ?? 0n) / 1_000_000_000n),
      CreatedBy: entry.created_by,
      Tags: null,
      Size: size,
      Comment: entry.comment,
    })
  }
  nameSteps(images, image, items)
  return items
}

/** Steps that are images of their own (parents of a commit) show their ids and tags. */
function nameSteps(images: ImageStore, image: ImageRecord, items: ImageHistoryItem[]): void {
  let step: ImageRecord | undefined = image
  for (const item of items) {
    if (step === undefined) return
    item.Id = step.id
    const tags = tagsOf(images, step.id)
    item.Tags = tags.length === 0 ? null : tags
    step = step.parent === undefined ? undefined : images.get(step.parent)
  }
}
