/** Endpoints: what a container asks of a network, what it got, and how the API shows it. */
import { createHash, randomBytes } from 'node:crypto'
import { EngineError } from '../spec/errors.ts'
import type { EndpointSettings } from '../spec/container-config.ts'
import type { EndpointPlan, JoinedLink } from './driver.ts'
import { validateOptions } from './endpoint-options.ts'
import {
  contains,
  formatIp,
  formatMac,
  ipBytes,
  isUnspecified,
  parseIp,
  parseMac,
  parsePrefix,
  type IpAddress,
} from './ip-address.ts'
import type { AddressPool } from './ipam.ts'
import type { PoolRecord } from './pool-record.ts'
import { joinComplaints } from './network-create.ts'
import { isPredefined, type NetworkRecord } from './network-record.ts'
import { takeAddress, type OpenNetwork } from './network-table.ts'

/** A container's place on a network, as it is kept beside the sandbox. */
export type EndpointRecord = {
  id: string
  networkId: string
  networkName: string
  driver: string
  /** Names for the resolver; none on networks without one. */
  dnsNames: string[]
  link: JoinedLink | undefined
  mac: string
  /** Empty where the network has none of the family. */
  address4: string
  prefix4: number
  gateway4: string
  address6: string
  prefix6: number
  gateway6: string
  /** Links of user networks: alias to container name. */
  links: Record<string, string>
  settings: EndpointSettings
  /** Whether its driver has been told that the way outside leads over it. */
  exposed?: boolean
}

/** Checks what is asked of an endpoint. Throws invalid, as Docker words it. */
export function validateEndpoint(network: NetworkRecord, settings: EndpointSettings): void {
  validateOptions(settings)
  const complaints: string[] = []
  const { IPv4Address = '', IPv6Address = '', LinkLocalIPs = null } = settings.IPAMConfig ?? {}
  if (isPredefined(network.name)) {
    if (IPv4Address !== '' || IPv6Address !== '') {
      complaints.push('user specified IP address is supported on user defined networks only')
    }
    if ((settings.Aliases ?? []).length > 0) {
      complaints.push('network-scoped alias is supported only for containers in user defined networks')
    }
  }
  if (settings.MacAddress !== '' && parseMac(settings.MacAddress) === undefined) {
    throw new EngineError(
      'invalid',
      `invalid config for network ${network.name}: invalid MAC address ${settings.MacAddress}`,
    )
  }
  if (!isUsable(IPv4Address, 4)) complaints.push(`invalid IPv4 address: ${IPv4Address}`)
  else complaints.push(...staticComplaints(IPv4Address, network.ipv4))
  if (!isUsable(IPv6Address, 6)) complaints.push(`invalid IPv6 address: ${IPv6Address}`)
  else complaints.push(...staticComplaints(IPv6Address, network.ipv6))
  for (const text of LinkLocalIPs ?? []) {
    const address = parseIp(text)
    if (address === undefined || isUnspecified(address))
      complaints.push(`invalid link-local IP address: ${text}`)
  }
  if (complaints.length === 0) return
  throw new EngineError(
    'invalid',
    `invalid config for network ${network.name}: invalid endpoint settings:\n${joinComplaints(complaints)}`,
  )
}

function isUsable(text: string, family: 4 | 6): boolean {
  if (text === '') return true
  const address = parseIp(text)
  return address !== undefined && address.family === family && !isUnspecified(address)
}

function staticComplaints(text: string, pools: PoolRecord[]): string[] {
  const address = text === '' ? undefined : parseIp(text)
  if (address === undefined) return []
  const asked = pools.filter((pool) => pool.asked).map((pool) => parsePrefix(pool.subnet))
  if (asked.some((subnet) => subnet !== undefined && contains(subnet, address))) return []
  return asked.length > 0
    ? [`no configured subnet or ip-range contain the IP address ${text}`]
    : ['user specified IP address is supported only when connecting to networks with user configured subnets']
}

/** What an endpoint is called: name first, then what else leads to it. */
export function dnsNamesOf(
  container: { id: string; name: string; hostname: string },
  settings: EndpointSettings,
): string[] {
  return [
    ...new Set([container.name, ...(settings.Aliases ?? []), container.id.slice(0, 12), container.hostname]),
  ].filter((name) => name !== '')
}

/** An endpoint with addresses taken, not joined yet. Disposing gives them back. */
export type PlannedEndpoint = Disposable & { record: EndpointRecord; plan: EndpointPlan }

