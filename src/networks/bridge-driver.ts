/**
 * Networks that are a bridge on the host: every container has one end of a pair of virtual links, the bridge the
 * other. The bridge has the gateway's address; the firewall knows the rest.
 */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EngineError, errorCode } from '../spec/errors.ts'
import { type NetlinkMessage, netlinkProtocols, NetlinkSocket } from '../kernel/netlink.ts'
import { findLink, listAddresses, type Link } from '../kernel/rtnetlink-read.ts'
import {
  addAddress,
  createBridge,
  createVeth,
  deleteAddress,
  deleteLink,
  setLink,
  setBridgePort,
} from '../kernel/rtnetlink.ts'
import { readSysctl, writeSysctl } from '../kernel/sysctl.ts'
import { interfaceName } from './endpoint-options.ts'
import type { EndpointPlan, JoinedLink, NetworkDriver } from './driver.ts'
import type { BridgeRules, Firewall } from './firewall.ts'
import type { HostForward } from './host-forward.ts'
import { ipBytes, ipFromBytes, isLinkLocal, parseIp, parsePrefix, type IpPrefix } from './ip-address.ts'
import {
  booleanOption,
  bridgeLinkName,
  bridgeOptions,
  mtuOption,
  randomMac,
  unparsable,
  type NetworkRecord,
} from './network-record.ts'
import { randomLinkName, type Sandbox, type SpareLink } from './sandbox.ts'
import type { NetworkDaemonSettings } from './settings.ts'

/** How a network's containers are reached from outside. */
export type GatewayMode = 'nat' | 'nat-unprotected' | 'routed' | 'isolated'

const families = [4, 6] as const
const gatewayModes: readonly string[] = ['nat', 'nat-unprotected', 'routed', 'isolated']

/** The driver named `bridge`. */
export class BridgeDriver implements NetworkDriver {
  readonly name = 'bridge'
  readonly hasAddresses = true
  readonly publishes = true
  readonly #socket: NetlinkSocket
  readonly #firewall: Firewall
  readonly #hostForward: HostForward
  readonly #settings: NetworkDaemonSettings
  readonly #markers: string
  /** Links that the kernel is still taking away. */
  readonly #leaving = new Map<string, Promise<void>>()

  /** `socket` stands in the host's namespace. */
  constructor(
    socket: NetlinkSocket,
    firewalls: { firewall: Firewall; hostForward: HostForward },
    settings: NetworkDaemonSettings,
  ) {
    this.#socket = socket
    this.#firewall = firewalls.firewall
    this.#hostForward = firewalls.hostForward
    this.#settings = settings
    // A marker for every bridge made here: only those are ever removed.
    this.#markers = join(settings.runRoot, 'bridges')
  }

  needsGateway(network: NetworkRecord): boolean {
    return gatewayMode(network, 4) !== 'isolated'
  }

  routesByLink(): boolean {
    return false
  }

