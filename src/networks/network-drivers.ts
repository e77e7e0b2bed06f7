/** Drivers by name: the engine's own, and the plugins of the machine, which are found when they are named. */
import type { NetlinkSocket } from '../kernel/netlink.ts'
import type { Log } from '../lib/log.ts'
import type { Plugins } from '../lib/plugin-client.ts'
import { EngineError } from '../spec/errors.ts'
import type { NetworkDriver } from './driver.ts'
import type { IpamDriver } from './ipam.ts'
import { PluginNetworkDriver } from './plugin-driver.ts'
import { PluginIpam } from './plugin-ipam.ts'

/** What drivers that are plugins are made from; `socket` stands in the host's namespace. */
export type PluginParts = { plugins: Plugins; socket: NetlinkSocket; log: Log }

/** Network drivers: see the file's head. */
export class NetworkDrivers {
  readonly #known: Map<string, NetworkDriver>
  readonly #parts: PluginParts

  constructor(own: readonly NetworkDriver[], parts: PluginParts) {
    this.#known = new Map(own.map((driver) => [driver.name, driver]))
    this.#parts = parts
  }

  /** Names of the own ones and of the plugins in use. */
  names(): string[] {
    return [...this.#known.keys()].toSorted()
  }

  /** One that is known. Throws notFound. */
  get(name: string): NetworkDriver {
    const driver = this.#known.get(name)
    if (driver === undefined) throw new EngineError('notFound', `plugin ${JSON.stringify(name)} not found`)
    return driver
  }

  /** The driver of a network that is there already: should it be a plugin, it need not be up yet. */
  assume(name: string): NetworkDriver {
    return this.#known.get(name) ?? this.#remember(this.#plugin(name))
  }

  /** The driver of a network to be made, and how far such a network reaches. Throws notFound. */
  async find(name: string): Promise<{ driver: NetworkDriver; scope: 'local' | 'global' }> {
    const known = this.#known.get(name)
    if (known !== undefined && !(known instanceof PluginNetworkDriver))
      return { driver: known, scope: 'local' }
    const driver = known ?? this.#plugin(name)
    const scope = await driver.scope()
    return { driver: this.#remember(driver), scope }
  }

  #plugin(name: string): PluginNetworkDriver {
    return new PluginNetworkDriver(name, this.#parts.plugins, this.#parts)
  }

  #remember<T extends NetworkDriver>(driver: T): T {
    this.#known.set(driver.name, driver)
    return driver
  }
}

/** IPAM drivers: see the file's head. */
export class IpamDrivers {
  readonly #known: Map<string, IpamDriver>
  readonly #parts: PluginParts

  constructor(own: readonly IpamDriver[], parts: PluginParts) {
    this.#known = new Map(own.map((driver) => [driver.name, driver]))
    this.#parts = parts
  }

  /** A driver without asking whether it is there: pools ask when they need to. */
  get(name: string): IpamDriver {
    return this.#known.get(name) ?? this.#plugin(name)
  }

  /** Throws notFound when nobody has a driver of that name. */
  async check(name: string): Promise<void> {
    const driver = this.get(name)
    if (driver instanceof PluginIpam) await driver.check()
  }

  #plugin(name: string): PluginIpam {
    const driver = new PluginIpam(name, this.#parts.plugins, this.#parts.log)
    this.#known.set(name, driver)
    return driver
  }
}
