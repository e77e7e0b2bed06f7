/** Networks as the API's routes see them: create, list, inspect, remove, prune. */
import { EngineError, errorMessage } from '../spec/errors.ts'
import { networkId } from '../spec/ids.ts'
import type {
  NetworkContainer,
  NetworkCreate,
  NetworkExposure,
  NetworkInspect,
} from '../spec/network-types.ts'
import { findLink, listAddresses, listRoutes } from '../kernel/rtnetlink-read.ts'
import type { Clock, Ids } from '../lib/clock.ts'
import { formatTimeNs } from '../lib/clock.ts'
import { exposureOf } from './exposure.ts'
import { formatPrefix, ipFromBytes, overlaps, parseIp, parsePrefix, type IpPrefix } from './ip-address.ts'
import type { PoolRecord } from './pool-record.ts'
import type { NetworkCore } from './network-core.ts'
import { recordOf } from './network-create.ts'
import { filterNetworks, prunableNetworks, type NetworkFilters } from './network-filters.ts'
import { bridgeLinkName, isPredefined, type NetworkRecord } from './network-record.ts'
import type { OpenNetwork } from './network-table.ts'
import { hostResolvers } from './sandbox-etc.ts'

/** See the file's head. */
export class NetworkService {
  readonly #core: NetworkCore
  readonly #clock: Clock
  readonly #ids: Ids
  /** Networks that are being made. */
  readonly #begun: NetworkRecord[] = []

  constructor(core: NetworkCore, clock: Clock, ids: Ids) {
    this.#core = core
    this.#clock = clock
    this.#ids = ids
  }

