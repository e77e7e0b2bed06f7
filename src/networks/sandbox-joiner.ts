/** Joins a running sandbox to networks and takes it off again; names, routes, ports and files follow. */
import { EngineError, errorMessage } from '../spec/errors.ts'
import type { EndpointSettings } from '../spec/container-config.ts'
import { flushDatagrams } from '../kernel/conntrack.ts'
import { dnsNamesOf, endpointAddresses, planEndpoint, type EndpointRecord } from './endpoint.ts'
import { applySysctls } from './endpoint-options.ts'
import type { PublishedPort } from './firewall.ts'
import { gatewayMode } from './bridge-driver.ts'
import { formatIp, ipBytes, isUnspecified, parseIp } from './ip-address.ts'
import type { LiveSandbox } from './live-sandbox.ts'
import type { NetworkCore } from './network-core.ts'
import { bridgeOptions, type NetworkRecord } from './network-record.ts'
import type { OpenNetwork } from './network-table.ts'
import type { PreparedEndpoints } from './outside-endpoints.ts'
import { firewallPorts, PublishedPorts, type PortTarget, type PortWish } from './published-ports.ts'
import { gatewayEndpoint, publishingEndpoint, setDefaultRoutes } from './sandbox-links.ts'
import type { VisibleNetwork } from './network-keeper.ts'
import { openResolverSockets, redirectResolver } from './sandbox-resolver.ts'
import { endpointServices } from './service-names.ts'

/** See the file's head. */
export class SandboxJoiner {
  readonly #core: NetworkCore

  constructor(core: NetworkCore) {
    this.#core = core
  }

  /** Takes addresses and makes the link, but for what is `prepared`. Undone by `undo` until that is moved away. */
  join(
    live: LiveSandbox,
    network: OpenNetwork,
    settings: EndpointSettings,
    parts: { undo: DisposableStack; prepared: PreparedEndpoints },
  ): EndpointRecord {
    const { undo, prepared } = parts
    this.#core.refuseLeaving(network.record)
    const { request, endpoints } = live.record
    const driver = this.#core.driver(network.record.driver)
    const container = { id: request.containerId, name: request.containerName, hostname: request.hostname }
    const planned = prepared.get(network.record.id) ?? undo.use(planEndpoint(network, container, settings))
    const { record } = planned
    if (driver.hasAddresses && live.sandbox !== undefined) {
      const { sandbox } = live
      const link = driver.join(network.record, sandbox, planned.plan)
      if (link !== undefined) {
        undo.defer(() => driver.leave(sandbox, link))
        record.link = link
        record.mac = link.mac ?? record.mac
        applySysctls(sandbox, link.name, planned.plan.driverOptions)
      }
    }
    endpoints.push(record)
    undo.defer(() => endpoints.splice(endpoints.indexOf(record), 1))
    this.#register(live, record)
    undo.defer(() => this.#core.keeper.remove(record.networkId, record.id))
    return record
  }

  /** Takes an endpoint off a sandbox that goes on; its addresses are still taken. */
  leave(live: LiveSandbox, endpoint: EndpointRecord): void {
    const { endpoints } = live.record
    this.#core.keeper.remove(endpoint.networkId, endpoint.id)
    endpoints.splice(endpoints.indexOf(endpoint), 1)
    if (endpoint.link !== undefined && live.sandbox !== undefined) {
      this.#core.driver(endpoint.driver).leave(live.sandbox, endpoint.link)
    }
  }

  /** Sets default routes, after endpoints came or went. */
  route(live: LiveSandbox): void {
    if (live.sandbox !== undefined) setDefaultRoutes(live.sandbox, live.record.endpoints, this.#core)
  }

  /** Registers an endpoint's names, again after they changed. */
  rename(live: LiveSandbox): void {
    const { request, endpoints } = live.record
    const container = { id: request.containerId, name: request.containerName, hostname: request.hostname }
    for (const endpoint of endpoints) {
      if (endpoint.dnsNames.length === 0) continue
      endpoint.dnsNames = dnsNamesOf(container, endpoint.settings)
      this.#register(live, endpoint)
    }
  }

  /** Registers an endpoint that was there before the daemon. */
  #register(live: LiveSandbox, endpoint: EndpointRecord): void {
    if (endpoint.dnsNames.length === 0) return
    this.#core.keeper.set(endpoint.networkId, endpoint.id, {
      names: endpoint.dnsNames,
      addresses: endpointAddresses(endpoint),
      services: endpointServices(live.record.request, this.#core.services),
    })
  }

  /** Registers all endpoints of a sandbox that is taken over. */
  registerAll(live: LiveSandbox): void {
    for (const endpoint of live.record.endpoints) this.#register(live, endpoint)
  }

