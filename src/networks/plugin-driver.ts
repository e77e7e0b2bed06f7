/**
 * A Docker network plugin as a driver (libnetwork's "remote" drivers). The plugin makes networks and links; the links
 * are moved into sandboxes and get their addresses here, as with every other driver, and go back to the host before
 * the plugin is told that an endpoint has left. What it answers is checked, as a plugin may lie.
 */
import { z } from 'zod'
import type { NetlinkSocket } from '../kernel/netlink.ts'
import { addAddress, replaceRoute, setLink, type Route } from '../kernel/rtnetlink.ts'
import type { Log } from '../lib/log.ts'
import type { Patience, Plugin, Plugins } from '../lib/plugin-client.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import type {
  EndpointPlan,
  JoinedLink,
  NetworkDriver,
  OutsideLink,
  OutsidePorts,
  OutsideRequest,
  OutsideSteps,
} from './driver.ts'
import { interfaceName } from './endpoint-options.ts'
import {
  formatMac,
  ipBytes,
  parseIp,
  parseMac,
  parsePrefix,
  type IpAddress,
  type IpPrefix,
} from './ip-address.ts'
import { moveIn, moveOut } from './moved-link.ts'
import { bridgeOptions, type NetworkRecord } from './network-record.ts'
import { networkRequest, portOptions } from './plugin-options.ts'
import type { Sandbox } from './sandbox.ts'

/** The subsystem that such a plugin implements. */
const networkSubsystem = 'NetworkDriver'

const text = z.string().nullish()
const answers = {
  plain: z.object({}),
  capabilities: z.object({ Scope: text }),
  endpoint: z.object({
    Interface: z.object({ Address: text, AddressIPv6: text, MacAddress: text }).nullish(),
  }),
  joined: z.object({
    InterfaceName: z.object({ SrcName: text, DstPrefix: text, DstName: text }).nullish(),
    Gateway: text,
    GatewayIPv6: text,
    StaticRoutes: z.array(z.object({ Destination: text, NextHop: text })).nullish(),
  }),
  information: z.object({ Value: z.record(z.string(), z.unknown()).nullish() }),
}
type Joined = z.infer<typeof answers.joined>

/** See the file's head. */
export class PluginNetworkDriver implements NetworkDriver, OutsideSteps {
  readonly name: string
  readonly hasAddresses = true
  readonly publishes = false
  readonly #plugins: Plugins
  readonly #socket: NetlinkSocket
  readonly #log: Log

  /** `socket` stands in the host's namespace. */
  constructor(name: string, plugins: Plugins, parts: { socket: NetlinkSocket; log: Log }) {
    this.name = name
    this.#plugins = plugins
    this.#socket = parts.socket
    this.#log = parts.log
  }

  get outside(): OutsideSteps {
    return this
  }

  /** How far the plugin's networks reach. Throws when there is none, or it does not say. */
  async scope(): Promise<'local' | 'global'> {
    const { Scope: scope } = await this.#call('GetCapabilities', {}, answers.capabilities)
    if (scope === 'local' || scope === 'global') return scope
    throw new EngineError('internal', `invalid capability: expecting 'local' or 'global', got ${scope ?? ''}`)
  }

  needsGateway(): boolean {
    return true
  }

  routesByLink(): boolean {
    return false
  }

  validate(): void {}

  async create(network: NetworkRecord): Promise<void> {
    await this.#call('CreateNetwork', networkRequest(network), answers.plain, 'long')
  }

  async remove(network: NetworkRecord): Promise<void> {
    try {
      await this.#call('DeleteNetwork', { NetworkID: network.id }, answers.plain, 'long')
    } catch (error) {
      // Docker's: what the plugin says against it does not keep the network; one that is away does.
      if (!(error instanceof EngineError) || error.kind !== 'internal') throw error
      this.#warn('a network plugin could not remove a network', error)
    }
  }