  /** Makes a network. Throws as Docker words it; leaves nothing on failure. */
  async create(request: NetworkCreate): Promise<{ Id: string; Warning: string }> {
    const { table, settings } = this.#core.parts
    const record = recordOf(request, {
      id: networkId(this.#ids.hex64()),
      created: formatTimeNs(this.#clock.nowNs()),
      isTaken: (name) => table.byName(name) !== undefined || this.#begun.some((other) => other.name === name),
      configNetwork: (name) => {
        const found = table.byName(name)?.record
        return found?.configOnly === true ? found : undefined
      },
      defaultOptions: (driver) => settings.defaultNetworkOptions[driver] ?? {},
    })
    this.#begun.push(record)
    try {
      await this.add(record.configOnly ? record : await this.#scoped(record))
    } finally {
      this.#begun.splice(this.#begun.indexOf(record), 1)
    }
    this.#emit('create', record)
    return { Id: record.id, Warning: '' }
  }

  /** Brings a network of before this daemon up again. */
  async restore(record: NetworkRecord): Promise<void> {
    if (!record.configOnly) this.#core.parts.drivers.assume(record.driver)
    await this.add(record, { isThere: true })
  }

  /** Opens pools, makes links and keeps the row, in that order. One that `isThere` already is not made elsewhere. */
  async add(record: NetworkRecord, { isThere = false } = {}): Promise<void> {
    const { table } = this.#core.parts
    if (record.configOnly) {
      table.add({ record, pools: [] })
      return
    }
    const driver = this.#core.driver(record.driver)
    driver.validate(record)
    this.#checkBridgeName(record)
    await using undo = new AsyncDisposableStack()
    const opened = undo.use(
      await table.open(driver.hasAddresses ? record : { ...record, enableIPv4: false, enableIPv6: false }, {
        exclude: this.#hostPrefixes(bridgeLinkName(record)),
        needsGateway: driver.needsGateway(record),
      }),
    )
    const complete = {
      ...opened.record,
      enableIPv4: record.enableIPv4,
      enableIPv6: record.enableIPv6,
    }
    this.#checkOverlap(complete)
    if (!isThere || driver.outside === undefined) {
      await driver.create(complete)
      undo.defer(() => driver.remove(complete))
    }
    table.add({ record: complete, pools: opened.pools })
    undo.move()
  }

  /** Networks that the filters let through, in the list's shape. */
  async list(filters: NetworkFilters): Promise<NetworkInspect[]> {
    const found = filterNetworks(this.#core.parts.table.all(), filters, (network) => this.#inUse(network))
    return found.map((record) => this.#describe(record, false))
  }

  /** One network with its containers. Throws notFound. */
  async inspect(reference: string): Promise<NetworkInspect> {
    const network = this.#core.parts.table.find(reference)
    const described = this.#describe(network.record, true)
    const Subnets = subnetStatus(network)
    return Object.keys(Subnets).length === 0 ? described : { ...described, Status: { IPAM: { Subnets } } }
  }

  /** Removes a network that nothing is on. */
  async remove(reference: string): Promise<void> {
    const { record } = this.#core.parts.table.find(reference)
    if (isPredefined(record.name)) {
      throw new EngineError('forbidden', `${record.name} is a pre-defined network and cannot be removed`)
    }
    await this.#remove(record)
  }

  /** Removes all networks that nothing is on. */
  async prune(filters: NetworkFilters): Promise<{ NetworksDeleted: string[] }> {
    const deleted: string[] = []
    for (const record of prunableNetworks(this.#core.parts.table.all(), filters, this.#clock.nowNs())) {
      if (this.#inUse(record)) continue
      try {
        await this.#remove(record)
        deleted.push(record.name)
      } catch (error) {
        if (!(error instanceof EngineError)) throw error
        this.#core.parts.log.warn('cannot prune network', {
          network: record.name,
          error: errorMessage(error),
        })
      }
    }
    this.#core.parts.events.emit({
      type: 'network',
      action: 'prune',
      id: '',
      attributes: { reclaimed: '0' },
    })
    return { NetworksDeleted: deleted }
  }

  /** What is reachable from where, as things stand. */
  async exposure(): Promise<NetworkExposure> {
    const { table, settings } = this.#core.parts
    const sandboxes = [...this.#core.live.values()].map((live) => live.record)
    return exposureOf(table.all(), sandboxes, settings)
  }

  /** Drivers by name, for system info. */
  drivers(): string[] {
    return this.#core.parts.drivers.names()
  }

  /** With the driver that is asked for, which may have to be found, and the reach that it gives. */
  async #scoped(record: NetworkRecord): Promise<NetworkRecord> {
    const { drivers, ipam } = this.#core.parts
    const { scope } = await drivers.find(record.driver)
    await ipam.check(record.ipamDriver)
    return scope === 'local' ? record : { ...record, scope }
  }

  async #remove(record: NetworkRecord): Promise<void> {
    const { table } = this.#core.parts
    if (this.#inUse(record)) {
      throw new EngineError(
        'forbidden',
        `error while removing network: network ${record.name} id ${record.id} has active endpoints`,
      )
    }
    if (record.configOnly && table.all().some((network) => network.configFrom === record.name)) {
      throw new EngineError(
        'forbidden',
        `error while removing network: configuration network ${JSON.stringify(record.name)} is in use`,
      )
    }
    this.#core.refuseLeaving(record)
    this.#core.leaving.add(record.id)
    try {
      if (!record.configOnly) await this.#removeLinks(record)
      await table.remove(record.id)
    } finally {
      this.#core.leaving.delete(record.id)
    }
    this.#emit('destroy', record)
  }

  async #removeLinks(record: NetworkRecord): Promise<void> {
    try {
      await this.#core.driver(record.driver).remove(record)
    } catch (error) {
      if (!(error instanceof EngineError)) throw error
      throw new EngineError(error.kind, `error while removing network: ${error.message}`, { cause: error })
    }
  }

  #inUse(network: NetworkRecord): boolean {
    return this.#core.inUse(network.id)
  }

