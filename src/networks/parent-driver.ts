/**
 * Networks that stand on a link of the host, `macvlan` and `ipvlan`: each container has a link of its own on top of
 * the parent and is a host of its own in the parent's network. Nothing is translated or published, and the host's
 * firewall does not see it. Without `-o parent` the network gets a parent that leads nowhere.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EngineError, errorMessage } from '../spec/errors.ts'
import { KernelError } from '../kernel/ffi.ts'
import type { NetlinkMessage, NetlinkSocket } from '../kernel/netlink.ts'
import { findLink, type Link } from '../kernel/rtnetlink-read.ts'
import {
  addAddress,
  createDummy,
  createIpvlan,
  createMacvlan,
  createVeth,
  createVlan,
  deleteLink,
  setLink,
  type LinkSettings,
  type IpvlanFlag,
  type IpvlanMode,
  type MacvlanMode,
} from '../kernel/rtnetlink.ts'
import type { EndpointPlan, JoinedLink, NetworkDriver } from './driver.ts'
import { interfaceName } from './endpoint-options.ts'
import { formatMac, ipBytes } from './ip-address.ts'
import { bridgeOptions, mtuOption, type NetworkRecord } from './network-record.ts'
import type { Sandbox } from './sandbox.ts'
import type { NetworkDaemonSettings } from './settings.ts'

const macvlanModes: readonly string[] = ['private', 'vepa', 'bridge', 'passthru'] satisfies MacvlanMode[]

/** The drivers `macvlan` and `ipvlan`. */
export class ParentDriver implements NetworkDriver {
  readonly name: 'macvlan' | 'ipvlan'
  readonly hasAddresses = true
  readonly publishes = false
  readonly #socket: NetlinkSocket
  readonly #settings: NetworkDaemonSettings
  readonly #markers: string
  readonly #networks = new Map<string, { parent: string; exclusive: boolean }>()

  /** `socket` stands in the host's namespace. */
  constructor(name: 'macvlan' | 'ipvlan', socket: NetlinkSocket, settings: NetworkDaemonSettings) {
    this.name = name
    this.#socket = socket
    this.#settings = settings
    // A marker for every parent made here: only those are ever removed.
    this.#markers = join(settings.runRoot, 'parents')
  }

  needsGateway(network: NetworkRecord): boolean {
    return !network.internal && !this.routesByLink(network)
  }

  /** In the modes of layer 3 there is no neighbour to send to: the parent routes. */
  routesByLink(network: NetworkRecord): boolean {
    return this.name === 'ipvlan' && ipvlanMode(network).mode !== 'l2'
  }

  validate(network: NetworkRecord): void {
    if (this.name === 'macvlan') macvlanMode(network)
    else ipvlanMode(network)
    mtuOption(network.options, 0)
    if (network.options['parent'] === 'lo') {
      throw new EngineError('invalid', `loopback interface is not a valid ${this.name} parent link`)
    }
  }

