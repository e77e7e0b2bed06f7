/**
 * The container network model. A sandbox is a container's network namespace, an endpoint joins it to a network, a
 * network is a driver's link with pools of addresses. Drivers make links; addresses, names, ports and routes are
 * the same for all of them.
 */
import type { IpAddress, IpPrefix } from './ip-address.ts'
import type { NetworkRecord } from './network-record.ts'
import type { PortWish } from './published-ports.ts'
import type { Sandbox } from './sandbox.ts'

/** An endpoint as a driver makes it. */
export type EndpointPlan = {
  /** 64 hex digits. */
  id: string
  mac: Buffer
  /** Addresses with their subnet's prefix length. */
  addresses: { address: IpAddress; prefixLength: number; linkLocal: boolean }[]
  driverOptions: Record<string, string>
  /** What somebody else has made for it: see `OutsideSteps`. */
  outside?: OutsideLink
}

/** What a driver made of it. */
export type JoinedLink = {
  /** Name inside the sandbox. */
  name: string
  /** Index inside the sandbox. */
  index: number
  /** Name of the host's end, empty where there is none. */
  hostLink: string
  /** Hardware address where it is not the one planned. */
  mac?: string
  /** What the link was called on the host, for one that goes back there. */
  source?: string
}

/** What is asked of somebody else for an endpoint. Texts are empty for what is left open. */
export type OutsideRequest = {
  endpointId: string
  /** Addresses with their prefix length. */
  address4: string
  address6: string
  mac: string
  driverOptions: Record<string, string>
  /** Path of the sandbox's namespace. */
  sandboxKey: string
  ports: OutsidePorts
}

/** The ports of a container, as those are told who publish them themselves. */
export type OutsidePorts = { published: PortWish[]; exposed: string[] }

/** What somebody else made for an endpoint: a link on the host, to be moved into the sandbox. */
export type OutsideLink = {
  /** Its name on the host; empty where there is none to move. */
  source: string
  /** Its name in the sandbox: all of it, or what a number is put behind. */
  name: string
  prefix: string
  /** What was chosen there, empty where nothing was. */
  address4: IpPrefix | undefined
  address6: IpPrefix | undefined
  mac: Buffer | undefined
  gateway4: string
  gateway6: string
  routes: { destination: IpPrefix; gateway: IpAddress | undefined }[]
}

/** What drivers do that ask somebody else: it takes time, so it is done before `join` and after `leave`. */
export interface OutsideSteps {
  /** Has an endpoint and its link made. Leaves nothing on failure. */
  prepare(network: NetworkRecord, request: OutsideRequest): Promise<OutsideLink>
  /** Has an endpoint removed whose link is no longer in a sandbox. Failures are logged. */
  release(networkId: string, endpointId: string): Promise<void>
  /** The container's way outside leads over the endpoint now: its ports are to be published there. */
  expose(networkId: string, endpointId: string, ports: OutsidePorts): Promise<void>
  /** It does so no longer. Failures are logged. */
  conceal(networkId: string, endpointId: string): Promise<void>
}

/**
 * A kind of network. What is done with an endpoint in the kernel is synchronous, so none is ever seen half done; only
 * drivers with `outside` may take time to make and remove networks.
 */
export interface NetworkDriver {
  readonly name: string
  /** Whether containers on its networks have addresses, names and a resolver. */
  readonly hasAddresses: boolean
  /** Whether ports can be published on its networks. */
  readonly publishes: boolean
  /** There for drivers that ask somebody else. */
  readonly outside?: OutsideSteps
  /** Whether the pools need an address for the gateway. */
  needsGateway(network: NetworkRecord): boolean
  /** Whether what is outside is reached through the link alone, without a gateway. */
  routesByLink(network: NetworkRecord): boolean
  /** Throws what is wrong with the network's options. */
  validate(network: NetworkRecord): void
  /** Makes the network's links, or corrects those that are there. Leaves nothing on failure. */
  create(network: NetworkRecord): void | Promise<void>
  /** Idempotent. */
  remove(network: NetworkRecord): void | Promise<void>
  /**
   * Makes the endpoint's link in the sandbox, up and with its addresses. Leaves nothing on failure. Undefined where
   * the endpoint has no link.
   */
  join(network: NetworkRecord, sandbox: Sandbox, endpoint: EndpointPlan): JoinedLink | undefined
  /** Takes the link out of a sandbox that goes on. Idempotent. */
  leave(sandbox: Sandbox, link: JoinedLink): void
}
