/**
 * Volumes: data that outlives containers. A volume is a driver's (files first, then its row) and stays until nobody
 * holds it: containers hold their volumes from create to rm, which the row records, so that a daemon that was killed
 * never takes a volume in use for an unused one. Names are the only identity.
 */
import { randomBytes } from 'node:crypto'
import { EngineError, errorMessage } from '../spec/errors.ts'
import type { Volume, VolumeCreate } from '../spec/volume-types.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { KeyedMutex } from '../lib/mutex.ts'
import type { StoreProblem } from '../lib/store-problem.ts'
import type { Database } from '../store/database.ts'
import type { VolumeDrivers } from './volume-drivers.ts'
import { labelMatches, parseVolumeFilters, type Filters } from './volume-filters.ts'
import { listVolumes, shown } from './volume-list.ts'
import { checkVolumes } from './volume-check.ts'
import { VolumeRecords, type VolumeRecord } from './volume-records.ts'

/** Takes events for the journal. */
export interface VolumeEvents {
  emit(event: { type: string; action: string; id: string; attributes: Record<string, string> }): void
}

/** What the service stands on. */
export type VolumeServiceParts = {
  database: Database
  drivers: VolumeDrivers
  events: VolumeEvents
  clock: Clock
  log: Log
}

/** A container's claim on a volume. `copyUp`: destination whose image content goes into the volume while empty. */
export type VolumeHold = { container: string; copyUp?: string }

/** Label of volumes made for one container, as Docker sets it. */
export const anonymousLabel = 'com.docker.volume.anonymous'

/** See the file's head. */
export class VolumeService {
  readonly #records: VolumeRecords
  readonly #drivers: VolumeDrivers
  readonly #events: VolumeEvents
  readonly #clock: Clock
  readonly #log: Log
  readonly #locks = new KeyedMutex()

  constructor({ database, drivers, events, clock, log }: VolumeServiceParts) {
    this.#records = new VolumeRecords(database)
    this.#drivers = drivers
    this.#events = events
    this.#clock = clock
    this.#log = log
  }

  /** Makes a volume, or answers the one that is there under the name and driver. Empty names get one. */
  async create(request: VolumeCreate): Promise<Volume> {
    const { record } = await this.acquire(request)
    return this.#describe(record)
  }

