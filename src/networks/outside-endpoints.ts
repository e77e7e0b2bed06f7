/**
 * Endpoints on networks that need somebody else asked, for a link or for an address: made before a sandbox is joined,
 * because that takes time, and given up after it was left. While one is made its network cannot be removed.
 */
import { EngineError, errorCode, errorMessage } from '../spec/errors.ts'
import type { EndpointSettings } from '../spec/container-config.ts'
import type { SandboxRequest, SandboxState } from '../spec/sandbox-types.ts'
import type { OutsideLink, OutsidePorts } from './driver.ts'
import {
  planEndpoint,
  reclaimEndpoint,
  releaseEndpoint,
  type EndpointRecord,
  type PlannedEndpoint,
} from './endpoint.ts'
import { formatIp, formatMac, parseIp, parseMac, type IpAddress } from './ip-address.ts'
import type { LiveSandbox } from './live-sandbox.ts'
import type { NetworkCore } from './network-core.ts'
import { randomMac } from './network-record.ts'
import type { OpenNetwork } from './network-table.ts'
import { portWishes } from './published-ports.ts'
import { Sandbox } from './sandbox.ts'
import { gatewayEndpoint } from './sandbox-links.ts'
import type { SandboxRecord } from './sandbox-record.ts'

/** Endpoints that wait to be joined. Disposing gives up those that were not. */
export class PreparedEndpoints implements AsyncDisposable {
  readonly #planned = new Map<string, PlannedEndpoint>()
  readonly #owned: AsyncDisposableStack
  readonly #holds: DisposableStack

  constructor(owned: AsyncDisposableStack, holds: DisposableStack) {
    this.#owned = owned
    this.#holds = holds
  }

  add(planned: PlannedEndpoint): void {
    this.#planned.set(planned.record.networkId, planned)
  }

  /** The endpoint on a network, where it had to be made before. */
  get(networkId: string): PlannedEndpoint | undefined {
    return this.#planned.get(networkId)
  }

  /** All of them have been joined: they are the sandbox's now. */
  keep(): void {
    this.#owned.move()
    this.#planned.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#owned.disposeAsync()
    } finally {
      this.#holds.dispose()
    }
  }
}

/** What is known of an endpoint that is to be given up. */
type GivenUp = Pick<EndpointRecord, 'networkId' | 'id' | 'driver' | 'address4' | 'address6' | 'exposed'>

type Wanted = { network: string; settings: EndpointSettings }

/** See the file's head. */
export class OutsideEndpoints {
  readonly #core: NetworkCore

  constructor(core: NetworkCore) {
    this.#core = core
  }

