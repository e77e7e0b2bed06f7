/**
 * Builds the rooms of images, layers and content below one root directory, in order, and sweeps what a former run
 * left half done. The daemon opens it once and passes its parts on; tests open it on a directory of their own.
 */
import { mkdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { ContentStore } from '../content/content-store.ts'
import { chooseDriver } from '../layers/choose-driver.ts'
import type { LayerJob, LayerJobResult } from '../layers/layer-jobs.ts'
import { ImageMountStore } from '../layers/image-mounts.ts'
import { LayerStore } from '../layers/layer-store.ts'
import { OverlayRootfsStore } from '../layers/rootfs-store.ts'
import { Trash } from '../layers/trash.ts'
import { systemClock, type Clock } from '../lib/clock.ts'
import type { Sweep } from '../kernel/sweeper.ts'
import type { IdMapping } from '../lib/id-mapping.ts'
import type { Log } from '../lib/log.ts'
import { TaskGroup } from '../lib/task-group.ts'
import { WorkerPool } from '../lib/worker-pool.ts'
import type { Platform } from '../spec/image-types.ts'
import type { Database } from '../store/database.ts'
import { activateDriver } from '../store/parked-rows.ts'
import { ImageMaker } from './image-maker.ts'
import { ImageService, type ImageEvents, type ImageUsers } from './image-service.ts'
import { ImageStore } from './image-store.ts'
import { ImageRoomCheck } from './store-check.ts'
import { openRegistryRoom } from './registry-room.ts'
import type { Registries } from './registries.ts'
import type { RegistrySettings } from './registry-endpoints.ts'
import type { RegistryService } from './registry-service.ts'

/** What the rooms stand on. */
export type ImageRoomOptions = {
  /** The data root: `content/`, `layers/` and `trash/` are made in it. */
  root: string
  database: Database
  log: Log
  users: ImageUsers
  events: ImageEvents
  host: Platform
  clock?: Clock
  /** Empty for the one that the root holds already, or the best that works. */
  storageDriver?: string
  /** The daemon's `storage-opts`. */
  storageOptions?: readonly string[]
  /** PATH for programs that a storage driver runs. */
  searchPath?: string | undefined
  /** What ids of containers are on the host. */
  ids?: IdMapping | undefined
  /** A layer that unpacks to more is refused. */
  maxLayerBytes?: number
  /** What the configuration says of registries, asked for every operation. */
  registrySettings?: () => RegistrySettings
  /** Removes small trees. */
  sweep?: Sweep
  /** How the engine names itself to registries. */
  userAgent?: string
}

/** The open rooms. Disposing waits for background removal and ends the workers. */
export interface ImageRoom extends AsyncDisposable {
  readonly images: ImageStore
  readonly service: ImageService
  readonly registry: RegistryService
  readonly registries: Registries
  readonly rootfs: OverlayRootfsStore
  readonly imageMounts: ImageMountStore
  readonly layers: LayerStore
  readonly content: ContentStore
  readonly check: ImageRoomCheck
  /** Copies a tree with all that makes a file into an existing directory, on a worker thread. */
  copyTree: (source: string, target: string) => Promise<void>
  /** Bytes of the files in each directory, measured by the workers; -1 where that is not possible. */
  treeSizes(directories: readonly string[]): Promise<readonly number[]>
  /** Resolves when nothing is being removed in the background any more. */
  idle(): Promise<void>
}

const defaultMaxLayerBytes = 256 * 2 ** 30
const workerIdleMs = 5_000

function layerPool(maxWorkers: number): WorkerPool<LayerJob, LayerJobResult> {
  const script = new URL('../layers/layer-worker.ts', import.meta.url)
  return new WorkerPool({ script, maxWorkers, idleMs: workerIdleMs })
}

/** Opens the rooms. */
export async function openImageRoom(options: ImageRoomOptions): Promise<ImageRoom> {
  const { root, database, log, clock = systemClock } = options
  await using opening = new AsyncDisposableStack()
  await mkdir(join(root, 'layers'), { recursive: true, mode: 0o710 })
  const maxWorkers = Math.min(5, Math.max(3, availableParallelism() + 1))
  const pool = opening.use(layerPool(maxWorkers))
  const tasks = opening.use(new TaskGroup(log.child('layers')))
  const { sweep } = options
  const trash = new Trash({ directory: join(root, 'trash'), pool, tasks, sweep })
  const driver = await chooseDriver({
    name: options.storageDriver ?? '',
    options: options.storageOptions ?? [],
    searchPath: options.searchPath,
    directory: join(root, 'layers'),
    trash,
    pool,
    ids: options.ids,
    log: log.child('layers'),
  })
  activateDriver(database, driver.name)
  const maxLayerBytes = options.maxLayerBytes ?? defaultMaxLayerBytes
  const content = new ContentStore(join(root, 'content'), database)
  const layers = new LayerStore({ database, driver, pool, maxLayerBytes, ids: options.ids })
  const images = new ImageStore({ database, content, layers, clock, host: options.host })
  const rootfs = new OverlayRootfsStore(driver, layers)
  const topLayerOf = (image: string) => images.resolve(image).topLayer
  const imageMounts = new ImageMountStore({ driver, layers, topLayerOf })
  await trash.setUp()
  await driver.setUp()
  await content.setUp()
  images.load()
  await rootfs.load()
  await imageMounts.load()
  await layers.sweep()
  await content.sweep(images.needsBlob())
  const maker = new ImageMaker({ content, layers, images, pool })
  const parts = { ...options, clock, content, images, maker }
  const service = new ImageService({ ...parts, layers, rootfs })
  const registry = opening.use(
    openRegistryRoom({
      ...parts,
      pool,
      // One worker stays free for what does not wait for a network.
      maxUnpacking: maxWorkers - 1,
      note: (action, id, name) => service.noteRegistryEvent(action, id, name),
    }),
  )
  const opened = opening.move()
  return {
    images,
    service,
    registry: registry.service,
    registries: registry.registries,
    rootfs,
    imageMounts,
    layers,
    content,
    check: new ImageRoomCheck({ content, layers, images }),
    copyTree: async (source, target) => {
      await pool.run({ kind: 'copy', source, target })
    },
    treeSizes: async (directories) => (await pool.run({ kind: 'sizes', directories })).sizes ?? [],
    idle: () => tasks.idle(),
    [Symbol.asyncDispose]: async () => {
      await tasks.idle()
      await opened.disposeAsync()
    },
  }
}
