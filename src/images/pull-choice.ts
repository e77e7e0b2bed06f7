/** Which manifest of a registry is the image for a platform, through indexes, and what the name stands for with that. */
import { EngineError } from '../spec/errors.ts'
import { digest, type Digest } from '../spec/ids.ts'
import type { Descriptor, Platform } from '../spec/image-types.ts'
import {
  isIndexType,
  Manifest,
  parseJson,
  plainDescriptor,
  type ManifestDescriptor,
  type Target,
} from './image-record.ts'
import { platformRank, platformText } from './platform.ts'
import { familiarText, type Reference } from './reference.ts'
import type { FetchedManifest } from './registry-repository.ts'

/** What was chosen. */
export type Choice = {
  digest: Digest
  /** Undefined where it is here already. */
  manifest: FetchedManifest | undefined
  target: Target
  /** The indexes on the way, the outermost first. */
  documents: FetchedManifest[]
}

/** What choosing needs. */
export type ChoiceSources = {
  reference: Reference
  platform: Platform
  /** Whether a manifest is here, so that it need not be fetched. */
  isHere: (manifest: Digest) => boolean
  fetch: (manifest: Digest) => Promise<FetchedManifest>
}

const maxIndexDepth = 4

/** The manifest for the platform. Throws notFound where there is none, and invalid for what cannot be read. */
export async function choose(found: FetchedManifest, sources: ChoiceSources): Promise<Choice> {
  const { reference, platform, isHere, fetch } = sources
  const documents: FetchedManifest[] = []
  let current = found
  for (let depth = 0; depth <= maxIndexDepth; depth++) {
    const { manifests } = kindOf(current, reference)
    if (manifests === undefined) {
      return { digest: current.digest, manifest: current, target: targetOf(found, documents), documents }
    }
    documents.push(current)
    const best = bestOf(manifests, platform)
    if (best === undefined) {
      throw new EngineError(
        'notFound',
        `no matching manifest for ${platformText(platform)} in the manifest list entries`,
      )
    }
    if (isHere(best))
      return { digest: best, manifest: undefined, target: targetOf(found, documents), documents }
    current = await fetch(best)
  }
  throw new EngineError('invalid', 'image index is nested too deeply')
}

/** What a name stands for whose document is `found`, with the indexes that are kept. */
export function targetOf(found: FetchedManifest, indexes: readonly FetchedManifest[]): Target {
  const parsed = parseJson(Manifest, found.data, 'image manifest')
  const descriptor = { mediaType: typeOf(found, parsed), digest: found.digest, size: found.data.length }
  if (indexes.length === 0) return { descriptor }
  const kept = new Map(indexes.map((index) => [index.digest, index]))
  const manifests: Descriptor[] = []
  const nested: Descriptor[] = []
  const add = (entries: readonly ManifestDescriptor[]) => {
    for (const entry of entries.map(plainDescriptor)) {
      const inner = kept.get(entry.digest)
      if (inner === undefined) manifests.push(entry)
      else {
        // Each is taken once: an index cannot hold itself, but documents may lie.
        kept.delete(entry.digest)
        nested.push(entry)
        add(parseJson(Manifest, inner.data, 'image index').manifests ?? [])
      }
    }
  }
  kept.delete(found.digest)
  add(parsed.manifests ?? [])
  return { descriptor, index: { manifests, nested } }
}

/** The media type of a manifest: what it says itself, else what the registry says. */
export function typeOf(found: FetchedManifest, { mediaType, manifests }: Manifest): string {
  if (mediaType !== '') return mediaType
  if (found.mediaType !== '') return found.mediaType
  return manifests === undefined ? manifestType : indexType
}

const manifestType = 'application/vnd.oci.image.manifest.v1+json'
const indexType = 'application/vnd.oci.image.index.v1+json'

/** Index or manifest; throws for what is neither. */
function kindOf(found: FetchedManifest, reference: Reference): { manifests?: readonly ManifestDescriptor[] } {
  if (/docker\.distribution\.manifest\.v1\+/.test(found.mediaType)) throw schemaOne(reference)
  const parsed = parseJson(Manifest, found.data, 'image manifest')
  if (parsed.schemaVersion === 1) throw schemaOne(reference)
  if (parsed.manifests !== undefined && parsed.manifests !== null) return { manifests: parsed.manifests }
  if (parsed.config === undefined) {
    throw new EngineError('invalid', `unsupported manifest media type: ${found.mediaType}`)
  }
  return {}
}

function schemaOne(reference: Reference): EngineError {
  return new EngineError(
    'invalid',
    `[DEPRECATION NOTICE] Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. Suggest the author of ${familiarText(reference)} to upgrade the image to the OCI Format or Docker Image manifest v2, schema 2. More information at https://docs.docker.com/go/deprecated-image-specs/`,
  )
}

/** The best entry for a platform. One that does not say its platform is better than none. */
function bestOf(manifests: readonly ManifestDescriptor[], wanted: Platform): Digest | undefined {
  let best: { rank: number; digest: string } | undefined
  for (const { platform, digest: id, mediaType } of manifests) {
    const rank = platform === null ? unknownRank(mediaType) : platformRank(wanted, platform)
    if (rank === undefined || (best !== undefined && best.rank <= rank)) continue
    best = { rank, digest: id }
  }
  return best === undefined ? undefined : digest(best.digest)
}

function unknownRank(mediaType: string): number {
  return isIndexType(mediaType) ? 98 : 99
}
