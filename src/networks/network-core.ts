/** What the rooms of this folder share: tables, drivers, firewall, and everything that runs. */
import type { ContainerId } from '../spec/ids.ts'
import type { NetlinkSocket } from '../kernel/netlink.ts'
import type { Sweep } from '../kernel/sweeper.ts'
import type { Log } from '../lib/log.ts'
import type { NetworkDriver } from './driver.ts'
import type { NetworkDrivers, IpamDrivers } from './network-drivers.ts'
import { EngineError } from '../spec/errors.ts'
import type { EndpointRecord } from './endpoint.ts'
import type { Firewall } from './firewall.ts'
import type { LiveSandbox } from './live-sandbox.ts'
import type { NetworkKeeper } from './network-keeper.ts'
import type { NetworkTable } from './network-table.ts'
import type { PortReservations } from './port-reservations.ts'
import { hostServices } from './service-names.ts'
import type { SandboxStore } from './sandbox.ts'
import type { EtcContext } from './sandbox-etc.ts'
import type { EndpointContext } from './sandbox-links.ts'
import type { SandboxRecords } from './sandbox-record.ts'
import type { NetworkDaemonSettings } from './settings.ts'

/** Takes events of networks for the journal. */
export interface NetworkEvents {
  emit(event: { type: string; action: string; id: string; attributes: Record<string, string> }): void
}

/** Parts of a core. */
export type NetworkCoreParts = {
  settings: NetworkDaemonSettings
  log: Log
  events: NetworkEvents
  table: NetworkTable
  drivers: NetworkDrivers
  ipam: IpamDrivers
  firewall: Firewall
  socket: NetlinkSocket
  store: SandboxStore
  records: SandboxRecords
  reservations: PortReservations
  /** Ends namespaces; without it that is done here, and waited for. */
  sweep?: Sweep
}

/** See the file's head. */
export class NetworkCore implements EndpointContext {
  readonly parts: NetworkCoreParts
  readonly keeper: NetworkKeeper
  readonly services: ReadonlyMap<string, string[]> = hostServices()
  readonly live = new Map<ContainerId, LiveSandbox>()
  /** Ids of networks that are being removed. */
  readonly leaving = new Set<string>()
  readonly #held = new Map<string, number>()

  constructor(parts: NetworkCoreParts, keeper: NetworkKeeper) {
    this.parts = parts
    this.keeper = keeper
  }

  network(id: string) {
    return this.parts.table.get(id).record
  }

  driver(name: string): NetworkDriver {
    return this.parts.drivers.get(name)
  }

  /** Throws notFound for a network that is being removed. */
  refuseLeaving({ id, name }: { id: string; name: string }): void {
    if (this.leaving.has(id)) throw new EngineError('notFound', `network ${name} not found`)
  }

  /** Keeps a network from being removed, while something is made on it that takes time. */
  hold(networkId: string): Disposable {
    this.#held.set(networkId, (this.#held.get(networkId) ?? 0) + 1)
    return {
      [Symbol.dispose]: () => {
        const count = (this.#held.get(networkId) ?? 0) - 1
        if (count > 0) this.#held.set(networkId, count)
        else this.#held.delete(networkId)
      },
    }
  }

  /** Whether anything is on a network, or is about to be. */
  inUse(networkId: string): boolean {
    return this.#held.has(networkId) || this.endpointsOn(networkId).length > 0
  }

  /** The sandbox of a container that runs. Throws conflict. */
  need(id: ContainerId): LiveSandbox {
    const live = this.live.get(id)
    if (live === undefined) throw new EngineError('conflict', `Container ${id} is not running`)
    return live
  }

  /** Endpoints on a network, each with its container. */
  endpointsOn(networkId: string): { container: ContainerId; name: string; endpoint: EndpointRecord }[] {
    return [...this.live.values()].flatMap(({ record }) =>
      record.endpoints
        .filter((endpoint) => endpoint.networkId === networkId)
        .map((endpoint) => ({
          container: record.request.containerId,
          name: record.request.containerName,
          endpoint,
        })),
    )
  }

  /** What /etc files are written from. */
  etcContext(): EtcContext {
    const { settings, table } = this.parts
    const bridge = table.byName('bridge')?.record
    const gateways = [...(bridge?.ipv4 ?? []), ...(bridge?.ipv6 ?? [])].map((pool) => pool.gateway)
    const hostGateways =
      settings.hostGatewayAddresses.length > 0
        ? [...settings.hostGatewayAddresses]
        : gateways.filter((gateway) => gateway !== '')
    return { settings, hostGateways }
  }

  /** Tells of an endpoint that came or went. */
  announce(action: 'connect' | 'disconnect', container: ContainerId, endpoint: EndpointRecord): void {
    this.parts.events.emit({
      type: 'network',
      action,
      id: endpoint.networkId,
      attributes: { container, name: endpoint.networkName, type: endpoint.driver },
    })
  }
}
