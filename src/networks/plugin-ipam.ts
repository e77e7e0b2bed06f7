/**
 * A Docker IPAM plugin as a driver. Pools and addresses are kept by the plugin; what it gives is noted here as well,
 * because a plugin may lie: an address twice, or one that is none of the pool's, is refused. Giving back happens in
 * the background, and before anything else is asked of the same pool.
 */
import { z } from 'zod'
import type { Log } from '../lib/log.ts'
import type { Patience, Plugin, Plugins } from '../lib/plugin-client.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import {
  contains,
  formatIp,
  formatPrefix,
  masked,
  parseIp,
  parsePrefix,
  samePrefix,
  type IpAddress,
  type IpPrefix,
} from './ip-address.ts'
import type { AddressPool, AddressUse, IpamDriver, PoolReference, PoolRequest } from './ipam.ts'

/** The subsystem that such a plugin implements. */
const ipamSubsystem = 'IpamDriver'

const data = z.record(z.string(), z.string()).nullish()
const answers = {
  plain: z.object({}),
  capabilities: z.object({
    RequiresMACAddress: z.boolean().nullish(),
    RequiresRequestReplay: z.boolean().nullish(),
  }),
  spaces: z.object({ LocalDefaultAddressSpace: z.string().nullish() }),
  pool: z.object({ PoolID: z.string(), Pool: z.string(), Data: data }),
  address: z.object({ Address: z.string().nullish(), Data: data }),
}
/** Where a pool's data tell the gateway, and how the address of one is asked for (libnetwork netlabel and ipamapi). */
const gatewayKey = 'com.docker.network.gateway'
const macKey = 'com.docker.network.endpoint.macaddress'
const useKey = 'RequestAddressType'

type Capabilities = { needsMac: boolean; replays: boolean }

/** See the file's head. */
export class PluginIpam implements IpamDriver {
  readonly name: string
  readonly #plugins: Plugins
  readonly #log: Log

  constructor(name: string, plugins: Plugins, log: Log) {
    this.name = name
    this.#plugins = plugins
    this.#log = log
  }

  /** Throws when there is no such plugin. */
  async check(): Promise<void> {
    await this.#plugin()
  }

  async requestPool(request: PoolRequest): Promise<AddressPool> {
    const { reference, subnet } = request
    if (reference !== undefined && subnet !== undefined) {
      return new PluginPool(this, { reference, subnet, request, log: this.#log })
    }
    const { needsMac } = await this.capabilities()
    const { LocalDefaultAddressSpace: space } = await this.call('GetDefaultAddressSpaces', {}, answers.spaces)
    const made = await this.open(request, space ?? '')
    return new PluginPool(this, { ...made, request, needsMac, log: this.#log })
  }

  /** Has the plugin open a pool. What it answers has to be what was asked for. */
  async open(request: PoolRequest, space: string) {
    const { family, subnet, range, options } = request
    const answer = await this.call(
      'RequestPool',
      {
        AddressSpace: space,
        Pool: subnet === undefined ? '' : formatPrefix(masked(subnet)),
        SubPool: range === undefined ? '' : formatPrefix(range),
        Options: options,
        V6: family === 6,
      },
      answers.pool,
    )
    const reference: PoolReference = { id: answer.PoolID, space }
    const given = parsePrefix(answer.Pool)
    const isAsked = given !== undefined && (subnet === undefined || samePrefix(masked(given), masked(subnet)))
    if (!isAsked || given.address.family !== family) {
      await this.giveBack('ReleasePool', { PoolID: answer.PoolID })
      throw new EngineError(
        'internal',
        `${ipamSubsystem}.RequestPool: the plugin's pool ${JSON.stringify(answer.Pool)} is not what was asked for`,
      )
    }
    const gateway = parsePrefix(answer.Data?.[gatewayKey] ?? '')?.address
    return { reference, subnet: masked(given), ...(gateway === undefined ? {} : { gateway }) }
  }

  /** Has the plugin give an address of a pool; undefined when it gives none. */
  async take(pool: AddressPool, poolId: string, address: IpAddress | undefined, use: AddressUse) {
    // One that has just been started, with the machine or as a container, is given the time to come up.
    if (use.kind === 'endpoint') await this.#plugins.get(this.name, ipamSubsystem, { wait: true })
    const options: Record<string, string> = {}
    if (use.kind === 'gateway') options[useKey] = gatewayKey
    if (use.kind === 'endpoint' && pool.needsMac === true) options[macKey] = use.mac
    const wanted = address === undefined ? '' : formatIp(address)
    const request = { PoolID: poolId, Address: wanted, Options: options }
    const { Address: text } = await this.call('RequestAddress', request, answers.address)
    if (text === undefined || text === null || text === '') return undefined
    const given = parsePrefix(text)?.address ?? parseIp(text)
    const isAsked = address === undefined || given?.value === address.value
    if (given !== undefined && isAsked && contains(pool.subnet, given)) return given
    await this.giveBack('ReleaseAddress', { PoolID: poolId, Address: text.replace(/\/.*/, '') })
    throw new EngineError(
      'internal',
      `${ipamSubsystem}.RequestAddress: the plugin's address ${JSON.stringify(text)} is not of the pool ${formatPrefix(pool.subnet)}, or not the one asked for`,
    )
  }

  /** What the plugin needs; one that does not say needs nothing. */
  async capabilities(): Promise<Capabilities> {
    try {
      const answer = await this.call('GetCapabilities', {}, answers.capabilities, 'short')
      return { needsMac: answer.RequiresMACAddress === true, replays: answer.RequiresRequestReplay === true }
    } catch (error) {
      if (!(error instanceof EngineError) || error.kind === 'unavailable' || error.kind === 'notFound')
        throw error
      return { needsMac: false, replays: false }
    }
  }

  /** A call whose failure is logged: there is nothing that anybody could do about it. */
  async giveBack(method: 'ReleasePool' | 'ReleaseAddress', argument: unknown): Promise<void> {
    try {
      await this.call(method, argument, answers.plain, 'short')
    } catch (error) {
      this.#log.warn('an IPAM plugin does not take back what it gave', {
        plugin: this.name,
        error: errorMessage(error),
      })
    }
  }

  async call<T>(method: string, argument: unknown, shape: z.ZodType<T>, patience?: Patience): Promise<T> {
    const full = `${ipamSubsystem}.${method}`
    const plugin = await this.#plugin()
    const parsed = shape.safeParse(await plugin.call(full, argument, patience))
    if (parsed.success) return parsed.data
    throw new EngineError('unavailable', `${full}: the plugin's answer has not the shape it should`)
  }

  async #plugin(): Promise<Plugin> {
    return this.#plugins.get(this.name, ipamSubsystem)
  }
}

type PoolParts = {
  reference: PoolReference
  subnet: IpPrefix
  gateway?: IpAddress
  request: PoolRequest
  needsMac?: boolean
  log: Log
}

class PluginPool implements AddressPool {
  readonly subnet: IpPrefix
  readonly gateway?: IpAddress
  #reference: PoolReference
  #needsMac: boolean
  readonly #driver: PluginIpam
  readonly #parts: PoolParts
  readonly #fetched = new Set<bigint>()
  readonly #taken = new Set<bigint>()
  #isClosed = false
  /** What is being given back; resolves always. */
  #pending: Promise<void> = Promise.resolve()
  /** For a pool of before this daemon: whether the plugin knows it still. */
  #isKnown: Promise<void> | undefined