  /** As `create`, and holds it for a container in the same step. `made`: it is new. */
  async acquire(request: VolumeCreate, hold?: VolumeHold): Promise<{ record: VolumeRecord; made: boolean }> {
    const name = request.Name === '' ? randomBytes(32).toString('hex') : request.Name
    using _lock = await this.#locks.acquire(name)
    const existing = this.#records.get(name)
    if (existing !== undefined) {
      if (request.Driver !== '' && request.Driver !== existing.driver) {
        await this.#drivers.get(request.Driver, `create ${name}`)
        throw new EngineError(
          'conflict',
          `create ${name}: conflict: driver '${existing.driver}' already has volume '${name}'`,
        )
      }
      return { record: this.#hold(name, hold) ?? existing, made: false }
    }
    const driver = await this.#drivers.get(request.Driver, `create ${name}`)
    const options = request.DriverOpts ?? {}
    try {
      // What a plugin has already is taken as it is.
      if (driver.isOwn || (await driver.get(name)) === undefined) await driver.create(name, options)
    } catch (error) {
      if (!(error instanceof EngineError)) throw error
      throw new EngineError(error.kind, `create ${name}: ${error.message}`, { cause: error })
    }
    const record: VolumeRecord = {
      name,
      driver: driver.name,
      options: request.DriverOpts,
      labels: request.Labels,
      createdAt: new Date(this.#clock.nowMs()).toISOString().replace(/\.\d+Z$/, 'Z'),
      holders: hold === undefined ? [] : [newHolder(hold)],
    }
    this.#records.insert(record)
    this.#emit('create', record)
    return { record, made: true }
  }

  /** Throws notFound. */
  async inspect(name: string): Promise<Volume> {
    const record = this.#records.get(name)
    if (record !== undefined) return this.#describe(record)
    const { drivers } = await this.#drivers.plugins()
    for (const driver of drivers) {
      const found = await driver.get(name).catch(() => undefined)
      if (found !== undefined) return shown(undefined, driver, found)
    }
    throw noSuchVolume(name)
  }

  /** How many volumes the engine knows. */
  count(): number {
    return this.#records.all().length
  }

  /**
   * Volumes that match all filters (`dangling`, `driver`, `label`, `name`), those that plugins have of their own too,
   * with what could not be asked. Throws invalid for other filters.
   */
  async list(filters: Filters): Promise<{ volumes: Volume[]; warnings: string[] }> {
    const wanted = parseVolumeFilters(filters, ['dangling', 'driver', 'label', 'name'])
    return listVolumes(this.#records.all(), this.#drivers, wanted)
  }

  /** Row first, then the data. Throws conflict while a container holds it; `force` ignores a missing one. */
  async remove(name: string, force: boolean): Promise<void> {
    using _lock = await this.#locks.acquire(name)
    const record = this.#records.get(name)
    if (record === undefined) {
      if (force || (await this.#removeForeign(name))) return
      throw noSuchVolume(name)
    }
    await this.#removeLocked(record, force)
  }

  /** A volume that only a plugin knows. */
  async #removeForeign(name: string): Promise<boolean> {
    const { drivers } = await this.#drivers.plugins()
    for (const driver of drivers) {
      if ((await driver.get(name).catch(() => undefined)) === undefined) continue
      await driver.remove(name)
      return true
    }
    return false
  }

  /** Removes what no container holds: anonymous ones, or with the filter `all=true` named ones too. */
  async prune(filters: Filters): Promise<{ VolumesDeleted: string[]; SpaceReclaimed: number }> {
    const wanted = parseVolumeFilters(filters, ['all', 'label', 'label!'])
    const deleted: string[] = []
    let reclaimed = 0
    for (const { name } of this.#records.all()) {
      using _lock = await this.#locks.acquire(name)
      const record = this.#records.get(name)
      if (record === undefined || record.holders.length > 0 || !labelMatches(record.labels, wanted)) continue
      // As Docker: what a plugin keeps may be dear, and its size is not known.
      if (this.#drivers.ownOf(record.driver) === undefined) continue
      if (!wanted.all && record.labels?.[anonymousLabel] === undefined) continue
      const bytes = await this.#usageBytes(record)
      try {
        await this.#removeLocked(record)
      } catch (error) {
        this.#log.warn('volume not pruned', { name, error })
        continue
      }
      deleted.push(name)
      reclaimed += Math.max(0, bytes)
    }
    this.#events.emit({
      type: 'volume',
      action: 'prune',
      id: '',
      attributes: { reclaimed: String(reclaimed) },
    })
    return { VolumesDeleted: deleted, SpaceReclaimed: reclaimed }
  }

  /**
   * Volumes of the engine's own with what they take and by how many containers they are held, for `system df`. `bytesOf`
   * measures places.
   */
  async usage(bytesOf: (places: readonly string[]) => Promise<readonly number[]>): Promise<Volume[]> {
    const found: { volume: Volume; place: string; users: number }[] = []
    for (const record of this.#records.all()) {
      const driver = this.#drivers.ownOf(record.driver)
      if (driver === undefined) continue
      const place = driver.path(record.name)
      const volume = shown(record, driver, { name: record.name, mountpoint: place })
      found.push({ volume, place, users: record.holders.length })
    }
    const sizes = await bytesOf(found.map(({ place }) => place))
    return found.map(({ volume, users }, index) => {
      return { ...volume, UsageData: { Size: sizes[index] ?? -1, RefCount: users } }
    })
  }

  /** Where a volume of a driver of the engine's own is; undefined for those of plugins. */
  placeOf(driver: string, name: string): string | undefined {
    return this.#drivers.ownOf(driver)?.path(name)
  }

  /** Whether a volume is a directory of the engine's own, without anything mounted on it. */
  isPlain(name: string): boolean {
    const record = this.#records.get(name)
    const isOwn = record !== undefined && this.#drivers.ownOf(record.driver) !== undefined
    return isOwn && record.options?.['device'] === undefined
  }

  /** Drops a container's claim; `remove` takes the volume away too, unless somebody else holds it. */
  async release(name: string, container: string, remove: boolean): Promise<void> {
    using _lock = await this.#locks.acquire(name)
    const record = this.#records.update(name, (volume) => ({
      ...volume,
      holders: volume.holders.filter((holder) => holder.container !== container),
    }))
    if (remove && record?.holders.length === 0) await this.#removeLocked(record)
  }

  /** Makes the data reachable for a mount of a container. Throws notFound. */
  async mount(name: string, user: string): Promise<string> {
    const record = this.#records.get(name)
    if (record === undefined) throw noSuchVolume(name)
    const driver = await this.#drivers.get(record.driver, `mount ${name}`, { wait: true })
    try {
      return await driver.mount(name, record.options ?? {}, user)
    } catch (error) {
      if (!(error instanceof EngineError)) throw error
      const place = driver.isOwn ? (await driver.get(name))?.mountpoint : name
      throw new EngineError(error.kind, `error while mounting volume '${place}': ${error.message}`, {
        cause: error,
      })
    }
  }

  /** The mount needs the data no longer. A volume that is gone is fine. */
  async unmount(name: string, user: string): Promise<void> {
    const record = this.#records.get(name)
    if (record === undefined) return
    const driver = await this.#drivers.get(record.driver, `unmount ${name}`)
    await driver.unmount(name, user)
  }

  /** Destinations of a container whose image content is still to be copied into the volume. */
  pendingCopyUps(name: string, container: string): string[] {
    return this.#records.get(name)?.holders.find((holder) => holder.container === container)?.copyUp ?? []
  }

