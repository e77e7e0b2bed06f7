/** What is kept about an image, and what is read out of its configuration. */
import { z } from 'zod'
import { ContainerConfig } from '../spec/container-config.ts'
import { EngineError } from '../spec/errors.ts'
import { goInt, goList, goString, goStruct, goBool, goPointer } from '../spec/go-json.ts'
import { diffId, isDigest, type ChainId, type DiffId, type Digest } from '../spec/ids.ts'
import type { Descriptor, Platform } from '../spec/image-types.ts'

/** Media types of OCI and of Docker's schema 2. */
export const mediaTypes = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
  layerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  layerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
} as const

/** Whether a media type is that of an index. */
export function isIndexType(mediaType: string): boolean {
  return mediaType === mediaTypes.index || mediaType === mediaTypes.dockerList
}

/** An image as the store keeps it, without its configuration's text. */
export type ImageRecord = {
  /** Digest of the configuration. */
  id: Digest
  manifest: Descriptor
  /** From the bottom up. */
  layers: { diffId: DiffId; chainId: ChainId; size: number; blob: Descriptor }[]
  platform: Platform
  /** RFC 3339; empty where the configuration has none. */
  created: string
  createdNs: string
  labels: Record<string, string> | null
  /** The image it was committed or built from, where that is here. */
  parent: Digest | undefined
  /** Its manifest is the one that a registry has: it is pushed as it is. */
  fromRegistry?: true
  /** Other manifests of the same configuration that came from registries. */
  alternatives?: StoredManifest[]
  /** When a name was last given to it here; RFC 3339, empty for never. */
  lastTagged: string
}

/** A manifest whose bytes and layer blobs are kept; the blobs from the bottom up. */
export type StoredManifest = { manifest: Descriptor; blobs: Descriptor[] }

/** What a name stands for where the image came from: a manifest, or an index of several. */
export type Target = {
  descriptor: Descriptor
  /** Set for an index, whose bytes are kept too: its manifests, also those that are not here. */
  index?: {
    manifests: Descriptor[]
    /** Indexes inside it, on the way to the manifests. */
    nested: Descriptor[]
  }
}

/** The manifests of an image, its own first. */
export function manifestsOf(image: ImageRecord): StoredManifest[] {
  const own = { manifest: image.manifest, blobs: image.layers.map((layer) => layer.blob) }
  return [own, ...(image.alternatives ?? [])]
}

const historyEntry = goStruct({
  created: goString(),
  created_by: goString(),
  author: goString(),
  comment: goString(),
  empty_layer: goBool(),
})

/** An image configuration (OCI image specification, config.md, with Docker's fields). */
export const ImageConfig = goStruct({
  created: goString(),
  author: goString(),
  architecture: goString(),
  os: goString(),
  variant: goString(),
  'os.version': goString(),
  'os.features': goList(z.string()),
  comment: goString(),
  docker_version: goString(),
  parent: goString(),
  config: goPointer(ContainerConfig),
  rootfs: goStruct({ type: goString(), diff_ids: goList(z.string()) }),
  history: goList(historyEntry),
})
/** See the schema of the same name. */
export type ImageConfig = z.infer<typeof ImageConfig>

const descriptor = z.object({
  mediaType: z.string().default(''),
  digest: z.string().refine(isDigest),
  size: z.number().int().nonnegative(),
  annotations: z.record(z.string(), z.string()).nullish(),
  artifactType: z.string().optional(),
  platform: goPointer(z.object({ architecture: goString(), os: goString(), variant: goString() })),
})

/** A manifest or an index; which of both shows in what is there. */
export const Manifest = z.object({
  schemaVersion: goInt(),
  mediaType: goString(),
  config: descriptor.optional(),
  layers: z.array(descriptor).nullish(),
  manifests: z.array(descriptor).nullish(),
})
/** See the schema of the same name. */
export type Manifest = z.infer<typeof Manifest>
/** A descriptor as it stands in a manifest or an index. */
export type ManifestDescriptor = z.infer<typeof descriptor>

/** Parses JSON by a schema. Throws invalid with `what` in its text. */
export function parseJson<T extends z.ZodType>(schema: T, data: Buffer | string, what: string): z.output<T> {
  let json: unknown
  try {
    json = JSON.parse(typeof data === 'string' ? data : data.toString('utf8'))
  } catch (error) {
    throw new EngineError('invalid', `invalid ${what}: ${String(error)}`, { cause: error })
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new EngineError('invalid', `invalid ${what}: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`)
}

/** The diff ids of a configuration. Throws invalid. */
export function diffIdsOf(config: ImageConfig): DiffId[] {
  return (config.rootfs.diff_ids ?? []).map((text) => {
    if (!isDigest(text)) throw new EngineError('invalid', `invalid image configuration: diff id ${text}`)
    return diffId(text)
  })
}

/** The platform of a configuration. */
export function platformOf(config: ImageConfig): Platform {
  return {
    architecture: config.architecture,
    os: config.os === '' ? 'linux' : config.os,
    ...(config.variant === '' ? {} : { variant: config.variant }),
    ...(config['os.version'] === '' ? {} : { 'os.version': config['os.version'] }),
    ...(config['os.features'] === null ? {} : { 'os.features': config['os.features'] }),
  }
}

/** The container configuration of an image, with all fields. */
export function containerConfigOf(config: ImageConfig): ContainerConfig {
  return config.config ?? ContainerConfig.parse({})
}

/** A descriptor without what is empty in it. */
export function plainDescriptor(found: ManifestDescriptor): Descriptor {
  const { mediaType, digest, size, annotations, platform, artifactType } = found
  return {
    mediaType,
    digest,
    size,
    ...(annotations === undefined || annotations === null ? {} : { annotations }),
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(platform === null ? {} : { platform: shownPlatform(platform) }),
  }
}

function shownPlatform({ architecture, os, variant }: Platform): Platform {
  return { architecture, os, ...(variant === undefined || variant === '' ? {} : { variant }) }
}