  constructor(driver: PluginIpam, parts: PoolParts) {
    this.#driver = driver
    this.#parts = parts
    this.#reference = parts.reference
    this.subnet = parts.subnet
    this.#needsMac = parts.needsMac === true
    if (parts.gateway !== undefined) this.gateway = parts.gateway
  }

  get reference(): PoolReference {
    return this.#reference
  }

  get needsMac(): boolean {
    return this.#needsMac
  }

  async fetch(address: IpAddress | undefined, use: AddressUse): Promise<IpAddress | undefined> {
    await this.#replayed()
    await this.#pending
    if (address !== undefined && this.#has(address)) throw alreadyTaken()
    const given = await this.#driver.take(this, this.#reference.id, address, use)
    if (given === undefined) return undefined
    if (this.#has(given)) throw alreadyTaken()
    this.#fetched.add(given.value)
    return given
  }

  request(address?: IpAddress): IpAddress | undefined {
    if (address === undefined) return undefined
    if (!contains(this.subnet, address)) throw new EngineError('invalid', 'requested address is out of range')
    if (!this.#fetched.delete(address.value) && this.#taken.has(address.value)) throw alreadyTaken()
    this.#taken.add(address.value)
    return address
  }

  release(address: IpAddress): void {
    const isOurs = this.#taken.delete(address.value)
    if (!this.#fetched.delete(address.value) && !isOurs) return
    this.#giveBack('ReleaseAddress', { PoolID: this.#reference.id, Address: formatIp(address) })
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const value of this.#taken) this.release({ family: this.subnet.address.family, value })
    this.#giveBack('ReleasePool', { PoolID: this.#reference.id })
  }

  async settled(): Promise<void> {
    await this.#pending
  }

  #has({ value }: IpAddress): boolean {
    return this.#taken.has(value) || this.#fetched.has(value)
  }

  #giveBack(method: 'ReleasePool' | 'ReleaseAddress', argument: unknown): void {
    this.#pending = this.#pending.then(() => this.#driver.giveBack(method, argument))
  }

  /** A plugin that forgets when it ends is told again what it gave; one that does not is not asked. */
  async #replayed(): Promise<void> {
    if (this.#parts.request.reference === undefined) return
    this.#isKnown ??= this.#replay()
    try {
      await this.#isKnown
    } catch (error) {
      this.#isKnown = undefined
      throw error
    }
  }

  async #replay(): Promise<void> {
    const { needsMac, replays } = await this.#driver.capabilities()
    this.#needsMac = needsMac
    if (!replays) return
    const request = { ...this.#parts.request, subnet: this.subnet }
    const { reference } = await this.#driver.open(request, this.#reference.space)
    this.#reference = reference
    const { family } = this.subnet.address
    for (const value of this.#taken) {
      await this.#driver.take(this, reference.id, { family, value }, { kind: 'auxiliary' })
    }
  }
}

function alreadyTaken(): EngineError {
  return new EngineError('forbidden', 'Address already in use')
}
