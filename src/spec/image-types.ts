/** Image documents (OCI image configuration) and the answers of the image part of the Engine API. */
import type { ContainerConfig } from './container-config.ts'
import type { ChainId, DiffId, Digest } from './ids.ts'

/** OCI content descriptor. */
export type Descriptor = {
  mediaType: string
  digest: Digest
  size: number
  urls?: string[]
  annotations?: Record<string, string>
  data?: string
  artifactType?: string
  platform?: Platform
}

/** What an image runs on. */
export type Platform = {
  architecture: string
  os: string
  variant?: string
  'os.version'?: string
  'os.features'?: string[]
}

/** One entry of an image's history. */
export type HistoryEntry = {
  created?: string
  created_by?: string
  author?: string
  comment?: string
  empty_layer?: boolean
}

/** An image as the engine uses it: found by a reference, its configuration decoded once. */
export type ResolvedImage = {
  /** The image id that clients see: the config's digest. */
  id: Digest
  /** The familiar reference that was resolved, or the id where none was named. */
  reference: string
  config: ContainerConfig
  platform: Platform
  diffIds: DiffId[]
  /** Chain id of the topmost layer; undefined for an image without layers. */
  topLayer: ChainId | undefined
  manifest: Descriptor | undefined
}

/** One row of `GET /images/json`. `Created` is seconds since 1970, sizes are bytes. */
export type ImageSummary = {
  Id: string
  ParentId: string
  RepoTags: string[] | null
  RepoDigests: string[] | null
  Created: number
  Size: number
  SharedSize: number
  VirtualSize?: number
  Labels: Record<string, string> | null
  Containers: number
  Manifests?: Record<string, unknown>[]
  Descriptor?: Descriptor
}

/** Answer of `GET /images/{name}/json`. */
export type ImageInspect = {
  Id: string
  RepoTags: string[]
  RepoDigests: string[]
  Parent: string
  Comment: string
  Created?: string
  DockerVersion: string
  Author: string
  Config: Partial<ContainerConfig> | null
  Architecture: string
  Variant?: string
  Os: string
  OsVersion?: string
  Size: number
  VirtualSize?: number
  GraphDriver: { Name: string; Data: Record<string, string> | null }
  RootFS: { Type: string; Layers?: string[] }
  Metadata: { LastTagTime: string }
  Descriptor?: Descriptor
  Manifests?: Record<string, unknown>[]
}

/** One row of `GET /images/{name}/history`. */
export type ImageHistoryItem = {
  Id: string
  Created: number
  CreatedBy: string
  Tags: string[] | null
  Size: number
  Comment: string
}

/** One row of the answer to `DELETE /images/{name}`. */
export type ImageDeleted = { Untagged: string } | { Deleted: string }

/** One line of the progress streams of pull, push, load, import and build. */
export type ProgressMessage = {
  stream?: string
  status?: string
  id?: string
  progress?: string
  progressDetail?: { current?: number; total?: number; hidecounts?: boolean; units?: string }
  error?: string
  errorDetail?: { code?: number; message: string }
  aux?: Record<string, unknown>
}
