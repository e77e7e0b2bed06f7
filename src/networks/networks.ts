/**
 * The room's door. Life cycle: construct, `start()` once (table, bridges, default networks), then `adopt` every
 * container that runs on, then `reconcile` with all containers that may have a sandbox: what belongs to none of
 * them goes. Disposing lets go of sockets and leaves everything that containers use where it is.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { EngineError, errorCode } from '../spec/errors.ts'
import { networkId, type ContainerId } from '../spec/ids.ts'
import { NetlinkSocket, netlinkProtocols } from '../kernel/netlink.ts'
import { removeNamespace } from '../kernel/netns.ts'
import type { Sweep } from '../kernel/sweeper.ts'
import { readSysctl, writeSysctl } from '../kernel/sysctl.ts'
import { formatTimeNs, type Clock, type Ids } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Plugins } from '../lib/plugin-client.ts'
import type { Database } from '../store/database.ts'
import { BridgeDriver } from './bridge-driver.ts'
import { SandboxNetworking } from './container-networking.ts'
import { defaultBridge, specialNetwork, type Birth } from './default-networks.ts'
import type { NetworkDriver } from './driver.ts'
import { Firewall, type BridgeRules } from './firewall.ts'
import { HostForward } from './host-forward.ts'
import { DefaultIpam } from './ipam.ts'
import { LiveSandbox } from './live-sandbox.ts'
import { NetworkKeeper } from './network-keeper.ts'
import { NetworkCore, type NetworkEvents } from './network-core.ts'
import { IpamDrivers, NetworkDrivers } from './network-drivers.ts'
import type { NetworkRecord } from './network-record.ts'
import { NetworkService } from './network-service.ts'
import { NetworkTable } from './network-table.ts'
import { NullIpam } from './null-ipam.ts'
import { ParentDriver } from './parent-driver.ts'
import { PortReservations } from './port-reservations.ts'
import { SandboxStore } from './sandbox.ts'
import { SandboxJoiner } from './sandbox-joiner.ts'
import { SandboxRecords } from './sandbox-record.ts'
import type { NetworkDaemonSettings } from './settings.ts'
import { SpecialDriver } from './special-drivers.ts'

/** What the room stands on. */
export type NetworkParts = {
  settings: NetworkDaemonSettings
  database: Database
  log: Log
  events: NetworkEvents
  clock: Clock
  ids: Ids
  plugins: Plugins
  /** Ends namespaces. */
  sweep?: Sweep
}

/** See the file's head. */
export class Networks implements AsyncDisposable {
  /** For the API's routes. */
  readonly service: NetworkService
  /** For containers/. */
  readonly containers: SandboxNetworking
  readonly #parts: NetworkParts
  readonly #core: NetworkCore
  readonly #bridge: BridgeDriver
  readonly #hostForward: HostForward
  /** Networks that could not be brought up. */
  readonly #missing: NetworkRecord[] = []
  #timer: NodeJS.Timeout | undefined
  readonly #joiner: SandboxJoiner

