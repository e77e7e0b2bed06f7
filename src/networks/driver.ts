/**
 * The container network model. A sandbox is a container's network namespace, an endpoint joins it to a network, a
 * network is a driver's link with pools of addresses. Drivers make links; addresses, names, ports and routes are
 * the same for all of them.
 */
import type { IpAddress } from './ip-address.ts'
import type { NetworkRecord } from './network-record.ts'
import type { Sandbox } from './sandbox.ts'

/** An endpoint as a driver makes it. */
export type EndpointPlan = {
  /** 64 hex digits. */
  id: string
  mac: Buffer
  /** Addresses with their subnet's prefix length. */
  addresses: { address: IpAddress; prefixLength: number; linkLocal: boolean }[]
  driverOptions: Record<string, string>
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
}

/** A kind of network. All calls are synchronous, so none is ever seen half done. */
export interface NetworkDriver {
  readonly name: string
  /** Whether containers on its networks have addresses, names and a resolver. */
  readonly hasAddresses: boolean
  /** Whether ports can be published on its networks. */
  readonly publishes: boolean
  /** Whether the pools need an address for the gateway. */
  needsGateway(network: NetworkRecord): boolean
  /** Whether what is outside is reached through the link alone, without a gateway. */
  routesByLink(network: NetworkRecord): boolean
  /** Throws what is wrong with the network's options. */
  validate(network: NetworkRecord): void
  /** Makes the network's links, or corrects those that are there. Leaves nothing on failure. */
  create(network: NetworkRecord): void
  /** Idempotent. */
  remove(network: NetworkRecord): void
  /** Makes the endpoint's link in the sandbox, up and with its addresses. Leaves nothing on failure. */
  join(network: NetworkRecord, sandbox: Sandbox, endpoint: EndpointPlan): JoinedLink
  /** Takes the link out of a sandbox that goes on. Idempotent. */
  leave(sandbox: Sandbox, link: JoinedLink): void
}