/** Takes addresses for an endpoint, `fixed` ones where they were asked for elsewhere. Throws as Docker words it. */
export function planEndpoint(
  network: OpenNetwork,
  container: { id: string; name: string; hostname: string },
  settings: EndpointSettings,
  fixed: { ipv4?: IpAddress | undefined; ipv6?: IpAddress | undefined } = {},
): PlannedEndpoint {
  const { record: net } = network
  using undo = new DisposableStack()
  const take = (family: 4 | 6, text: string | undefined, given: IpAddress | undefined) => {
    const wanted = given ?? (text === undefined || text === '' ? undefined : parseIp(text))
    const taken = takeAddress(network, family, wanted)
    if (taken !== undefined) undo.defer(() => taken.pool.release(taken.address))
    return taken
  }
  const v4 = take(4, settings.IPAMConfig?.IPv4Address, fixed.ipv4)
  const v6 = take(6, settings.IPAMConfig?.IPv6Address, fixed.ipv6)
  const linkLocal = (settings.IPAMConfig?.LinkLocalIPs ?? [])
    .map(parseIp)
    .filter((address) => address !== undefined)
  const mac = parseMac(settings.MacAddress) ?? macFor(v4?.address, v6?.address)
  const id = randomBytes(32).toString('hex')
  const record: EndpointRecord = {
    id,
    networkId: net.id,
    networkName: net.name,
    driver: net.driver,
    dnsNames: isPredefined(net.name) ? [] : dnsNamesOf(container, settings),
    link: undefined,
    mac: formatMac(mac),
    address4: v4 === undefined ? '' : formatIp(v4.address),
    prefix4: v4?.pool.subnet.length ?? 0,
    gateway4: v4?.gateway ?? '',
    address6: v6 === undefined ? '' : formatIp(v6.address),
    prefix6: v6?.pool.subnet.length ?? 0,
    gateway6: v6?.gateway ?? '',
    links: linksOf(settings),
    settings,
  }
  const owned = undo.move()
  return {
    record,
    plan: {
      id,
      mac,
      addresses: [...poolAddresses(v4), ...poolAddresses(v6), ...linkLocal.map(linkLocalAddress)],
      driverOptions: settings.DriverOpts ?? {},
    },
    [Symbol.dispose]: () => owned.dispose(),
  }
}

function poolAddresses(taken: { address: IpAddress; pool: AddressPool } | undefined) {
  return taken === undefined
    ? []
    : [{ address: taken.address, prefixLength: taken.pool.subnet.length, linkLocal: false }]
}

function linkLocalAddress(address: IpAddress) {
  return { address, prefixLength: address.family === 4 ? 16 : 64, linkLocal: true }
}

/** Docker's: 02:42 and the IPv4 address, so that a reused address keeps its neighbours' entries right. */
function macFor(v4: IpAddress | undefined, v6: IpAddress | undefined): Buffer {
  const prefix = Buffer.from([0x02, 0x42])
  if (v4 !== undefined) return Buffer.concat([prefix, ipBytes(v4)])
  if (v6 === undefined) return Buffer.concat([prefix, randomBytes(4)])
  return Buffer.concat([prefix, createHash('sha256').update(ipBytes(v6)).digest().subarray(0, 4)])
}

function linksOf(settings: EndpointSettings): Record<string, string> {
  const links: Record<string, string> = {}
  for (const link of settings.Links ?? []) {
    const [target = '', alias = ''] = link.split(':')
    links[(alias === '' ? target : alias).toLowerCase()] = target.replace(/^\//, '')
  }
  return links
}

type EndpointAddresses = Pick<EndpointRecord, 'address4' | 'address6'>

/** Gives an endpoint's addresses back to its network. */
export function releaseEndpoint(network: OpenNetwork, endpoint: EndpointAddresses): void {
  for (const text of [endpoint.address4, endpoint.address6]) {
    const address = parseIp(text)
    if (address === undefined) continue
    network.pools.find((pool) => contains(pool.subnet, address))?.release(address)
  }
}

/** Takes the addresses that an endpoint has had since before this daemon. */
export function reclaimEndpoint(network: OpenNetwork, endpoint: EndpointAddresses): void {
  for (const text of [endpoint.address4, endpoint.address6]) {
    const address = parseIp(text)
    if (address === undefined) continue
    network.pools.find((pool) => contains(pool.subnet, address))?.request(address)
  }
}

/** The endpoint as inspect shows it. */
export function endpointSettings(endpoint: EndpointRecord): EndpointSettings {
  return {
    ...endpoint.settings,
    NetworkID: endpoint.networkId,
    EndpointID: endpoint.id,
    Gateway: endpoint.gateway4,
    IPAddress: endpoint.address4,
    IPPrefixLen: endpoint.prefix4,
    IPv6Gateway: endpoint.gateway6,
    GlobalIPv6Address: endpoint.address6,
    GlobalIPv6PrefixLen: endpoint.prefix6,
    MacAddress: endpoint.link === undefined ? '' : endpoint.mac,
    DNSNames: endpoint.dnsNames.length === 0 ? null : endpoint.dnsNames,
  }
}

/** The endpoint's addresses. */
export function endpointAddresses(endpoint: EndpointRecord): IpAddress[] {
  return [endpoint.address4, endpoint.address6].map(parseIp).filter((address) => address !== undefined)
}
