/** What a registry keeps: index, tree, journal and uploads, opened in their order. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import { Cards } from './cards.ts'
import { ChangeLog } from './change-log.ts'
import { CollectFlag } from './collect-flag.ts'
import type { RegistryConfig } from './config.ts'
import { Follower } from './follower.ts'
import { Journal } from './journal.ts'
import { Leases } from './leases.ts'
import { openDriver } from './open-driver.ts'
import { isBuiltFrom, rebuildIndex } from './rebuild.ts'
import { Peers } from './peers.ts'
import { Quotas } from './quotas.ts'
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
  /** Where others use the tree too. */
  follower: Follower | undefined
  changes: ChangeLog | undefined
  collectFlag: CollectFlag | undefined
  peers: Peers | undefined
}

/**
 * Opens the store of a configuration; limits are those of `current`, whenever they count. A folder without an index, as the reference registry leaves it, gets one.
 * Throws `unavailable` when another process has it open.
 */
export async function openStore(
  config: RegistryConfig,
  parts: { clock: Clock; log: Log; current?: () => RegistryConfig },
): Promise<RegistryStore> {
  const { data } = config
  const { clock, log, current = () => config } = parts
  await using undo = new AsyncDisposableStack()
  await mkdir(join(data, 'wharf'), { recursive: true, mode: 0o700 })
  const index = undo.use(await openIndex(join(data, 'wharf', 'index.db')))
  const driver = undo.use(await openDriver(config, clock))
  await driver.setUp()
  const changes = driver.isShared ? new ChangeLog(driver, index, clock) : undefined
  const shared: { collectFlag?: CollectFlag } = {}
  const journal = undo.use(
    new Journal({
      index,
      driver,
      log: log.child('journal'),
      ...(changes === undefined
        ? {}
        : {
            publish: (paths) => changes.append(paths),
            mayWrite: () => shared.collectFlag?.isForfeited !== true,
          }),
    }),
  )
  const cards = new Cards(index, journal)
  await catchUp({ index, driver, journal, cards, changes, clock, log })
  const peers = await openPeers(config.s3?.peer, { driver, index, clock })
  const leases = new Leases(clock, config.collect.grace)
  const uploads = new Uploads({
    directory: join(data, 'wharf', 'uploads'),
    prefix: peers?.prefix ?? '',
    index,
    clock,
    limits: () => ({ expiryMs: current().uploads.expiry, blobBytes: current().limits.blob }),
  })
  await uploads.setUp()
  const follower =
    changes === undefined
      ? undefined
      : new Follower({ index, driver, journal, cards, changes, clock }, config.s3?.follow ?? 0)
  const collectFlag = follower === undefined ? undefined : new CollectFlag(driver, follower, clock)
  if (collectFlag !== undefined) shared.collectFlag = collectFlag
  const repositories = new Repositories({
    index,
    journal,
    driver,
    leases,
    clock,
    quotas: new Quotas(index, () => current().limits.namespaces),
    collectFlag,
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
    follower,
    changes,
    collectFlag,
    peers,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function openPeers(
  url: string | undefined,
  parts: Pick<RegistryStore, 'driver' | 'index' | 'clock'>,
): Promise<Peers | undefined> {
  if (url === undefined) return undefined
  const peers = new Peers({ ...parts, url })
  await peers.renew()
  return peers
}

/** Sees to it that the index is that of the tree. */
async function catchUp(
  parts: Pick<RegistryStore, 'index' | 'driver' | 'journal' | 'cards' | 'changes' | 'clock'> & { log: Log },
): Promise<void> {
  const { index, driver, journal, changes, log } = parts
  if (changes === undefined) journal.wake()
  // Of a shared tree others may have made more than is known here, and what was not told to them counts no more.
  const isLost = changes !== undefined && (changes.isBehind || journal.hasEntries)
  if (isBuiltFrom(index, driver) && !isLost) return
  const undone = journal.discard()
  // Some of it may be in the tree without anybody having been told.
  if (undone.length > 0) await changes?.append(undone)
  await changes?.skip()
  const result = await rebuildIndex(parts)
  if (result.blobs > 0) log.info('index built from the folder', result)
}

async function openIndex(path: string): Promise<RegistryIndex> {
  try {
    return await RegistryIndex.open(path)
  } catch (error) {
    if (!errorMessage(error).includes('database is locked')) throw error
    throw new EngineError('unavailable', `${path} is in use by another registry`, { cause: error })
  }
}
