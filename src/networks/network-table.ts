/** The networks of a daemon: their rows, their pools and which of them a name means. */
import { EngineError } from '../spec/errors.ts'
import type { NetworkId } from '../spec/ids.ts'
import { parseTimeNs } from '../lib/clock.ts'
import type { Database } from '../store/database.ts'
import { formatIp, formatPrefix, type IpAddress, type IpPrefix } from './ip-address.ts'
import { openPool, type AddressPool, type IpamDriver, type PoolRecord } from './ipam.ts'
import type { NetworkRecord } from './network-record.ts'

/** A network with its open pools, in the order of its records. */
export type OpenNetwork = { record: NetworkRecord; pools: AddressPool[] }

/** See the file's head. */
export class NetworkTable {
  readonly #database: Database
  readonly #ipam: ReadonlyMap<string, IpamDriver>
  readonly #networks = new Map<string, OpenNetwork>()

  constructor(database: Database, ipam: readonly IpamDriver[]) {
    this.#database = database
    this.#ipam = new Map(ipam.map((driver) => [driver.name, driver]))
  }

  /** Records as the database has them, oldest first. */
  stored(): NetworkRecord[] {
    return this.#database
      .all('SELECT record FROM networks')
      .map((row) => readRecord(row['record']))
      .toSorted((a, b) => Number((parseTimeNs(a.created) ?? 0n) - (parseTimeNs(b.created) ?? 0n)))
  }

  /**
   * Opens a record's pools: those without a subnet get one that avoids `exclude`. Answers the record with what it
   * got. Nothing is kept until `add`.
   */
  open(
    record: NetworkRecord,
    options: { exclude: IpPrefix[]; needsGateway: boolean },
  ): OpenNetwork & Disposable {
    const driver = this.#ipam.get(record.ipamDriver)
    if (driver === undefined) {
      throw new EngineError('notFound', `could not find ipam driver ${record.ipamDriver}`)
    }
    using undo = new DisposableStack()
    const pools: AddressPool[] = []
    const openFamily = (family: 4 | 6, records: PoolRecord[], enabled: boolean) => {
      const wanted = enabled && records.length === 0 ? [emptyPool] : records
      return wanted.map((pool) => {
        const opened = openPool(driver, pool, {
          family,
          exclude: options.exclude,
          options: record.ipamOptions ?? {},
          wantsGateway: options.needsGateway,
        })
        undo.defer(() => opened.pool.close())
        pools.push(opened.pool)
        const gateway = opened.gateway === undefined ? '' : formatIp(opened.gateway)
        return { ...pool, subnet: formatPrefix(opened.pool.subnet), gateway }
      })
    }
    const ipv4 = openFamily(4, record.ipv4, record.enableIPv4)
    const ipv6 = openFamily(6, record.ipv6, record.enableIPv6)
    const opened = undo.move()
    return { record: { ...record, ipv4, ipv6 }, pools, [Symbol.dispose]: () => opened.dispose() }
  }

  /** Keeps a network, durably. */
  add(network: OpenNetwork): void {
    const { record } = network
    this.#database.run(
      'INSERT INTO networks (id, name, record) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name, record = excluded.record',
      record.id,
      record.name,
      JSON.stringify(record),
    )
    this.#networks.set(record.id, network)
  }

  /** Forgets a network and closes its pools. */
  remove(id: NetworkId): void {
    const network = this.#networks.get(id)
    this.#database.run('DELETE FROM networks WHERE id = ?', id)
    this.#networks.delete(id)
    for (const pool of network?.pools ?? []) pool.close()
  }

  /** All networks, oldest first. */
  all(): NetworkRecord[] {
    return [...this.#networks.values()].map((network) => network.record)
  }

  /** By id. Throws notFound. */
  get(id: string): OpenNetwork {
    const network = this.#networks.get(id)
    if (network === undefined) throw notFound(id)
    return network
  }

  /** By id, then name, then id prefix. Throws notFound, or invalid for a prefix of several. */
  find(reference: string): OpenNetwork {
    const wanted = reference === 'default' ? 'bridge' : reference
    const all = [...this.#networks.values()]
    const exact =
      all.find(({ record }) => record.id === wanted) ?? all.find(({ record }) => record.name === wanted)
    if (exact !== undefined) return exact
    const byPrefix = wanted === '' ? [] : all.filter(({ record }) => record.id.startsWith(wanted))
    const [only] = byPrefix
    if (only === undefined) throw notFound(reference)
    if (byPrefix.length > 1) {
      throw new EngineError(
        'invalid',
        `network ${reference} is ambiguous (${byPrefix.length} matches found based on ID prefix)`,
      )
    }
    return only
  }

  /** By name alone. */
  byName(name: string): OpenNetwork | undefined {
    return [...this.#networks.values()].find(({ record }) => record.name === name)
  }
}

const emptyPool: PoolRecord = { subnet: '', range: '', gateway: '', auxiliary: {}, asked: false }

function notFound(reference: string): EngineError {
  return new EngineError('notFound', `network ${reference} not found`)
}

function readRecord(text: unknown): NetworkRecord {
  if (typeof text !== 'string') throw new TypeError('a network without a record')
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by `add` alone
  return JSON.parse(text) as NetworkRecord
}

/** Takes an address from the network's pools of a family: the given one, or a free one of the first pool. */
export function takeAddress(
  network: OpenNetwork,
  family: 4 | 6,
  wanted: IpAddress | undefined,
): { address: IpAddress; pool: AddressPool; gateway: string } | undefined {
  const records = [...network.record.ipv4, ...network.record.ipv6]
  let failure: unknown
  for (const [index, pool] of network.pools.entries()) {
    if (pool.subnet.address.family !== family) continue
    try {
      return { address: pool.request(wanted), pool, gateway: records[index]?.gateway ?? '' }
    } catch (error) {
      if (!(error instanceof EngineError)) throw error
      failure = error
    }
  }
  if (failure !== undefined) throw failure
  return undefined
}