  /** The content has been copied, or there was no need. */
  copiedUp(name: string, container: string): void {
    this.#records.update(name, (volume) => ({
      ...volume,
      holders: volume.holders.map((each) =>
        each.container === container ? { container, copyUp: [] } : each,
      ),
    }))
  }

  /** Name and driver as mount points show them. Throws notFound. */
  async lookUp(name: string): Promise<{ driver: string; path: string }> {
    const { Driver: driver, Mountpoint: path } = await this.inspect(name)
    return { driver, path }
  }

  /** Records that a container uses a volume. Throws notFound. */
  addHold(name: string, hold: VolumeHold): void {
    if (this.#hold(name, hold) === undefined) throw noSuchVolume(name)
  }

  /**
   * After a crash: drops the claims of containers that do not exist and the data that no row names. `containers` are
   * the ids of all containers there are.
   */
  async sweep(containers: ReadonlySet<string>): Promise<void> {
    for (const { name, holders, labels } of this.#records.all()) {
      for (const { container } of holders) {
        if (!containers.has(container))
          await this.release(name, container, labels?.[anonymousLabel] !== undefined)
      }
    }
    for (const driver of this.#drivers.own()) {
      for (const { name } of await driver.list()) {
        using _lock = await this.#locks.acquire(name)
        if (this.#records.get(name) === undefined) await driver.remove(name)
      }
    }
  }

  /** What is wrong with volumes. `isKnown`: whether there is a container of an id, or one is being made. */
  async *check(isKnown: (container: string) => boolean): AsyncGenerator<StoreProblem> {
    const data = new Map<string, string[]>()
    for (const driver of this.#drivers.own()) {
      data.set(
        driver.name,
        (await driver.list()).map(({ name }) => name),
      )
    }
    const look = async (driver: string, name: string) => {
      using _lock = await this.#locks.acquire(name)
      const found = (await this.#drivers.ownOf(driver)?.list()) ?? []
      const hasData = found.some((volume) => volume.name === name)
      return { hasData, hasRow: this.#records.get(name) !== undefined }
    }
    yield* checkVolumes({
      records: this.#records.all(),
      data,
      look,
      // Asked in this order: a container is known before it holds anything, and until it has let go.
      isStray: (name, container) =>
        !isKnown(container) &&
        this.#records.get(name)?.holders.some((holder) => holder.container === container) === true,
      release: ({ name, labels }, container) =>
        this.release(name, container, labels?.[anonymousLabel] !== undefined),
      removeUnowned: async (driver, name) => {
        const { hasRow } = await look(driver, name)
        if (!hasRow) await this.#drivers.ownOf(driver)?.remove(name)
      },
    })
  }

  /** `force` forgets a volume whose plugin cannot be asked. */
  async #removeLocked(record: VolumeRecord, force = false): Promise<void> {
    const { name, holders } = record
    if (holders.length > 0) {
      const ids = holders.map((holder) => holder.container).join(', ')
      throw new EngineError('conflict', `remove ${name}: volume is in use - [${ids}]`)
    }
    const own = this.#drivers.ownOf(record.driver)
    // Its data is swept where a crash comes in between; a plugin's cannot be, so that it goes first.
    if (own === undefined) await this.#removeFromPlugin(record, force)
    this.#records.delete(name)
    await own?.remove(name)
    this.#emit('destroy', record)
  }

  async #removeFromPlugin({ name, driver: driverName }: VolumeRecord, force: boolean): Promise<void> {
    try {
      const driver = await this.#drivers.get(driverName, `remove ${name}`)
      await driver.remove(name)
    } catch (error) {
      if (!force) throw withOperation(`remove ${name}`, error)
      this.#log.warn('volume forgotten, its driver did not remove it', { name, error })
    }
  }

  #hold(name: string, hold: VolumeHold | undefined): VolumeRecord | undefined {
    if (hold === undefined) return undefined
    return this.#records.update(name, (volume) => {
      const before = volume.holders.find((holder) => holder.container === hold.container)
      const others = volume.holders.filter((holder) => holder !== before)
      const copyUp = [...(before?.copyUp ?? []), ...newHolder(hold).copyUp]
      return { ...volume, holders: [...others, { container: hold.container, copyUp }] }
    })
  }

  async #describe(record: VolumeRecord): Promise<Volume> {
    const driver = await this.#drivers.get(record.driver, `get ${record.name}`)
    const found = await driver.get(record.name)
    if (found === undefined) throw noSuchVolume(record.name)
    return shown(record, driver, found)
  }

  async #usageBytes(record: VolumeRecord): Promise<number> {
    try {
      return (await this.#drivers.ownOf(record.driver)?.usageBytes(record.name)) ?? -1
    } catch (error) {
      this.#log.warn('size of volume unknown', { name: record.name, reason: errorMessage(error) })
      return -1
    }
  }

  #emit(action: string, record: VolumeRecord): void {
    this.#events.emit({ type: 'volume', action, id: record.name, attributes: { driver: record.driver } })
  }
}

function withOperation(operation: string, error: unknown): unknown {
  if (!(error instanceof EngineError) || error.message.startsWith(operation)) return error
  return new EngineError(error.kind, `${operation}: ${error.message}`, { cause: error })
}

function newHolder({ container, copyUp }: VolumeHold): VolumeRecord['holders'][number] {
  return { container, copyUp: copyUp === undefined ? [] : [copyUp] }
}

function noSuchVolume(name: string): EngineError {
  return new EngineError('notFound', `get ${name}: no such volume`)
}