  constructor(parts: NetworkParts) {
    const { settings, log } = parts
    this.#parts = parts
    const socket = new NetlinkSocket(netlinkProtocols.route)
    const firewall = new Firewall(settings.instance, log.child('firewall'), firewallFamilies(settings))
    this.#hostForward = new HostForward(settings.instance, log.child('firewall'), settings.firewall)
    this.#bridge = new BridgeDriver(socket, { firewall, hostForward: this.#hostForward }, settings)
    const drivers: NetworkDriver[] = [
      this.#bridge,
      new ParentDriver('macvlan', socket, settings),
      new ParentDriver('ipvlan', socket, settings),
      new SpecialDriver('host'),
      new SpecialDriver('null'),
    ]
    const outside = { plugins: parts.plugins, socket, log: log.child('plugins') }
    const ipam = new IpamDrivers(
      [new DefaultIpam(settings.defaultAddressPools, settings.uniqueLocalPrefix), new NullIpam()],
      outside,
    )
    const { keeperProgram: program, runRoot } = settings
    const keeper = new NetworkKeeper({ program, runRoot, log: log.child('keeper') })
    this.#core = new NetworkCore(
      {
        settings,
        log,
        events: parts.events,
        table: new NetworkTable(parts.database, ipam),
        drivers: new NetworkDrivers(drivers, outside),
        ipam,
        firewall,
        socket,
        store: new SandboxStore({
          directory: join(settings.runRoot, 'netns'),
          linkPrefix: settings.linkPrefix,
          size: settings.warmSandboxes,
          owner: settings.ids && { program: settings.namespaceProgram, ids: settings.ids },
          log,
        }),
        records: new SandboxRecords(settings.runRoot),
        reservations: new PortReservations(ephemeralRange, keeper),
        ...(parts.sweep !== undefined && { sweep: parts.sweep }),
      },
      keeper,
    )
    this.service = new NetworkService(this.#core, parts.clock, parts.ids)
    this.containers = new SandboxNetworking(this.#core)
    this.#joiner = new SandboxJoiner(this.#core)
  }

  /** Sets the firewall up, makes every network's links, and the default networks if they are not there. */
  async start(): Promise<void> {
    const { settings, log } = this.#parts
    const { table, firewall } = this.#core.parts
    if (settings.enableForwarding) writeSysctl('net/ipv4/ip_forward', '1')
    const stored = table.stored()
    this.#core.keeper.adopt()
    // Running containers are never without their network's rules, not while the daemon starts either.
    const rules = stored.flatMap((record) => this.#storedRules(record))
    firewall.setup(rules)
    this.#hostForward.expect(rules.map(({ bridge }) => bridge))
    const birth = (): Birth => ({
      id: networkId(this.#parts.ids.hex64()),
      created: formatTimeNs(this.#parts.clock.nowNs()),
    })
    const byName = (name: string) => stored.find((network) => network.name === name)
    // Networks that have a subnet take theirs before one is chosen for the default network.
    for (const record of stored) {
      if (record.name !== 'bridge') await this.#restore(record)
    }
    for (const name of ['host', 'none'] as const) {
      if (byName(name) === undefined) await this.service.add(specialNetwork(name, birth()))
    }
    if (settings.bridgeName !== 'none') {
      await this.service.add(defaultBridge(settings, birth(), byName('bridge')))
    }
    this.#bridge.sweep(table.all())
    this.#timer = setInterval(() => void this.#watch(), watchIntervalMs)
    this.#timer.unref()
    log.debug('networks are up', { count: table.all().length })
  }

  /** Removes namespaces, records and ports that belong to none of these containers; fills the warm store. */
  async reconcile(containers: Iterable<ContainerId>): Promise<void> {
    const { keeper } = this.#core
    const { records, firewall, store, settings, log } = this.#core.parts
    const wanted = new Set(containers)
    const keptPaths = new Set(store.readyPaths())
    for (const id of records.list()) {
      const record = records.load(id)
      if (record !== undefined && wanted.has(id)) keptPaths.add(record.sandboxKey)
      else this.#forget(id)
    }
    const rules = [...wanted].flatMap((id) => {
      const record = records.load(id)
      const live = this.#core.live.get(id) ?? (record && new LiveSandbox(record, undefined))
      return live === undefined ? [] : this.#joiner.rules(live)
    })
    firewall.replacePublished(rules)
    for (const path of namespacePaths(settings.runRoot)) {
      if (keptPaths.has(path)) continue
      log.info('removing a network namespace that nobody owns', { path })
      removeNamespace(path)
    }
    keeper.sweep()
    store.refill()
  }

  /** Takes out of the kernel all that this instance ever made: for an uninstall, and for tests. */
  async destroy(): Promise<void> {
    const { table, firewall, records, store, settings } = this.#core.parts
    for (const [id, live] of this.#core.live) await this.containers.remove(id, live.state())
    store[Symbol.dispose]()
    this.#core.keeper.end()
    for (const id of records.list()) records.remove(id)
    for (const path of namespacePaths(settings.runRoot)) removeNamespace(path)
    for (const record of table.all()) {
      const driver = record.configOnly ? undefined : this.#core.driver(record.driver)
      // What plugins made is theirs.
      if (driver?.outside === undefined) await driver?.remove(record)
    }
    this.#bridge.sweep([])
    firewall.teardown()
    this.#hostForward.teardown()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { store, firewall, socket } = this.#core.parts
    clearInterval(this.#timer)
    this.#hostForward[Symbol.dispose]()
    this.#core.keeper[Symbol.dispose]()
    for (const live of this.#core.live.values()) live[Symbol.dispose]()
    this.#core.live.clear()
    store[Symbol.dispose]()
    firewall[Symbol.dispose]()
    socket[Symbol.dispose]()
  }

  /** A network that cannot be brought up again is shown in the log; the others go on. */
  async #restore(record: NetworkRecord): Promise<void> {
    try {
      await this.service.restore(record)
    } catch (error) {
      this.#parts.log.error('cannot bring a network up, it is tried again', { network: record.name, error })
      this.#missing.push(record)
    }
  }

  /** Nobody waits for it: there may be a plugin to tell that is away. */
  #forget(id: ContainerId): void {
    this.containers.forget(id).catch((error: unknown) => {
      this.#parts.log.warn('cannot let go of what a container had', { container: id, error })
    })
  }

  /** What others change on the host: firewalls that reload, links that stood in the way of ours. */
  async #watch(): Promise<void> {
    this.#hostForward.check()
    for (const record of this.#missing.splice(0)) await this.#restore(record)
  }

  #storedRules(record: NetworkRecord): BridgeRules[] {
    if (record.driver !== 'bridge' || record.configOnly) return []
    const { settings } = this.#parts
    try {
      return [this.#bridge.rules(record.name === 'bridge' ? defaultBridge(settings, record, record) : record)]
    } catch (error) {
      if (error instanceof EngineError) return []
      throw error
    }
  }
}

function firewallFamilies({ firewall, firewall6 }: NetworkDaemonSettings): (4 | 6)[] {
  if (!firewall) return []
  return firewall6 ? [4, 6] : [4]
}

function namespacePaths(runRoot: string): string[] {
  const directory = join(runRoot, 'netns')
  try {
    return readdirSync(directory).map((name) => join(directory, name))
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}

function ephemeralRange(): { first: number; last: number } {
  const [first, last] = (readSysctl('net/ipv4/ip_local_port_range') ?? '').split(/\s+/).map(Number)
  return first !== undefined && last !== undefined && first > 0 && last > first
    ? { first, last }
    : { first: 32_768, last: 60_999 }
}

const watchIntervalMs = 10_000
