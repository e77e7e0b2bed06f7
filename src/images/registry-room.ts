/** Builds what talks to registries on top of the rooms of images; see `image-room.ts`. */
import type { Clock } from '../lib/clock.ts'
import type { ContentStore } from '../content/content-store.ts'
import type { LayerJob, LayerJobResult } from '../layers/layer-jobs.ts'
import type { WorkerPool } from '../lib/worker-pool.ts'
import type { Digest } from '../spec/ids.ts'
import type { Platform } from '../spec/image-types.ts'
import type { Database } from '../store/database.ts'
import type { ImageMaker } from './image-maker.ts'
import type { ImageStore } from './image-store.ts'
import { Puller } from './puller.ts'
import { PushedLayers } from './pushed-layers.ts'
import { Pusher } from './pusher.ts'
import { Registries } from './registries.ts'
import type { RegistrySettings } from './registry-endpoints.ts'
import { RegistryService } from './registry-service.ts'

/** What it stands on. */
export type RegistryRoomOptions = {
  content: ContentStore
  images: ImageStore
  maker: ImageMaker
  pool: WorkerPool<LayerJob, LayerJobResult>
  database: Database
  host: Platform
  clock: Clock
  /** Layers that may be unpacked while they come in, at the same time. */
  maxUnpacking: number
  /** What the configuration says of registries; Docker's defaults where it is absent. */
  registrySettings?: () => RegistrySettings
  /** How the engine names itself. */
  userAgent?: string
  note: (action: 'pull' | 'push', id: Digest, name: string) => void
}

const defaults: RegistrySettings = {
  mirrors: [],
  rules: [],
  insecure: [],
  maxDownloads: 3,
  maxUploads: 5,
  maxAttempts: 5,
  proxies: { http: '', https: '', none: '' },
  certificateDirectories: [],
}

/** Opens it. Disposing ends idle connections. */
export function openRegistryRoom(
  options: RegistryRoomOptions,
): Disposable & { service: RegistryService; registries: Registries } {
  const { note, host } = options
  const settings = options.registrySettings ?? (() => defaults)
  const registries = new Registries(settings, options.userAgent ?? 'wharf', options.clock)
  const parts = { ...options, registries }
  const puller = new Puller({ ...parts, onPulled: (id, name) => note('pull', id, name) })
  const pushed = new PushedLayers(options.database)
  const pusher = new Pusher({ ...parts, pushed, onPushed: (id, name) => note('push', id, name) })
  return {
    service: new RegistryService({ ...parts, puller, pusher, host }),
    registries,
    [Symbol.dispose]: () => registries[Symbol.dispose](),
  }
}