  validate(network: NetworkRecord): void {
    for (const family of families) {
      const mode = gatewayMode(network, family)
      if (mode === 'isolated' && !network.internal) {
        throw new EngineError('invalid', 'gateway mode isolated can only be used for an internal network')
      }
    }
    if (network.ipv4.length > 1 || network.ipv6.length > 1) {
      throw new EngineError('forbidden', "bridge driver doesn't support multiple subnets")
    }
    this.rules(network)
    mtuOption(network.options, this.#settings.mtu)
    const binding = network.options[bridgeOptions.hostBinding4]
    if (binding !== undefined && parseIp(binding)?.family !== 4) {
      throw unparsable(bridgeOptions.hostBinding4, binding, 'nil ip')
    }
    const name = bridgeLinkName(network)
    if (name.length === 0 || name.length > 15 || /[/\s:]/.test(name) || name === '.' || name === '..') {
      throw new EngineError('invalid', `invalid bridge name: ${name}`)
    }
  }

  /** What the firewall has to know. */
  rules(network: NetworkRecord): BridgeRules {
    const subnets = [...network.ipv4, ...network.ipv6].map((pool) => parsePrefix(pool.subnet))
    const masquerades = booleanOption(network.options, bridgeOptions.masquerade, this.#settings.masquerade)
    return {
      bridge: bridgeLinkName(network),
      subnets: subnets.filter((subnet) => subnet !== undefined),
      internal: network.internal,
      interContainer: booleanOption(network.options, bridgeOptions.icc, this.#settings.interContainer),
      masquerade: families.filter((family) => masquerades && gatewayMode(network, family) !== 'routed'),
      open: families.filter((family) => gatewayMode(network, family) === 'nat-unprotected'),
    }
  }

  async create(network: NetworkRecord): Promise<void> {
    const name = bridgeLinkName(network)
    await this.#leaving.get(name)
    using undo = new DisposableStack()
    const existing = findLink(this.#socket, name)
    if (existing === undefined) {
      this.#mark(name)
      undo.defer(() => this.#unmark(name))
      this.#socket.request(
        [createBridge(name, { address: randomMac(), mtu: mtuOption(network.options, this.#settings.mtu) })],
        `bridge ${name}`,
      )
      undo.defer(() => this.#socket.request([deleteLink(name)], `bridge ${name}`, ['ENODEV']))
    } else if (existing.kind !== 'bridge') {
      throw new EngineError('internal', `existing interface ${name} is not a bridge`)
    }
    const link = existing ?? findLink(this.#socket, name)
    if (link === undefined) throw new EngineError('internal', `bridge ${name} is gone`)
    this.#configure(network, link)
    this.#firewall.addBridge(this.rules(network))
    this.#hostForward.add(name)
    undo.move()
  }

  remove(network: NetworkRecord): void {
    const name = bridgeLinkName(network)
    this.#firewall.removeBridge(this.rules(network))
    this.#hostForward.remove(name)
    if (!existsSync(join(this.#markers, name))) return
    const link = findLink(this.#socket, name)
    if (link !== undefined) {
      // The subnet and its route are free at once; the link itself takes the kernel some 40 ms, which nobody waits for.
      const addresses = listAddresses(this.#socket).filter((address) => address.index === link.index)
      this.#socket.request(addresses.map(deleteAddress), `bridge ${name}`, ['ENODEV', 'EADDRNOTAVAIL'])
    }
    const deletion = this.#deleteAside(name).finally(() => this.#leaving.delete(name))
    this.#leaving.set(name, deletion)
  }

  /** Deletes the link on another thread. If that fails or never ends, its marker has the next start do it. */
  async #deleteAside(name: string): Promise<void> {
    try {
      using socket = new NetlinkSocket(netlinkProtocols.route)
      await socket.requestAside([deleteLink(name)], `bridge ${name}`)
    } catch (error) {
      if (errorCode(error) !== 'ENODEV') return
    }
    this.#unmark(name)
  }

  /** Removes bridges that were made here and belong to none of `networks`. */
  sweep(networks: NetworkRecord[]): void {
    const known = new Set(networks.filter((network) => network.driver === this.name).map(bridgeLinkName))
    for (const name of this.#marked()) {
      if (known.has(name)) continue
      this.#socket.request([deleteLink(name)], `bridge ${name}`, ['ENODEV'])
      this.#unmark(name)
    }
  }

  join(network: NetworkRecord, sandbox: Sandbox, endpoint: EndpointPlan): JoinedLink {
    const bridge = findLink(this.#socket, bridgeLinkName(network))
    if (bridge === undefined) {
      throw new EngineError('internal', `could not find bridge ${bridgeLinkName(network)}: no such device`)
    }
    const prefix = network.options[bridgeOptions.interfacePrefix] ?? 'eth'
    const wanted = interfaceName(endpoint.driverOptions)
    const spare = sandbox.takeSpare()
    const isAsMade = spare !== undefined && wanted === undefined && prefix === 'eth'
    const name = isAsMade ? 'eth0' : (wanted ?? sandbox.freeLinkName(prefix, spare))
    const pair = spare ?? this.#createPair(sandbox, name)
    try {
      if (spare !== undefined && name !== 'eth0') {
        sandbox.request([setLink(spare.index, { rename: name })], 'container link')
      }
      this.#attach(network, bridge, pair)
      this.#configureInside(network, sandbox, endpoint, { name, index: pair.index })
    } catch (error) {
      this.#socket.request([deleteLink(pair.hostIndex)], 'container link', ['ENODEV'])
      throw error
    }
    return { name, index: pair.index, hostLink: pair.hostName }
  }

  leave(_sandbox: Sandbox, link: JoinedLink): void {
    this.#socket.request([deleteLink(link.hostLink)], 'container link', ['ENODEV'])
  }

  #configure(network: NetworkRecord, link: Link): void {
    const key = (address: Buffer, length: number) => `${address.toString('hex')}/${length}`
    const present = listAddresses(this.#socket).filter((address) => address.index === link.index)
    const presentKeys = new Set(present.map((one) => key(one.address, one.prefixLength)))
    const wanted = gatewayAddresses(network).map(({ address, length }) => ({
      index: link.index,
      address: ipBytes(address),
      prefixLength: length,
    }))
    const wantedKeys = new Set(wanted.map((one) => key(one.address, one.prefixLength)))
    const messages: NetlinkMessage[] = [setLink(link.index, { up: true })]
    if (existsSync(join(this.#markers, link.name))) {
      const stale = present.filter((one) => !wantedKeys.has(key(one.address, one.prefixLength)))
      messages.push(...stale.filter((one) => !isLinkLocal(ipFromBytes(one.address))).map(deleteAddress))
    }
    messages.push(
      ...wanted.filter((one) => !presentKeys.has(key(one.address, one.prefixLength))).map(addAddress),
    )
    const ipv6 = `net/ipv6/conf/${link.name}`
    if (network.enableIPv6) {
      trySysctl(`${ipv6}/disable_ipv6`, '0')
      trySysctl(`${ipv6}/accept_ra`, '0')
      if (this.#settings.enableForwarding) trySysctl('net/ipv6/conf/all/forwarding', '1')
    } else trySysctl(`${ipv6}/disable_ipv6`, '1')
    this.#socket.request(messages, `bridge ${link.name}`)
    // Connections from the host's loopback to ports published there are led over this bridge.
    trySysctl(`net/ipv4/conf/${link.name}/route_localnet`, '1')
  }

  #createPair(sandbox: Sandbox, name: string): SpareLink {
    const hostName = randomLinkName(this.#settings.linkPrefix)
    this.#socket.request(
      [createVeth(hostName, {}, { name, namespaceFd: sandbox.namespace.fd })],
      'container link',
    )
    const index = sandbox.findLink(name)?.index
    const hostIndex = findLink(this.#socket, hostName)?.index
    if (index === undefined || hostIndex === undefined) {
      throw new EngineError('internal', `container link ${hostName} is gone`)
    }
    return { index, hostName, hostIndex }
  }

  #attach(network: NetworkRecord, bridge: Link, pair: SpareLink): void {
    const mtu = mtuOption(network.options, this.#settings.mtu)
    const messages = [setLink(pair.hostIndex, { master: bridge.index, up: true, mtu })]
    const isolated = !this.rules(network).interContainer
    // Where bridged packets are translated too, one to an own published port leaves by the port it came from.
    const hairpin = readSysctl('net/bridge/bridge-nf-call-iptables') === '1'
    if (isolated || hairpin) messages.push(setBridgePort(pair.hostIndex, { isolated, hairpin }))
    this.#socket.request(messages, `join bridge ${bridge.name}`)
  }

  #configureInside(
    network: NetworkRecord,
    sandbox: Sandbox,
    endpoint: EndpointPlan,
    link: { name: string; index: number },
  ): void {
    sandbox.setParameter(`net/ipv6/conf/${link.name}/disable_ipv6`, network.enableIPv6 ? '0' : '1')
    const mtu = mtuOption(network.options, this.#settings.mtu)
    sandbox.request(
      [
        setLink(link.index, { address: endpoint.mac, mtu }),
        setLink(link.index, { up: true }),
        ...endpoint.addresses.map(({ address, prefixLength, linkLocal }) =>
          addAddress({ index: link.index, address: ipBytes(address), prefixLength, linkLocal }),
        ),
      ],
      'container link',
    )
  }

  #mark(name: string): void {
    mkdirSync(this.#markers, { recursive: true })
    writeFileSync(join(this.#markers, name), '')
  }

  #unmark(name: string): void {
    rmSync(join(this.#markers, name), { force: true })
  }

  #marked(): string[] {
    try {
      return readdirSync(this.#markers)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return []
      throw error
    }
  }
}

/** The mode of a family's gateway. Throws invalid. */
export function gatewayMode(network: NetworkRecord, family: 4 | 6): GatewayMode {
  const key = family === 4 ? bridgeOptions.gatewayMode4 : bridgeOptions.gatewayMode6
  const mode = network.options[key] ?? 'nat'
  if (mode === 'nat' || mode === 'nat-unprotected' || mode === 'routed' || mode === 'isolated') return mode
  throw new EngineError('invalid', `unknown gateway mode ${mode}, known are ${gatewayModes.join(', ')}`)
}

/** The addresses of a network's bridge. */
function gatewayAddresses(network: NetworkRecord): IpPrefix[] {
  return [...network.ipv4, ...network.ipv6].flatMap((pool) => {
    const address = parseIp(pool.gateway)
    const subnet = parsePrefix(pool.subnet)
    return address === undefined ||
      subnet === undefined ||
      gatewayMode(network, address.family) === 'isolated'
      ? []
      : [{ address, length: subnet.length }]
  })
}

function trySysctl(name: string, value: string): void {
  try {
    writeSysctl(name, value)
  } catch (error) {
    // A kernel without IPv6, or /proc/sys mounted read-only: the rest works.
    if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'EROFS') throw error
  }
}