  /** Makes those of `endpoints` that have to be. Leaves nothing on failure. */
  async prepare(
    request: SandboxRequest,
    sandboxKey: string,
    endpoints: Wanted[],
  ): Promise<PreparedEndpoints> {
    using holds = new DisposableStack()
    await using owned = new AsyncDisposableStack()
    const found = new Map<string, PlannedEndpoint>()
    for (const { network, settings } of endpoints) {
      const open = this.#core.parts.table.find(network)
      if (!this.#isOutside(open)) continue
      this.#core.refuseLeaving(open.record)
      holds.use(this.#core.hold(open.record.id))
      owned.defer(async () => settled(open))
      const { planned, mac } = await this.#plan(open, request, settings)
      owned.defer(() => planned[Symbol.dispose]())
      await this.#make(planned, { request, sandboxKey, mac, owned })
      found.set(open.record.id, planned)
    }
    const prepared = new PreparedEndpoints(owned.move(), holds.move())
    for (const planned of found.values()) prepared.add(planned)
    return prepared
  }

  /**
   * Gives up endpoints whose links are no longer in a sandbox, and then their addresses: nobody else is to have one
   * while the plugin still has the endpoint.
   */
  async release(endpoints: readonly GivenUp[]): Promise<void> {
    for (const endpoint of endpoints) {
      const { networkId, id, driver, exposed } = endpoint
      using _hold = this.#core.hold(networkId)
      const { outside } = this.#core.parts.drivers.assume(driver)
      if (exposed === true) await outside?.conceal(networkId, id)
      await outside?.release(networkId, id)
      const network = this.#core.parts.table.get(networkId)
      releaseEndpoint(network, endpoint)
      await settled(network)
    }
  }

  /** Tells the drivers whose endpoint the way outside leads over, after endpoints came or went. */
  async settle(live: LiveSandbox): Promise<void> {
    const { endpoints, request } = live.record
    const ways = [4, 6].map((family) => gatewayEndpoint(endpoints, family === 4 ? 4 : 6, this.#core))
    for (const endpoint of endpoints) {
      const { outside } = this.#core.driver(endpoint.driver)
      const isWay = ways.includes(endpoint)
      if (outside === undefined || isWay === (endpoint.exposed === true)) continue
      if (isWay) await this.#expose(endpoint, request)
      else await outside.conceal(endpoint.networkId, endpoint.id)
      endpoint.exposed = isWay
    }
  }

  /** Whether there is anybody to tell which endpoint of the sandbox leads outside. */
  concerns({ record }: LiveSandbox): boolean {
    return record.endpoints.some((endpoint) => this.isOthers(endpoint))
  }

  /** Whether somebody else has to be told that an endpoint is no more. */
  isOthers({ networkId }: { networkId: string }): boolean {
    const network = this.#core.parts.table.byId(networkId)
    return network !== undefined && this.#isOutside(network)
  }

  /** Gives up the endpoints of a sandbox that was never taken over, its record perhaps lost with the machine's last run. */
  async forget(record: SandboxRecord | undefined, state: SandboxState | undefined): Promise<void> {
    const known: GivenUp[] = record?.endpoints ?? (state === undefined ? [] : this.#endpointsOf(state))
    const endpoints = known.filter((endpoint) => this.isOthers(endpoint))
    if (endpoints.length === 0) return
    if (record !== undefined) this.#giveLinksBack(record)
    for (const endpoint of endpoints) this.#reclaim(endpoint)
    await this.release(endpoints)
  }

  #reclaim(endpoint: GivenUp): void {
    try {
      reclaimEndpoint(this.#core.parts.table.get(endpoint.networkId), endpoint)
    } catch (error) {
      // Somebody else's by now.
      if (!(error instanceof EngineError)) throw error
    }
  }

  #endpointsOf({ endpoints }: SandboxState): GivenUp[] {
    return Object.values(endpoints).flatMap((settings) => {
      const driver = this.#core.parts.table.byId(settings.NetworkID)?.record.driver
      if (driver === undefined) return []
      const {
        NetworkID: networkId,
        EndpointID: id,
        IPAddress: address4,
        GlobalIPv6Address: address6,
      } = settings
      return [{ networkId, id, driver, address4, address6 }]
    })
  }

  /** A link that somebody else made goes back to the host: it must not end with the namespace. */
  giveLinkBack(sandbox: Sandbox | undefined, { driver, link }: EndpointRecord): void {
    if (sandbox !== undefined && link?.source !== undefined) this.#core.driver(driver).leave(sandbox, link)
  }

  #giveLinksBack(record: SandboxRecord): void {
    try {
      using sandbox = Sandbox.open(record.sandboxId, record.sandboxKey)
      for (const endpoint of record.endpoints) this.giveLinkBack(sandbox, endpoint)
    } catch (error) {
      // The namespace is gone, and its links with it.
      if (!['ENOENT', 'EINVAL'].includes(errorCode(error) ?? '')) throw error
    }
  }

  /** Whether anything about the network's endpoints is somebody else's. */
  #isOutside({ record, pools }: OpenNetwork): boolean {
    return (
      this.#core.driver(record.driver).outside !== undefined || pools.some((pool) => pool.fetch !== undefined)
    )
  }

  async #expose(endpoint: EndpointRecord, request: SandboxRequest): Promise<void> {
    const { outside } = this.#core.driver(endpoint.driver)
    try {
      await outside?.expose(endpoint.networkId, endpoint.id, portsOf(request))
    } catch (error) {
      throw new EngineError(
        error instanceof EngineError ? error.kind : 'internal',
        `driver failed programming external connectivity on endpoint ${request.containerName} (${endpoint.id}): ${errorMessage(error)}`,
        { cause: error },
      )
    }
  }

  async #plan(open: OpenNetwork, request: SandboxRequest, settings: EndpointSettings) {
    const { IPv4Address: wanted4 = '', IPv6Address: wanted6 = '' } = settings.IPAMConfig ?? {}
    // Most drivers choose it themselves.
    const isNeeded = settings.MacAddress === '' && open.pools.some((pool) => pool.needsMac === true)
    const mac = isNeeded ? formatMac(randomMac()) : settings.MacAddress
    using undo = new DisposableStack()
    const fixed = {
      ipv4: await this.#fetch(open, 4, { wanted: wanted4, mac }, undo),
      ipv6: await this.#fetch(open, 6, { wanted: wanted6, mac }, undo),
    }
    const container = { id: request.containerId, name: request.containerName, hostname: request.hostname }
    const planned = planEndpoint(open, container, { ...settings, MacAddress: mac }, fixed)
    // The record shows what was asked for.
    planned.record.settings = settings
    undo.move()
    return { planned, mac }
  }

