/** What a registry keeps: index, tree, journal and uploads, opened in their order. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import { Cards } from './cards.ts'
import type { RegistryConfig } from './config.ts'
import { FilesystemDriver } from './filesystem-driver.ts'
import { Journal } from './journal.ts'
import { Leases } from './leases.ts'
import { isUnbuilt, rebuildIndex } from './rebuild.ts'
import { RegistryIndex } from './registry-index.ts'
import { Repositories } from './repositories.ts'
import type { StorageDriver } from './storage-driver.ts'
import { Uploads } from './uploads.ts'

/** See the file's head. Disposing brings the tree up to date and closes the index. */
export type RegistryStore = AsyncDisposable & {
  index: RegistryIndex
  driver: StorageDriver
  journal: Journal
  leases: Leases
  uploads: Uploads
  repositories: Repositories
  cards: Cards
  clock: Clock
}

/**
 * Opens the store of a configuration. A folder without an index, as the reference registry leaves it, gets one.
 * Throws `unavailable` when another process has it open.
 */
export async function openStore(
  config: RegistryConfig,
  { clock, log }: { clock: Clock; log: Log },
): Promise<RegistryStore> {
  const { data } = config
  await using undo = new AsyncDisposableStack()
  await mkdir(join(data, 'wharf'), { recursive: true, mode: 0o700 })
  const index = undo.use(await openIndex(join(data, 'wharf', 'index.db')))
  const driver: StorageDriver = new FilesystemDriver(data)
  await driver.setUp()
  const journal = undo.use(new Journal(index.database, driver, log.child('journal')))
  journal.wake()
  const cards = new Cards(index, journal)
  if (isUnbuilt(index)) {
    const result = await rebuildIndex({ index, driver, cards, clock, log })
    if (result.blobs > 0) log.info('index built from the folder', result)
  }
  const leases = new Leases(clock, config.collect.grace)
  const uploads = new Uploads({
    directory: join(data, 'wharf', 'uploads'),
    index,
    clock,
    expiryMs: config.uploads.expiry,
    limitBytes: config.limits.blob,
  })
  await uploads.setUp()
  const repositories = new Repositories({
    index,
    journal,
    driver,
    leases,
    clock,
    quotas: config.limits.namespaces,
  })
  const owned = undo.move()
  return {
    index,
    driver,
    journal,
    leases,
    uploads,
    repositories,
    cards,
    clock,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function openIndex(path: string): Promise<RegistryIndex> {
  try {
    return await RegistryIndex.open(path)
  } catch (error) {
    if (!errorMessage(error).includes('database is locked')) throw error
    throw new EngineError('unavailable', `${path} is in use by another registry`, { cause: error })
  }
}
