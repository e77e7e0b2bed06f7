/**
 * A Docker volume plugin as a driver: each call is one of its methods. What it answers is checked, as a plugin may lie:
 * a mountpoint has to be an absolute path of a directory that exists.
 */
import { stat } from 'node:fs/promises'
import { isAbsolute, normalize } from 'node:path'
import { z } from 'zod'
import type { Patience, Plugin } from '../lib/plugin-client.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import type { DriverVolume, VolumeDriver } from './volume-driver.ts'

/** The subsystem that such a plugin implements. */
export const volumeSubsystem = 'VolumeDriver'

const volume = z.object({
  Name: z.string(),
  Mountpoint: z.string().optional(),
  Status: z.record(z.string(), z.unknown()).nullish(),
})
const answers = {
  plain: z.object({}),
  mounted: z.object({ Mountpoint: z.string().optional() }),
  got: z.object({ Volume: volume.nullish() }),
  listed: z.object({ Volumes: z.array(volume).nullish() }),
  capabilities: z.object({ Capabilities: z.object({ Scope: z.string().optional() }).nullish() }),
}

/** See the file's head. */
export class PluginVolumeDriver implements VolumeDriver {
  readonly name: string
  readonly scope: 'local' | 'global'
  readonly isOwn = false
  readonly #plugin: Plugin

  private constructor(plugin: Plugin, scope: 'local' | 'global') {
    this.name = plugin.name
    this.#plugin = plugin
    this.scope = scope
  }

  /** Asks the plugin what it can; one that does not say has the defaults. */
  static async open(plugin: Plugin): Promise<PluginVolumeDriver> {
    let scope = ''
    try {
      const answer = await plugin.call(`${volumeSubsystem}.Capabilities`, {}, 'short')
      scope = answers.capabilities.parse(answer).Capabilities?.Scope?.toLowerCase() ?? ''
    } catch (error) {
      if (error instanceof EngineError && error.kind === 'unavailable') throw error
    }
    return new PluginVolumeDriver(plugin, scope === 'global' ? 'global' : 'local')
  }

  async create(name: string, options: Readonly<Record<string, string>>): Promise<void> {
    await this.#call('Create', { Name: name, Opts: options }, answers.plain, 'long')
  }

  async remove(name: string): Promise<void> {
    await this.#call('Remove', { Name: name }, answers.plain, 'long')
  }

  async get(name: string): Promise<DriverVolume | undefined> {
    try {
      const { Volume: found } = await this.#call('Get', { Name: name }, answers.got)
      if (found === null || found === undefined) return undefined
      return { ...driverVolume(found), name }
    } catch (error) {
      // It has no other way to say that there is none than an error of its own words.
      if (error instanceof EngineError && error.kind === 'internal') return undefined
      throw error
    }
  }

  async mount(name: string, _options: Readonly<Record<string, string>>, user: string): Promise<string> {
    const { Mountpoint: path = '' } = await this.#call(
      'Mount',
      { Name: name, ID: user },
      answers.mounted,
      'long',
    )
    try {
      return await checkedPath(path)
    } catch (error) {
      await this.unmount(name, user)
      throw new EngineError(
        'internal',
        `${volumeSubsystem}.Mount: the plugin's mountpoint ${JSON.stringify(path)} of volume ${name} cannot be used: ${errorMessage(error)}`,
        { cause: error },
      )
    }
  }

  async unmount(name: string, user: string): Promise<void> {
    await this.#call('Unmount', { Name: name, ID: user }, answers.plain)
  }

  async list(): Promise<DriverVolume[]> {
    const { Volumes: found } = await this.#call('List', {}, answers.listed, 'short')
    return (found ?? []).filter(({ Name: name }) => name !== '').map(driverVolume)
  }

  async usageBytes(): Promise<number> {
    return -1
  }

  async #call<T>(method: string, argument: unknown, shape: z.ZodType<T>, patience?: Patience): Promise<T> {
    const full = `${volumeSubsystem}.${method}`
    const parsed = shape.safeParse(await this.#plugin.call(full, argument, patience))
    if (!parsed.success) {
      throw new EngineError('unavailable', `${full}: the plugin's answer has not the shape it should`)
    }
    return parsed.data
  }
}

function driverVolume({ Name: name, Mountpoint: mountpoint, Status: status }: z.infer<typeof volume>) {
  return { name, mountpoint: mountpoint ?? '', ...(status && { status }) }
}

async function checkedPath(path: string): Promise<string> {
  if (!isAbsolute(path) || path.includes('\0')) throw new Error('it is no absolute path')
  const clean = normalize(path)
  await stat(clean)
  return clean
}
