/** The networks of a daemon: their rows, their pools and which of them a name means. */
import { EngineError } from '../spec/errors.ts'
import type { NetworkId } from '../spec/ids.ts'
import { parseTimeNs } from '../lib/clock.ts'
import type { Database } from '../store/database.ts'
import { formatIp, formatPrefix, type IpAddress, type IpPrefix } from './ip-address.ts'
import type { AddressPool } from './ipam.ts'
import type { IpamDrivers } from './network-drivers.ts'
import type { NetworkRecord } from './network-record.ts'
import { closePool, openPool, type PoolRecord } from './pool-record.ts'

/** A network with its open pools, in the order of its records. */
export type OpenNetwork = { record: NetworkRecord; pools: AddressPool[] }

/** See the file's head. */
export class NetworkTable {
  readonly #database: Database
  readonly #ipam: IpamDrivers
  readonly #networks = new Map<string, OpenNetwork>()

  constructor(database: Database, ipam: IpamDrivers) {
    this.#database = database
    this.#ipam = ipam
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
  async open(
    record: NetworkRecord,
    options: { exclude: IpPrefix[]; needsGateway: boolean },
  ): Promise<OpenNetwork & AsyncDisposable> {
    const driver = this.#ipam.get(record.ipamDriver)
    await using undo = new AsyncDisposableStack()
    const pools: AddressPool[] = []
    const openFamily = async (family: 4 | 6, records: PoolRecord[], enabled: boolean) => {
      const complete: PoolRecord[] = []
      for (const pool of enabled && records.length === 0 ? [emptyPool] : records) {
        const opened = await openPool(driver, pool, {
          family,
          exclude: options.exclude,
          options: record.ipamOptions ?? {},
          wantsGateway: options.needsGateway,
        })
        undo.defer(async () => closePool(opened.pool))
        pools.push(opened.pool)
        const gateway = opened.gateway === undefined ? '' : formatIp(opened.gateway)
        const { reference } = opened.pool
        const subnet = formatPrefix(opened.pool.subnet)
        complete.push({ ...pool, subnet, gateway, ...(reference === undefined ? {} : { reference }) })
      }
      return complete
    }
    const ipv4 = await openFamily(4, record.ipv4, record.enableIPv4)
    const ipv6 = await openFamily(6, record.ipv6, record.enableIPv6)
    const opened = undo.move()
    return {
      record: { ...record, ipv4, ipv6 },
      pools,
      [Symbol.asyncDispose]: async () => opened.disposeAsync(),
    }
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

  /** Forgets a network and closes its pools. Resolves when they are given back to whoever keeps them. */
  async remove(id: NetworkId): Promise<void> {
    const network = this.#networks.get(id)
    this.#database.run('DELETE FROM networks WHERE id = ?', id)
    this.#networks.delete(id)
    for (const pool of network?.pools ?? []) pool.close()
    for (const pool of network?.pools ?? []) await pool.settled?.()
  }

  /** All networks, oldest first. */
  all(): NetworkRecord[] {
    return [...this.#networks.values()].map((network) => network.record)
  }

  /** By id. */
  byId(id: string): OpenNetwork | undefined {
    return this.#networks.get(id)
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
      const address = pool.request(wanted)
      return address === undefined
        ? undefined
        : { address, pool, gateway: gatewayOf(network, records[index]) }
    } catch (error) {
      if (!(error instanceof EngineError)) throw error
      failure = error
    }
  }
  if (failure !== undefined) throw failure
  return undefined
}

/** Of a bridge, Docker's: an auxiliary address may stand for where default routes lead instead. */
function gatewayOf({ record }: OpenNetwork, pool: PoolRecord | undefined): string {
  const { DefaultGatewayIPv4: other4, DefaultGatewayIPv6: other6 } = pool?.auxiliary ?? {}
  const other = record.driver === 'bridge' ? (other4 ?? other6) : undefined
  return other ?? pool?.gateway ?? ''
}