  async prepare(network: NetworkRecord, request: OutsideRequest): Promise<OutsideLink> {
    const ids = { NetworkID: network.id, EndpointID: request.endpointId }
    const { address4, address6, mac, driverOptions, ports, sandboxKey } = request
    // One that has just been started, with the machine or as a container, is given the time to come up.
    await this.#plugins.get(this.name, networkSubsystem, { wait: true })
    let isJoining = false
    try {
      const made = await this.#call(
        'CreateEndpoint',
        {
          ...ids,
          Interface: { Address: address4, AddressIPv6: address6, MacAddress: mac },
          Options: { ...driverOptions, ...portOptions(ports) },
        },
        answers.endpoint,
        'long',
      )
      const chosen = {
        address4: chosenPrefix(made.Interface?.Address, address4, 4),
        address6: chosenPrefix(made.Interface?.AddressIPv6, address6, 6),
        mac: chosenMac(made.Interface?.MacAddress, mac),
      }
      isJoining = true
      const joined = await this.#call(
        'Join',
        { ...ids, SandboxKey: sandboxKey, Options: portOptions(ports) },
        answers.joined,
        'long',
      )
      await this.#inform(ids)
      return { ...chosen, ...linkOf(joined) }
    } catch (error) {
      await this.#undo(ids, { isJoining })
      throw error
    }
  }

  async release(networkId: string, endpointId: string): Promise<void> {
    await this.#undo({ NetworkID: networkId, EndpointID: endpointId }, { isJoining: true })
  }

  async expose(networkId: string, endpointId: string, ports: OutsidePorts): Promise<void> {
    const ids = { NetworkID: networkId, EndpointID: endpointId }
    await this.#optional('ProgramExternalConnectivity', { ...ids, Options: portOptions(ports) })
  }

  async conceal(networkId: string, endpointId: string): Promise<void> {
    try {
      const ids = { NetworkID: networkId, EndpointID: endpointId }
      await this.#optional('RevokeExternalConnectivity', ids, 'short')
    } catch (error) {
      this.#warn('a network plugin could not withdraw ports', error)
    }
  }

  join(network: NetworkRecord, sandbox: Sandbox, endpoint: EndpointPlan): JoinedLink | undefined {
    const { outside, driverOptions } = endpoint
    if (outside === undefined) throw new EngineError('internal', `${this.name} has made no endpoint`)
    if (outside.source === '') return undefined
    const wanted = network.options[bridgeOptions.interfacePrefix] ?? outside.prefix
    const prefix = wanted === '' ? 'eth' : wanted
    const named = outside.name === '' ? undefined : outside.name
    const name = interfaceName(driverOptions) ?? named ?? sandbox.freeLinkName(prefix)
    const index = moveIn(this.#socket, sandbox, { source: outside.source, name })
    try {
      sandbox.setParameter(`net/ipv6/conf/${name}/disable_ipv6`, network.enableIPv6 ? '0' : '1')
      sandbox.request(
        [
          ...(outside.mac === undefined && endpoint.mac.length === 0
            ? []
            : [setLink(index, { address: outside.mac ?? endpoint.mac })]),
          setLink(index, { up: true }),
          ...endpoint.addresses.map(({ address, prefixLength, linkLocal }) =>
            addAddress({ index, address: ipBytes(address), prefixLength, linkLocal }),
          ),
          ...outside.routes.map((route) => replaceRoute(kernelRoute(index, route))),
        ],
        'container link',
      )
      const mac = formatMac(sandbox.findLink(name)?.address ?? Buffer.alloc(0))
      return { name, index, hostLink: '', mac, source: outside.source }
    } catch (error) {
      moveOut(this.#socket, sandbox, { index, source: outside.source })
      throw error
    }
  }

  leave(sandbox: Sandbox, link: JoinedLink): void {
    if (link.source === undefined) return
    moveOut(this.#socket, sandbox, { index: link.index, source: link.source })
  }

  /** What the plugin says of an endpoint, for who looks into the log; some plugins count on being asked. */
  async #inform(ids: { NetworkID: string; EndpointID: string }): Promise<void> {
    try {
      const { Value: value } = await this.#call('EndpointOperInfo', ids, answers.information, 'short')
      this.#log.debug('what a network plugin says of an endpoint', { plugin: this.name, value })
    } catch (error) {
      this.#warn('a network plugin says nothing of its endpoint', error)
    }
  }

  async #undo(
    ids: { NetworkID: string; EndpointID: string },
    { isJoining }: { isJoining: boolean },
  ): Promise<void> {
    try {
      if (isJoining) await this.#call('Leave', ids, answers.plain, 'short')
    } catch (error) {
      this.#warn('a network plugin could not let an endpoint leave', error)
      // One that is away, or hangs, is not waited for twice.
      if (error instanceof EngineError && error.kind !== 'internal') return
    }
    try {
      await this.#call('DeleteEndpoint', ids, answers.plain, 'short')
    } catch (error) {
      this.#warn('a network plugin could not remove an endpoint', error)
    }
  }

  async #optional(method: string, argument: unknown, patience?: Patience): Promise<void> {
    try {
      await this.#call(method, argument, answers.plain, patience)
    } catch (error) {
      if (!(error instanceof EngineError) || error.kind !== 'notImplemented') throw error
    }
  }

  async #call<T>(method: string, argument: unknown, shape: z.ZodType<T>, patience?: Patience): Promise<T> {
    const full = `${networkSubsystem}.${method}`
    const plugin: Plugin = await this.#plugins.get(this.name, networkSubsystem)
    const parsed = shape.safeParse(await plugin.call(full, argument, patience))
    if (parsed.success) return parsed.data
    throw new EngineError('internal', `${full}: the plugin's answer has not the shape it should`)
  }

  #warn(message: string, error: unknown): void {
    this.#log.warn(message, { plugin: this.name, error: errorMessage(error) })
  }
}