  #emit(action: string, record: NetworkRecord): void {
    if (record.configOnly) return
    this.#core.parts.events.emit({
      type: 'network',
      action,
      id: record.id,
      attributes: { name: record.name, type: record.driver },
    })
  }

  #checkBridgeName(record: NetworkRecord): void {
    if (record.driver !== 'bridge') return
    const name = bridgeLinkName(record)
    const other = [...this.#core.parts.table.all(), ...this.#begun].find(
      (network) =>
        network.driver === 'bridge' && network.id !== record.id && bridgeLinkName(network) === name,
    )
    if (other === undefined) return
    throw new EngineError(
      'forbidden',
      `cannot create network ${record.id} (${name}): conflicts with network ${other.id} (${name}): networks have same bridge name`,
    )
  }

  /** Bridges cannot share a subnet; that other drivers' networks do not is their own business. */
  #checkOverlap(record: NetworkRecord): void {
    if (record.driver !== 'bridge') return
    const subnets = (network: NetworkRecord) =>
      [...network.ipv4, ...network.ipv6]
        .map((pool) => parsePrefix(pool.subnet))
        .filter((one) => one !== undefined)
    for (const other of this.#core.parts.table.all()) {
      if (other.driver !== 'bridge' || other.configOnly || other.id === record.id) continue
      const taken = subnets(other)
      const clash = subnets(record).find((subnet) => taken.some((one) => overlaps(one, subnet)))
      if (clash === undefined) continue
      throw new EngineError(
        'forbidden',
        `cannot create network ${record.id} (${bridgeLinkName(record)}): conflicts with network ${other.id} (${bridgeLinkName(other)}): networks have overlapping IPv${clash.address.family}`,
      )
    }
  }

  /** What the host uses: its addresses, routes and resolvers, but for those of the link `own`. */
  #hostPrefixes(own: string): IpPrefix[] {
    const { socket } = this.#core.parts
    const ownIndex = findLink(socket, own)?.index
    const addresses = listAddresses(socket)
      .filter(({ index }) => index !== ownIndex)
      .map(({ address, prefixLength }) => ({ address: ipFromBytes(address), length: prefixLength }))
    const routes = listRoutes(socket)
      .filter(({ index }) => index !== ownIndex)
      .map((route) => route.destination)
      .filter((destination) => destination !== undefined)
      .map(({ address, prefixLength }) => ({ address: ipFromBytes(address), length: prefixLength }))
    const resolvers = hostResolvers()
      .map(parseIp)
      .filter((address) => address !== undefined)
      .map((address) => ({ address, length: address.family === 4 ? 32 : 128 }))
    return [...addresses, ...routes, ...resolvers].filter((prefix) => prefix.length > 0)
  }

  #describe(record: NetworkRecord, withContainers: boolean): NetworkInspect {
    const containers = withContainers ? this.#core.endpointsOn(record.id) : []
    const pools = [...record.ipv4, ...record.ipv6]
    return {
      Name: record.name,
      Id: record.id,
      Created: record.created,
      Scope: record.scope ?? 'local',
      Driver: record.driver,
      EnableIPv4: record.enableIPv4,
      EnableIPv6: record.enableIPv6,
      IPAM: {
        Driver: record.ipamDriver,
        Options: record.ipamOptions,
        Config: pools.length === 0 ? null : pools.map(describePool),
      },
      Internal: record.internal,
      Attachable: record.attachable,
      Ingress: record.ingress,
      ConfigFrom: { Network: record.configFrom },
      ConfigOnly: record.configOnly,
      Containers: Object.fromEntries(
        containers.map(({ container, name, endpoint }): [string, NetworkContainer] => [
          container,
          {
            Name: name,
            EndpointID: endpoint.id,
            MacAddress: endpoint.link === undefined ? '' : endpoint.mac,
            IPv4Address: withLength(endpoint.address4, endpoint.prefix4),
            IPv6Address: withLength(endpoint.address6, endpoint.prefix6),
          },
        ]),
      ),
      Options: record.options,
      Labels: record.labels,
    }
  }
}

function subnetStatus({ pools }: OpenNetwork) {
  const most = (1n << 64n) - 1n
  const saturated = (count: bigint) => (count > most ? most : count)
  return Object.fromEntries(
    pools.flatMap((pool) => {
      const usage = pool.usage?.()
      if (usage === undefined) return []
      const { inUse, available } = usage
      const status = { IPsInUse: saturated(inUse), DynamicIPsAvailable: saturated(available) }
      return [[formatPrefix(pool.subnet), status] as const]
    }),
  )
}

function describePool(pool: PoolRecord): Record<string, unknown> {
  return {
    Subnet: pool.subnet,
    ...(pool.range === '' ? {} : { IPRange: pool.range }),
    ...(pool.gateway === '' ? {} : { Gateway: pool.gateway }),
    ...(Object.keys(pool.auxiliary).length === 0 ? {} : { AuxiliaryAddresses: pool.auxiliary }),
  }
}

function withLength(address: string, length: number): string {
  return address === '' ? '' : `${address}/${length}`
}