  create(network: NetworkRecord): void {
    const parent = parentName(network)
    const exclusive = this.name === 'macvlan' && macvlanMode(network) === 'passthru'
    this.#checkShared(network, parent, exclusive)
    using undo = new DisposableStack()
    if (findLink(this.#socket, parent) === undefined) {
      this.#createParent(network, parent)
      undo.defer(() => this.#removeParent(parent))
    }
    this.#probe(network, this.#parent(network))
    this.#networks.set(network.id, { parent, exclusive })
    undo.move()
  }

  remove(network: NetworkRecord): void {
    this.#networks.delete(network.id)
    const parent = parentName(network)
    const isShared = [...this.#networks.values()].some((other) => other.parent === parent)
    if (!isShared && existsSync(join(this.#markers, parent))) this.#removeParent(parent)
  }

  join(network: NetworkRecord, sandbox: Sandbox, endpoint: EndpointPlan): JoinedLink {
    const parent = this.#parent(network)
    const name =
      interfaceName(endpoint.driverOptions) ??
      sandbox.freeLinkName(network.options[bridgeOptions.interfacePrefix] ?? 'eth')
    const inherits = inheritsAddress(network)
    const settings = { namespaceFd: sandbox.namespace.fd, ...(inherits ? {} : { address: endpoint.mac }) }
    try {
      this.#socket.request([this.#newLink(network, name, settings, parent.index)], 'container link')
    } catch (error) {
      throw this.#refusal(error)
    }
    const link = sandbox.findLink(name)
    if (link === undefined) throw new EngineError('internal', `container link ${name} is gone`)
    try {
      this.#configure(network, sandbox, endpoint, link)
    } catch (error) {
      sandbox.request([deleteLink(link.index)], 'container link', ['ENODEV'])
      throw error
    }
    return { name, index: link.index, hostLink: '', ...(inherits ? { mac: formatMac(link.address) } : {}) }
  }

  leave(sandbox: Sandbox, link: JoinedLink): void {
    sandbox.request([deleteLink(link.index)], 'container link', ['ENODEV'])
  }

  #configure(network: NetworkRecord, sandbox: Sandbox, endpoint: EndpointPlan, link: Link): void {
    sandbox.setParameter(`net/ipv6/conf/${link.name}/disable_ipv6`, network.enableIPv6 ? '0' : '1')
    sandbox.request(
      [
        setLink(link.index, { up: true, mtu: mtuOption(network.options, 0) }),
        ...endpoint.addresses.map(({ address, prefixLength, linkLocal }) =>
          addAddress({ index: link.index, address: ipBytes(address), prefixLength, linkLocal }),
        ),
      ],
      'container link',
    )
  }

  #newLink(network: NetworkRecord, name: string, settings: LinkSettings, parent: number): NetlinkMessage {
    return this.name === 'macvlan'
      ? createMacvlan(name, settings, parent, macvlanMode(network))
      : createIpvlan(name, settings, parent, ipvlanMode(network))
  }

  /** Whether the kernel can do it at all is found out now, not at the first container. */
  #probe(network: NetworkRecord, parent: Link): void {
    const name = `wp${network.id.slice(0, 12)}`
    try {
      this.#socket.request([this.#newLink(network, name, {}, parent.index)], 'container link')
    } catch (error) {
      // Busy or taken: others are on that parent, so the kernel can.
      if (error instanceof KernelError && (error.code === 'EBUSY' || error.code === 'EINVAL')) return
      throw this.#refusal(error)
    }
    this.#socket.request([deleteLink(name)], 'container link', ['ENODEV'])
  }

  #refusal(error: unknown): unknown {
    if (!(error instanceof KernelError)) return error
    return new EngineError('internal', `failed to create the ${this.name} port: ${reason(error)}`, {
      cause: error,
    })
  }

  #checkShared(network: NetworkRecord, parent: string, exclusive: boolean): void {
    for (const [id, other] of this.#networks) {
      if (id === network.id || other.parent !== parent) continue
      const taken = `${this.name} network ${id.slice(0, 12)} is already using parent interface ${parent}`
      if (exclusive) throw new EngineError('forbidden', `cannot use mode passthru, ${taken}`)
      if (other.exclusive) throw new EngineError('forbidden', `${taken} in mode passthru`)
    }
  }

  #parent(network: NetworkRecord): Link {
    const parent = parentName(network)
    const link = findLink(this.#socket, parent)
    if (link !== undefined) return link
    throw new EngineError(
      'internal',
      `the requested parent interface ${parent} was not found on the Docker host`,
    )
  }

  #createParent(network: NetworkRecord, parent: string): void {
    const isOwn = parent === ownParentName(network)
    const messages = isOwn ? undefined : [this.#vlan(parent)]
    mkdirSync(this.#markers, { recursive: true })
    writeFileSync(join(this.#markers, parent), '')
    try {
      if (messages === undefined)
        this.#createOwnParent(parent, mtuOption(network.options, this.#settings.mtu))
      else this.#socket.request(messages, `link ${parent}`)
      this.#socket.request([setLink(parent, { up: true })], `link ${parent}`)
    } catch (error) {
      this.#removeParent(parent)
      if (isOwn || !(error instanceof KernelError)) throw error
      throw new EngineError('internal', `failed to create ${parent} vlan link: ${reason(error)}`, {
        cause: error,
      })
    }
  }

  /** A dummy link, or on kernels without such a pair of links whose other end nobody uses. */
  #createOwnParent(parent: string, mtu: number): void {
    try {
      this.#socket.request([createDummy(parent, { mtu })], `link ${parent}`)
    } catch (error) {
      if (!(error instanceof KernelError) || error.code !== 'EOPNOTSUPP') throw error
      const other = parent.replace(/^dm-/, 'dp-')
      this.#socket.request(
        [createVeth(parent, { mtu }, { name: other }), setLink(other, { up: true })],
        `link ${parent}`,
      )
    }
  }

  #vlan(name: string): NetlinkMessage {
    if (!name.includes('.')) {
      throw new EngineError(
        'invalid',
        `invalid subinterface vlan name ${name}, example formatting is eth0.10`,
      )
    }
    const [parent = '', text = '', ...more] = name.split('.')
    if (more.length > 0) {
      throw new EngineError(
        'invalid',
        `required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received ${name}`,
      )
    }
    if (!/^[+-]?\d{1,9}$/.test(text)) {
      throw new EngineError(
        'invalid',
        `unable to parse a valid vlan id from: ${text} (ex. eth0.10 for vlan 10)`,
      )
    }
    const link = findLink(this.#socket, parent)
    if (link === undefined) {
      throw new EngineError('invalid', `-o parent interface was not found on the host: ${parent}`)
    }
    const id = Number(text)
    if (id < 1 || id > 4094) {
      throw new EngineError('invalid', `vlan id must be between 1-4094, received: ${id}`)
    }
    return createVlan(name, {}, link.index, id)
  }

  #removeParent(parent: string): void {
    this.#socket.request([deleteLink(parent)], `link ${parent}`, ['ENODEV'])
    rmSync(join(this.#markers, parent), { force: true })
  }
}

function macvlanMode(network: NetworkRecord): MacvlanMode {
  const mode = network.options['macvlan_mode'] ?? ''
  if (mode === '') return 'bridge'
  if (isMacvlanMode(mode)) return mode
  throw new EngineError(
    'invalid',
    `requested macvlan mode '${mode}' is not valid, 'bridge' mode is the macvlan driver default`,
  )
}

function isMacvlanMode(text: string): text is MacvlanMode {
  return macvlanModes.includes(text)
}

function ipvlanMode(network: NetworkRecord): { mode: IpvlanMode; flag: IpvlanFlag } {
  const { ipvlan_mode: mode = '', ipvlan_flag: flag = '' } = network.options
  if (mode !== '' && mode !== 'l2' && mode !== 'l3' && mode !== 'l3s') {
    throw new EngineError(
      'invalid',
      `requested ipvlan mode '${mode}' is not valid, 'l2' mode is the ipvlan driver default`,
    )
  }
  if (flag !== '' && flag !== 'bridge' && flag !== 'private' && flag !== 'vepa') {
    throw new EngineError(
      'invalid',
      `requested ipvlan flag '${flag}' is not valid, 'bridge' is the ipvlan driver default`,
    )
  }
  return { mode: mode === '' ? 'l2' : mode, flag: flag === '' ? 'bridge' : flag }
}

/** An only container of a parent has its hardware address; all those of an ipvlan parent do. */
function inheritsAddress(network: NetworkRecord): boolean {
  return network.driver === 'ipvlan' || macvlanMode(network) === 'passthru'
}

function ownParentName(network: NetworkRecord): string {
  return `${network.driver === 'macvlan' ? 'dm' : 'di'}-${network.id.slice(0, 12)}`
}

function parentName(network: NetworkRecord): string {
  const parent = network.options['parent'] ?? ''
  return parent === '' ? ownParentName(network) : parent
}

/** The kernel's own words, as Go writes them. */
function reason(error: KernelError): string {
  return errorMessage(error).replace(/^.*: /, '').toLowerCase()
}
