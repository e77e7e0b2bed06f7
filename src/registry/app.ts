/** What handlers work with. */
import type { Cards } from './cards.ts'
import type { RegistryEvents } from './events.ts'
import type { Follower } from './follower.ts'
import type { Peers } from './peers.ts'
import type { PullCache } from './pull-cache.ts'
import type { RegistryIndex } from './registry-index.ts'
import type { Repositories } from './repositories.ts'
import type { StorageDriver } from './storage-driver.ts'
import type { Uploads } from './uploads.ts'

/** Settings that a request looks at; they may change between requests. */
export type AppSettings = {
  /** Refuses everything that would change something. */
  readOnly: boolean
  /** Whether tags, manifests and blobs may be deleted. */
  allowDelete: boolean
  maxManifestBytes: number
  /** Told to clients as `OCI-Chunk-Min-Length`; 0 to say nothing. */
  minChunkBytes: number
  /** The longest page of a listing. */
  maxPage: number
  /** Whether locations are given without host and scheme. */
  relativeUrls: boolean
  /** The URL that clients know the registry by; empty: what they asked for. */
  externalUrl: string
}

/** See the file's head. */
export type App = {
  settings: () => AppSettings
  index: RegistryIndex
  repositories: Repositories
  cards: Cards
  uploads: Uploads
  driver: StorageDriver
  events: RegistryEvents
  cache: PullCache
  /** Where other processes use the storage too. */
  follower: Follower | undefined
  /** Where they may be sent what is about each other's uploads. */
  peers: Peers | undefined
}
