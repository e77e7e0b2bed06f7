/**
 * The registry as a whole: an index, a tree, uploads and an HTTP server over them. `startRegistry` puts it together
 * and listens; disposing it ends connections, brings the tree up to date and closes the index.
 *
 *     DATA/docker/registry/v2   blobs and links, as the reference registry lays them out
 *     DATA/wharf/index.db       the index           DATA/wharf/uploads   half uploads
 */
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { systemClock, type Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { App, AppSettings } from './app.ts'
import { parseAddress, type RegistryConfig } from './config.ts'
import { RegistryEvents } from './events.ts'
import { FilesystemDriver } from './filesystem-driver.ts'
import { openGate } from './gate.ts'
import { Journal } from './journal.ts'
import { Leases } from './leases.ts'
import { RegistryIndex } from './registry-index.ts'
import { Repositories } from './repositories.ts'
import { RegistryServer } from './server.ts'
import { Uploads } from './uploads.ts'

/** What a registry is started with. */
export type RegistryOptions = { config: RegistryConfig; log: Log; clock?: Clock }

/** A registry that listens. */
export type RunningRegistry = AsyncDisposable & { address: AddressInfo; app: App; journal: Journal }

/** See the file's head. */
export async function startRegistry(options: RegistryOptions): Promise<RunningRegistry> {
  const { config, log, clock = systemClock } = options
  const { data } = config
  await using undo = new AsyncDisposableStack()
  await mkdir(join(data, 'wharf'), { recursive: true, mode: 0o700 })
  const index = undo.use(await RegistryIndex.open(join(data, 'wharf', 'index.db')))
  const driver = new FilesystemDriver(data)
  await driver.setUp()
  const journal = undo.use(new Journal(index.database, driver, log.child('journal')))
  journal.wake()
  const leases = new Leases(clock, config.collect.grace)
  const uploads = new Uploads({
    directory: join(data, 'wharf', 'uploads'),
    index,
    clock,
    expiryMs: config.uploads.expiry,
    limitBytes: config.limits.blob,
  })
  await uploads.setUp()
  const repositories = new Repositories({ index, journal, driver, leases, clock })
  const events = new RegistryEvents()
  const settings = appSettings(config)
  const app: App = { settings: () => settings, index, repositories, uploads, driver, events }
  const server = new RegistryServer({
    app,
    gate: () => openGate,
    log: log.child('http'),
    extra: {},
    served: () => {},
    headers: () => ({}),
    admit: () => undefined,
  })
  const http = server.listenerServer()
  const { host, port } = parseAddress(config.addr)
  http.listen(port, host)
  await once(http, 'listening')
  undo.defer(async () => {
    const closed = once(http, 'close')
    http.close()
    server.closeConnections()
    await closed
  })
  const address = http.address()
  if (address === null || typeof address === 'string') throw new Error('the registry has no address')
  const owned = undo.move()
  return { address, app, journal, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

function appSettings({
  readOnly,
  limits,
  relativeUrls,
  externalUrl,
  ...config
}: RegistryConfig): AppSettings {
  return {
    readOnly,
    allowDelete: config.delete,
    maxManifestBytes: limits.manifest,
    minChunkBytes: limits.minChunk,
    maxPage: limits.page,
    relativeUrls,
    externalUrl,
  }
}
