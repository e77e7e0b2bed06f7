/** The volume drivers: those of the engine, and the plugins of the machine, which are found when they are named. */
import type { Plugin, Plugins } from '../lib/plugin-client.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import { PluginVolumeDriver, volumeSubsystem } from './plugin-driver.ts'
import type { OwnVolumeDriver, VolumeDriver } from './volume-driver.ts'

/** The driver of volumes for which none is named. */
const defaultDriver = 'local'

/** See the file's head. */
export class VolumeDrivers {
  readonly #own: ReadonlyMap<string, OwnVolumeDriver>
  readonly #plugins: Plugins | undefined
  readonly #opened = new Map<Plugin, Promise<VolumeDriver>>()
  readonly #pluginNames = new Set<string>()

  constructor(own: readonly OwnVolumeDriver[], plugins?: Plugins) {
    this.#own = new Map(own.map((driver) => [driver.name, driver]))
    this.#plugins = plugins
  }

  /** Those that are the engine's own. */
  own(): OwnVolumeDriver[] {
    return [...this.#own.values()]
  }

  /** Names of the own ones and of the plugins that were in use, for info. */
  names(): string[] {
    return [...this.#own.keys(), ...this.#pluginNames].sort()
  }

  /** A driver of the engine's own, without waiting for anything. */
  ownOf(name: string): OwnVolumeDriver | undefined {
    return this.#own.get(name === '' ? defaultDriver : name)
  }

  /** By name, empty for the default. `wait` gives a plugin the time to come up. Throws notFound. */
  async get(name: string, operation: string, options: { wait?: boolean } = {}): Promise<VolumeDriver> {
    const own = this.ownOf(name)
    if (own !== undefined) return own
    try {
      if (this.#plugins === undefined) {
        throw new EngineError('notFound', `plugin ${JSON.stringify(name)} not found`)
      }
      return await this.#open(await this.#plugins.get(name, volumeSubsystem, options))
    } catch (error) {
      throw new EngineError(
        error instanceof EngineError ? error.kind : 'internal',
        `${operation}: error looking up volume plugin ${name}: ${errorMessage(error)}`,
        { cause: error },
      )
    }
  }

  /** All plugins that can be found and used, and what was wrong with those that cannot. */
  async plugins(): Promise<{ drivers: VolumeDriver[]; problems: Map<string, string> }> {
    const problems = new Map<string, string>()
    const names = (await this.#plugins?.list()) ?? []
    const found = await Promise.all(
      names.map(async (name) => {
        try {
          return await this.#plugins?.get(name, volumeSubsystem).then((plugin) => this.#open(plugin))
        } catch (error) {
          // A plugin of another kind is none of ours.
          if (!(error instanceof EngineError && error.kind === 'notFound'))
            problems.set(name, errorMessage(error))
          return undefined
        }
      }),
    )
    return { drivers: found.filter((driver) => driver !== undefined), problems }
  }

  async #open(plugin: Plugin): Promise<VolumeDriver> {
    const known = this.#opened.get(plugin)
    if (known !== undefined) return known
    const opening = PluginVolumeDriver.open(plugin)
    this.#opened.set(plugin, opening)
    opening.catch(() => this.#opened.delete(plugin))
    const driver = await opening
    this.#pluginNames.add(driver.name)
    return driver
  }
}
