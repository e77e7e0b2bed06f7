/** Manifests: which kinds are taken, what they need, and what they say about themselves. */
import { z } from 'zod'
import { isDigest, type Digest } from '../spec/ids.ts'
import { RegistryError } from './errors.ts'

/** Media types of manifests. */
export const mediaTypes = {
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociArtifact: 'application/vnd.oci.artifact.manifest.v1+json',
} as const

const indexTypes: readonly string[] = [mediaTypes.dockerList, mediaTypes.ociIndex]
const knownTypes: readonly string[] = Object.values(mediaTypes)

/** The most descriptors in one manifest. */
const mostDescriptors = 10_000

const descriptor = z.object({
  mediaType: z.string().optional(),
  digest: z.string().refine(isDigest),
  size: z.number().int().nonnegative(),
  urls: z.array(z.string()).nullish(),
  platform: z.object({ architecture: z.string(), os: z.string(), variant: z.string().nullish() }).optional(),
})
const descriptors = z.array(descriptor).max(mostDescriptors)
const common = {
  mediaType: z.string().optional(),
  artifactType: z.string().optional(),
  subject: descriptor.nullish(),
  annotations: z.record(z.string(), z.string()).nullish(),
}
const image = z.object({
  ...common,
  schemaVersion: z.literal(2),
  config: descriptor,
  layers: descriptors.nullish(),
})
const index = z.object({ ...common, schemaVersion: z.literal(2), manifests: descriptors.nullish() })
const artifact = z.object({ ...common, blobs: descriptors.nullish() })

/** What is known of a manifest once it has been read. */
export type ParsedManifest = {
  mediaType: string
  /** Blobs that must be in the repository. */
  blobs: Digest[]
  /** Manifests that must be in the repository. */
  manifests: Digest[]
  subject: Digest | undefined
  artifactType: string | undefined
  annotations: Record<string, string> | undefined
}

/** Whether the media type is a list of manifests. */
export function isIndexType(mediaType: string): boolean {
  return indexTypes.includes(mediaType)
}

/** Reads a manifest that was sent as `contentType` (may be empty). Throws MANIFEST_INVALID. */
export function parseManifest(content: Uint8Array, contentType: string): ParsedManifest {
  const value = parseObject(content)
  const inside = 'mediaType' in value && typeof value.mediaType === 'string' ? value.mediaType : ''
  const outside = contentType.split(';')[0]?.trim().toLowerCase() ?? ''
  const declared = outside === '' || outside === 'application/json' ? inside : outside
  const mediaType = declared === '' ? guessType(value) : declared
  if (!knownTypes.includes(mediaType))
    throw invalid(`unsupported manifest media type: ${mediaType.slice(0, 200)}`)
  if (inside !== '' && inside !== mediaType) {
    throw invalid(`manifest says it is ${inside.slice(0, 200)}, but was sent as ${mediaType}`)
  }
  if (isIndexType(mediaType)) return parseIndex(value, mediaType)
  return mediaType === mediaTypes.ociArtifact ? parseArtifact(value) : parseImage(value, mediaType)
}

/** The digest of the manifest for linux/amd64 that an index names, for clients that know no indexes. */
export function defaultPlatform(content: Uint8Array): Digest | undefined {
  const parsed = index.safeParse(parseObject(content))
  const found = parsed.data?.manifests?.find(
    ({ platform }) => platform?.architecture === 'amd64' && platform.os === 'linux',
  )
  return found === undefined || !isDigest(found.digest) ? undefined : found.digest
}

/**
 * What an index says a manifest is made for, as `OS/ARCHITECTURE[/VARIANT]`; undefined where it does not say. What is
 * for no platform in particular, as attestations are, is `unknown/unknown`.
 */
export function platformOf(content: Uint8Array, digest: Digest): string | undefined {
  const parsed = index.safeParse(parseObject(content))
  const platform = parsed.data?.manifests?.find((entry) => entry.digest === digest)?.platform
  if (platform === undefined) return undefined
  const { os, architecture, variant } = platform
  return [os, architecture, ...(typeof variant === 'string' ? [variant] : [])].join('/')
}

function parseImage(value: object, mediaType: string): ParsedManifest {
  const { config, layers, subject, artifactType, annotations } = check(image, value)
  const local = (layers ?? []).filter(({ urls }) => urls === undefined || urls === null || urls.length === 0)
  return {
    mediaType,
    blobs: [config.digest, ...local.map(({ digest }) => digest)].filter(isDigest),
    manifests: [],
    subject: subjectOf(subject),
    artifactType: artifactType || config.mediaType || undefined,
    annotations: annotations ?? undefined,
  }
}

function parseIndex(value: object, mediaType: string): ParsedManifest {
  if ('layers' in value || 'config' in value) throw invalid('an index has neither config nor layers')
  const { manifests, subject, artifactType, annotations } = check(index, value)
  return {
    mediaType,
    blobs: [],
    manifests: (manifests ?? []).map(({ digest }) => digest).filter(isDigest),
    subject: subjectOf(subject),
    artifactType: artifactType || undefined,
    annotations: annotations ?? undefined,
  }
}

function parseArtifact(value: object): ParsedManifest {
  const { blobs, subject, artifactType, annotations } = check(artifact, value)
  return {
    mediaType: mediaTypes.ociArtifact,
    blobs: (blobs ?? []).map(({ digest }) => digest).filter(isDigest),
    manifests: [],
    subject: subjectOf(subject),
    artifactType: artifactType || undefined,
    annotations: annotations ?? undefined,
  }
}

function subjectOf(subject: z.infer<typeof descriptor> | null | undefined): Digest | undefined {
  return subject !== undefined && subject !== null && isDigest(subject.digest) ? subject.digest : undefined
}

function check<Schema extends z.ZodType>(schema: Schema, value: object): z.infer<Schema> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw invalid(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a manifest'}`)
}

function parseObject(content: Uint8Array): object {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content))
  } catch (cause) {
    throw new RegistryError('MANIFEST_INVALID', { message: 'manifest is not JSON', cause })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  throw invalid('manifest is not a JSON object')
}

function guessType(value: object): string {
  if ('manifests' in value) return mediaTypes.ociIndex
  if ('config' in value) return mediaTypes.ociManifest
  throw invalid('manifest without a media type')
}

function invalid(message: string): RegistryError {
  return new RegistryError('MANIFEST_INVALID', { message: `manifest invalid: ${message}` })
}