/** An address that the plugin chose: only where none was given. */
function chosenPrefix(answer: string | null | undefined, given: string, family: 4 | 6): IpPrefix | undefined {
  if (answer === undefined || answer === null || answer === '' || answer === given) return undefined
  if (given !== '') {
    throw new EngineError(
      'internal',
      `driver modified interface address: endpoint interface IP present (${given}). Cannot be modified with (${answer})`,
    )
  }
  const prefix = parsePrefix(answer)
  if (prefix?.address.family === family) return prefix
  throw new EngineError('internal', `invalid CIDR address: ${answer}`)
}

function chosenMac(answer: string | null | undefined, given: string): Buffer | undefined {
  if (answer === undefined || answer === null || answer === '' || answer === given) return undefined
  if (given !== '') {
    throw new EngineError(
      'internal',
      `driver modified interface MAC address: endpoint interface MAC address present (${given}). Cannot be modified with ${answer}`,
    )
  }
  const mac = parseMac(answer)
  if (mac !== undefined) return mac
  throw new EngineError('internal', `address ${answer}: invalid MAC address`)
}

function linkOf(joined: Joined): Omit<OutsideLink, 'address4' | 'address6' | 'mac'> {
  const { InterfaceName: names, StaticRoutes: routes } = joined
  return {
    source: names?.SrcName ?? '',
    prefix: names?.DstPrefix ?? '',
    name: names?.DstName ?? '',
    gateway4: checkedGateway(joined.Gateway, 'Gateway', 4),
    gateway6: checkedGateway(joined.GatewayIPv6, 'GatewayIPv6', 6),
    routes: (routes ?? []).map(({ Destination: destination, NextHop: hop }) => ({
      destination: checkedDestination(destination ?? ''),
      gateway: hop === undefined || hop === null || hop === '' ? undefined : checkedHop(hop),
    })),
  }
}

function checkedGateway(answer: string | null | undefined, key: string, family: 4 | 6): string {
  if (answer === undefined || answer === null || answer === '') return ''
  if (parseIp(answer)?.family === family) return answer
  throw new EngineError('internal', `unable to parse ${key} ${JSON.stringify(answer)}`)
}

function checkedDestination(destination: string): IpPrefix {
  const prefix = parsePrefix(destination)
  if (prefix !== undefined) return prefix
  throw new EngineError('internal', `invalid CIDR address: ${destination}`)
}

function checkedHop(hop: string): IpAddress {
  const address = parseIp(hop)
  if (address !== undefined) return address
  throw new EngineError('internal', `failed to parse nexthop IP ${hop}`)
}

function kernelRoute(index: number, { destination, gateway }: OutsideLink['routes'][number]): Route {
  const to = { address: ipBytes(destination.address), prefixLength: destination.length }
  return { index, destination: to, ...(gateway === undefined ? {} : { gateway: ipBytes(gateway) }) }
}
