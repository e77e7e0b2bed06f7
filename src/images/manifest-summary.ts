/** `Manifests` of an image in lists and inspections: its platforms and attestations, here or not. */
import type { Digest } from '../spec/ids.ts'
import type { Descriptor } from '../spec/image-types.ts'
import { manifestsOf, type ImageRecord, type Target } from './image-record.ts'
import type { ImageUser } from './image-service.ts'
import type { ImageStore } from './image-store.ts'

/** What summaries are made of. */
export type SummarySources = {
  images: ImageStore
  usersOf: (id: Digest) => readonly ImageUser[]
}

const attestationType = 'attestation-manifest'
const referenceType = 'vnd.docker.reference.type'
const referenceDigest = 'vnd.docker.reference.digest'

/** The manifest that an entry of an index attests something of; undefined where it is no attestation. */
export function attestedManifest({ annotations }: Descriptor): string | undefined {
  return annotations?.[referenceType] === attestationType ? (annotations[referenceDigest] ?? '') : undefined
}

/** One entry for each manifest of the index that the image's name stands for; else the image's own. */
export function manifestSummaries(
  sources: SummarySources,
  image: ImageRecord,
  target: Target | undefined,
): Record<string, unknown>[] {
  const entries = target?.index?.manifests
  if (entries === undefined) return [imageSummary(sources, image, image.manifest)]
  return entries.map((entry) => {
    const found = sources.images.imageOfManifest(entry.digest)
    if (found !== undefined) return imageSummary(sources, found, entry)
    const base = { ID: entry.digest, Descriptor: entry, Available: false, Size: { Content: 0, Total: 0 } }
    const attested = attestedManifest(entry)
    if (attested !== undefined) return { ...base, Kind: 'attestation', AttestationData: { For: attested } }
    if (entry.platform === undefined || entry.platform.os === 'unknown') return { ...base, Kind: 'unknown' }
    const { platform: Platform } = entry
    return { ...base, Kind: 'image', ImageData: { Platform, Containers: [], Size: { Unpacked: 0 } } }
  })
}

function imageSummary(
  { usersOf }: SummarySources,
  image: ImageRecord,
  entry: Descriptor,
): Record<string, unknown> {
  const stored = manifestsOf(image).find(({ manifest }) => manifest.digest === entry.digest)
  const blobs = stored?.blobs ?? image.layers.map((layer) => layer.blob)
  const content = entry.size + blobs.reduce((sum, blob) => sum + blob.size, 0)
  const unpacked = image.layers.reduce((sum, layer) => sum + layer.size, 0)
  const Platform = entry.platform ?? image.platform
  return {
    ID: entry.digest,
    Descriptor: { ...entry, platform: Platform },
    Available: true,
    Size: { Content: content, Total: content + unpacked },
    Kind: 'image',
    ImageData: {
      Platform,
      Containers: usersOf(image.id).map((user) => user.id),
      Size: { Unpacked: unpacked },
    },
  }
}