  /** An address of the first pool of the family that has one. */
  async #fetch(
    open: OpenNetwork,
    family: 4 | 6,
    { wanted, mac }: { wanted: string; mac: string },
    undo: DisposableStack,
  ): Promise<IpAddress | undefined> {
    const address = wanted === '' ? undefined : parseIp(wanted)
    let failure: unknown
    for (const pool of open.pools) {
      if (pool.subnet.address.family !== family || pool.fetch === undefined) continue
      try {
        const given = await pool.fetch(address, { kind: 'endpoint', mac })
        if (given === undefined) {
          throw new EngineError('internal', 'IPAM error: failed to request address: no IP was returned')
        }
        undo.defer(() => pool.release(given))
        return given
      } catch (error) {
        if (!(error instanceof EngineError)) throw error
        failure = error
      }
    }
    if (failure !== undefined) throw failure
    return address
  }

  async #make(
    { record, plan }: PlannedEndpoint,
    parts: { request: SandboxRequest; sandboxKey: string; mac: string; owned: AsyncDisposableStack },
  ): Promise<void> {
    const { request, sandboxKey, mac, owned } = parts
    const network = this.#core.network(record.networkId)
    const { outside } = this.#core.driver(network.driver)
    if (outside === undefined) return
    const link = await outside.prepare(network, {
      endpointId: record.id,
      address4: record.address4 === '' ? '' : `${record.address4}/${record.prefix4}`,
      address6: record.address6 === '' ? '' : `${record.address6}/${record.prefix6}`,
      mac,
      driverOptions: plan.driverOptions,
      sandboxKey,
      ports: portsOf(request),
    })
    owned.defer(() => outside.release(network.id, record.id))
    plan.outside = link
    plan.mac = parseMac(mac) ?? Buffer.alloc(0)
    amend(record, plan.addresses, link)
  }
}

/** Resolves when what was given back to the network's pools is there. */
async function settled({ pools }: OpenNetwork): Promise<void> {
  for (const pool of pools) await pool.settled?.()
}

/** What the driver chose is the endpoint's. */
function amend(
  record: EndpointRecord,
  addresses: PlannedEndpoint['plan']['addresses'],
  link: OutsideLink,
): void {
  record.gateway4 = link.gateway4
  record.gateway6 = link.gateway6
  if (link.mac !== undefined) record.mac = formatMac(link.mac)
  for (const prefix of [link.address4, link.address6]) {
    if (prefix === undefined) continue
    addresses.push({ address: prefix.address, prefixLength: prefix.length, linkLocal: false })
  }
  if (link.address4 !== undefined) {
    record.address4 = formatIp(link.address4.address)
    record.prefix4 = link.address4.length
  }
  if (link.address6 !== undefined) {
    record.address6 = formatIp(link.address6.address)
    record.prefix6 = link.address6.length
  }
}

function portsOf(request: SandboxRequest): OutsidePorts {
  const { portBindings, exposedPorts, publishAllPorts } = request
  return { published: portWishes(portBindings, exposedPorts, publishAllPorts), exposed: exposedPorts }
}