  /** Brings the resolver up to date, and starts it with the first network that has names. */
  serveNames(live: LiveSandbox): void {
    const { record, sandbox } = live
    const { keeper } = this.#core
    if (sandbox === undefined) return
    const wanted = record.endpoints.some((endpoint) => endpoint.dnsNames.length > 0)
    if (!wanted && !keeper.serves(sandbox.id)) return
    const isNew = record.dns === undefined
    const view = {
      networks: this.#visible(record.endpoints),
      servers: this.#leadsOutside(record.endpoints) ? record.servers : [],
      keepSingleLabels: record.request.dnsOptions.some((option) => /^ndots:[1-9]/.test(option)),
    }
    const { udp, tcp } = keeper.serve(sandbox.id, view, () =>
      openResolverSockets(sandbox.namespace, record.dns ?? { udp: 0, tcp: 0 }),
    )
    record.dns ??= { udp: udp.port, tcp: tcp.port }
    if (isNew) redirectResolver(sandbox.namespace, record.dns)
  }

  #visible(endpoints: EndpointRecord[]): VisibleNetwork[] {
    return endpoints
      .filter((endpoint) => endpoint.dnsNames.length > 0)
      .map((endpoint) => ({
        id: endpoint.networkId,
        name: endpoint.networkName,
        links: new Map(Object.entries(endpoint.links)),
      }))
  }

  #leadsOutside(endpoints: EndpointRecord[]): boolean {
    return (
      gatewayEndpoint(endpoints, 4, this.#core) !== undefined ||
      gatewayEndpoint(endpoints, 6, this.#core) !== undefined
    )
  }

  /** Where the sandbox's ports lead; undefined when no network of it publishes. */
  target(live: LiveSandbox): { target: PortTarget; endpoint: EndpointRecord } | undefined {
    const endpoint = publishingEndpoint(live.record.endpoints, this.#core)
    if (endpoint === undefined) return undefined
    const network = this.#core.network(endpoint.networkId)
    const target = {
      address4: endpoint.address4,
      address6: endpoint.address6,
      routed4: gatewayMode(network, 4) === 'routed',
      routed6: gatewayMode(network, 6) === 'routed',
    }
    return { target, endpoint }
  }

  /** Holds host ports and opens them. Undone by `undo` until that is moved away. */
  publish(live: LiveSandbox, wishes: PortWish[], undo: DisposableStack): void {
    const found = wishes.length === 0 ? undefined : this.target(live)
    if (found === undefined) return
    const { settings, reservations, firewall } = this.#core.parts
    try {
      const ports = PublishedPorts.reserve(wishes, found.target, {
        reservations,
        publishAddress: publishAddress(this.#core.network(found.endpoint.networkId), settings),
        translates: settings.firewall,
        relays: settings.relays,
      })
      undo.use(ports)
      const rules = firewallPorts(ports.records, found.target)
      firewall.publish(rules)
      undo.defer(() => firewall.unpublish(rules))
      flushPorts(rules)
      live.ports = ports
      live.record.ports = ports.records
    } catch (error) {
      throw new EngineError(
        error instanceof EngineError ? error.kind : 'internal',
        `driver failed programming external connectivity on endpoint ${live.record.request.containerName} (${found.endpoint.id}): ${errorMessage(error)}`,
        { cause: error },
      )
    }
  }

  /** What the firewall has for the sandbox now. */
  rules(live: LiveSandbox): PublishedPort[] {
    const found = this.target(live)
    return found === undefined ? [] : firewallPorts(live.record.ports, found.target)
  }

  /** Leads the ports to where they belong now; `before` is what `rules` was. */
  retarget(live: LiveSandbox, before: PublishedPort[]): void {
    const after = this.rules(live)
    if (JSON.stringify(before, bigintText) === JSON.stringify(after, bigintText)) return
    this.#core.parts.firewall.republish(before, after)
    const found = this.target(live)
    if (found !== undefined) live.ports?.retarget(found.target)
  }
}

/** Where a network publishes ports without an address; empty for all addresses of both families. */
function publishAddress(network: NetworkRecord, settings: { publishAddress: string }): string {
  const own = parseIp(network.options[bridgeOptions.hostBinding4] ?? '')
  return own === undefined || isUnspecified(own) ? settings.publishAddress : formatIp(own)
}

function bigintText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}

/** Forgets datagram flows to ports that now lead elsewhere, or nowhere; best effort. */
export function flushPorts(ports: PublishedPort[]): void {
  const datagrams = ports.filter((port) => port.protocol === 'udp' && !port.routed)
  if (datagrams.length === 0) return
  flushDatagrams(
    datagrams.map((port) => ({
      family: port.container.family,
      hostPort: port.hostPort,
      container: ipBytes(port.container),
    })),
  )
}
