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
import type { VolumeDriver } from './volume-driver.ts'
import { labelMatches, parseVolumeFilters, type Filters } from './volume-filters.ts'
import { checkVolumes } from './volume-check.ts'
import { VolumeRecords, type VolumeRecord } from './volume-records.ts'

/** Takes events for the journal. */
export interface VolumeEvents {
  emit(event: { type: string; action: string; id: string; attributes: Record<string, string> }): void
}

/** What the service stands on. */
export type VolumeServiceParts = {
  database: Database
  drivers: readonly VolumeDriver[]
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
  readonly #drivers: ReadonlyMap<string, VolumeDriver>
  readonly #events: VolumeEvents
  readonly #clock: Clock
  readonly #log: Log
  readonly #locks = new KeyedMutex()

  constructor({ database, drivers, events, clock, log }: VolumeServiceParts) {
    this.#records = new VolumeRecords(database)
    this.#drivers = new Map(drivers.map((driver) => [driver.name, driver]))
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
        throw new EngineError(
          'conflict',
          `create ${name}: conflict: driver '${existing.driver}' already has volume '${name}'`,
        )
      }
      return { record: this.#hold(name, hold) ?? existing, made: false }
    }
    const driver = this.#driver(request.Driver, `create ${name}`)
    const options = request.DriverOpts ?? {}
    try {
      await driver.create(name, options)
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
  inspect(name: string): Volume {
    const record = this.#records.get(name)
    if (record === undefined) throw noSuchVolume(name)
    return this.#describe(record)
  }

  /** Volumes that match all filters (`dangling`, `driver`, `label`, `name`). Throws invalid for others. */
  list(filters: Filters): Volume[] {
    const wanted = parseVolumeFilters(filters, ['dangling', 'driver', 'label', 'name'])
    return this.#records
      .all()
      .filter(
        (record) =>
          (wanted.dangling === undefined || wanted.dangling === (record.holders.length === 0)) &&
          (wanted.drivers.length === 0 || wanted.drivers.includes(record.driver)) &&
          (wanted.names.length === 0 || wanted.names.some((name) => record.name.includes(name))) &&
          labelMatches(record.labels, wanted),
      )
      .map((record) => this.#describe(record))
  }

  /** Row first, then the data. Throws conflict while a container holds it; `force` ignores a missing one. */
  async remove(name: string, force: boolean): Promise<void> {
    using _lock = await this.#locks.acquire(name)
    const record = this.#records.get(name)
    if (record === undefined) {
      if (force) return
      throw noSuchVolume(name)
    }
    await this.#removeLocked(record)
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

  /** All volumes with what they take and by how many containers they are held, for `system df`. */
  async usage(): Promise<Volume[]> {
    const result: Volume[] = []
    for (const record of this.#records.all()) {
      const usage = { Size: await this.#usageBytes(record), RefCount: record.holders.length }
      result.push({ ...this.#describe(record), UsageData: usage })
    }
    return result
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

  /** Makes the data reachable for a container. Throws notFound. */
  async mount(name: string, container: string): Promise<string> {
    const record = this.#records.get(name)
    if (record === undefined) throw noSuchVolume(name)
    return this.#driver(record.driver, `mount ${name}`).mount(name, record.options ?? {}, container)
  }

  /** The container needs the data no longer. A volume that is gone is fine. */
  async unmount(name: string, container: string): Promise<void> {
    const record = this.#records.get(name)
    if (record !== undefined) await this.#driver(record.driver, `unmount ${name}`).unmount(name, container)
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
  lookUp(name: string): { driver: string; path: string } {
    const record = this.#records.get(name)
    if (record === undefined) throw noSuchVolume(name)
    return { driver: record.driver, path: this.#driver(record.driver, `get ${name}`).path(name) }
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
    for (const driver of this.#drivers.values()) {
      for (const name of await driver.list()) {
        using _lock = await this.#locks.acquire(name)
        if (this.#records.get(name) === undefined) await driver.remove(name)
      }
    }
  }

  /** What is wrong with volumes. `containers`: the ids of all containers there are. */
  async *check(containers: ReadonlySet<string>): AsyncGenerator<StoreProblem> {
    const data = new Map<string, string[]>()
    for (const driver of this.#drivers.values()) data.set(driver.name, await driver.list())
    const isUnowned = async (driver: string, name: string) => {
      using _lock = await this.#locks.acquire(name)
      const found = await this.#driver(driver, 'check').list()
      return found.includes(name) && this.#records.get(name) === undefined
    }
    yield* checkVolumes({
      records: this.#records.all(),
      data,
      containers,
      isUnowned,
      release: ({ name, labels }, container) =>
        this.release(name, container, labels?.[anonymousLabel] !== undefined),
      removeUnowned: async (driver, name) => {
        if (await isUnowned(driver, name)) await this.#driver(driver, 'check').remove(name)
      },
    })
  }

  async #removeLocked(record: VolumeRecord): Promise<void> {
    const { name, holders } = record
    if (holders.length > 0) {
      const ids = holders.map((holder) => holder.container).join(', ')
      throw new EngineError('conflict', `remove ${name}: volume is in use - [${ids}]`)
    }
    const driver = this.#driver(record.driver, `remove ${name}`)
    this.#records.delete(name)
    await driver.remove(name)
    this.#emit('destroy', record)
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

  #driver(name: string, operation: string): VolumeDriver {
    const driver = this.#drivers.get(name === '' ? 'local' : name)
    if (driver !== undefined) return driver
    throw new EngineError(
      'notFound',
      `${operation}: error looking up volume plugin ${name}: plugin ${JSON.stringify(name)} not found`,
    )
  }

  #describe(record: VolumeRecord): Volume {
    const driver = this.#driver(record.driver, `get ${record.name}`)
    return {
      CreatedAt: record.createdAt,
      Driver: record.driver,
      Labels: record.labels,
      Mountpoint: driver.path(record.name),
      Name: record.name,
      Options: record.options,
      Scope: driver.scope,
    }
  }

  async #usageBytes(record: VolumeRecord): Promise<number> {
    try {
      return await this.#driver(record.driver, 'df').usageBytes(record.name)
    } catch (error) {
      this.#log.warn('size of volume unknown', { name: record.name, reason: errorMessage(error) })
      return -1
    }
  }

  #emit(action: string, record: VolumeRecord): void {
    this.#events.emit({ type: 'volume', action, id: record.name, attributes: { driver: record.driver } })
  }
}

function newHolder({ container, copyUp }: VolumeHold): VolumeRecord['holders'][number] {
  return { container, copyUp: copyUp === undefined ? [] : [copyUp] }
}

function noSuchVolume(name: string): EngineError {
  return new EngineError('notFound', `get ${name}: no such volume`)
}
