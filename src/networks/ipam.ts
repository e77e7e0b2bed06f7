/**
 * Address management: pools (the subnets of networks) and the addresses taken in each. The default driver keeps
 * both in memory; networks and endpoints register theirs again when the daemon starts.
 */
import { EngineError } from '../spec/errors.ts'
import {
  addressBits,
  contains,
  lastAddress,
  masked,
  overlaps,
  parsePrefix,
  prefixSize,
  samePrefix,
  type IpAddress,
  type IpPrefix,
} from './ip-address.ts'

/** What a network asks of an IPAM driver. Without `subnet` the driver chooses one. */
export type PoolRequest = {
  family: 4 | 6
  subnet?: IpPrefix
  range?: IpPrefix
  /** Prefixes not to choose, because the host uses them. */
  exclude: IpPrefix[]
  options: Record<string, string>
  /** What the driver called a pool that the network has had since before this daemon. */
  reference?: PoolReference
}

/** What somebody else calls a pool. */
export type PoolReference = { id: string; space: string }

/** What an address is for. */
export type AddressUse = { kind: 'gateway' } | { kind: 'auxiliary' } | { kind: 'endpoint'; mac: string }

/** Addresses of a pool that cannot be had, those with a meaning included, and those of its range that can. */
export type PoolUsage = { inUse: bigint; available: bigint }

/** A subnet taken by a network. */
export interface AddressPool {
  readonly subnet: IpPrefix
  /** The gateway, where that is the driver's choice. */
  readonly gateway?: IpAddress
  /** See `PoolRequest`. */
  readonly reference?: PoolReference
  /** Whether those who ask for an address have to tell the hardware's. */
  readonly needsMac?: boolean
  /**
   * Has somebody else give an address, which `request` then takes; there for pools that are kept elsewhere. One that
   * is not taken after all is to be released. Undefined where endpoints have no address of the pool's.
   */
  fetch?(address: IpAddress | undefined, use: AddressUse): Promise<IpAddress | undefined>
  /** Takes the given address, or a free one. Throws forbidden or unavailable, as Docker words it. */
  request(address?: IpAddress): IpAddress | undefined
  /** Idempotent. */
  release(address: IpAddress): void
  /** How full it is; not there for pools that are kept elsewhere. */
  usage?(): PoolUsage
  /** Gives the subnet back. */
  close(): void
  /** Resolves when what was released and closed is so elsewhere, too. */
  settled?(): Promise<void>
}

/** Where addresses come from. */
export interface IpamDriver {
  readonly name: string
  /** Takes a subnet. Throws as Docker words it. */
  requestPool(request: PoolRequest): AddressPool | Promise<AddressPool>
}

/** Takes an address, wherever the pool is kept. */
export async function requestAddress(
  pool: AddressPool,
  address: IpAddress | undefined,
  use: AddressUse,
): Promise<IpAddress | undefined> {
  if (pool.fetch === undefined) return pool.request(address)
  const fetched = await pool.fetch(address, use)
  return fetched === undefined ? undefined : pool.request(fetched)
}

/** A range that default subnets are cut from. `size` is their prefix length. */
export type DefaultPool = { base: string; size: number }

/** Docker's: 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/20 to 192.168.240.0/20. */
export const dockerDefaultPools: readonly DefaultPool[] = [
  { base: '172.17.0.0/16', size: 16 },
  { base: '172.18.0.0/16', size: 16 },
  { base: '172.19.0.0/16', size: 16 },
  { base: '172.20.0.0/14', size: 16 },
  { base: '172.24.0.0/14', size: 16 },
  { base: '172.28.0.0/14', size: 16 },
  { base: '192.168.0.0/16', size: 20 },
]

/** The built-in driver, named `default`. */
export class DefaultIpam implements IpamDriver {
  readonly name = 'default'
  readonly #defaults: { base: IpPrefix; size: number }[]
  readonly #pools = new Set<Pool>()

  /**
   * `uniqueLocal` is the ULA prefix (/48) that default IPv6 subnets are cut from; further pools of either family
   * come from `defaults`. Throws invalid for a pool that is none.
   */
  constructor(defaults: readonly DefaultPool[], uniqueLocal: string) {
    this.#defaults = [...defaults, { base: uniqueLocal, size: 64 }].map(({ base, size }) => {
      const prefix = parsePrefix(base)
      if (prefix === undefined || size < prefix.length || size > addressBits(prefix.address.family)) {
        throw new EngineError('invalid', `invalid default address pool: base=${base},size=${size}`)
      }
      return { base: masked(prefix), size }
    })
  }

  requestPool(request: PoolRequest): Pool {
    const subnet = request.subnet === undefined ? this.#choose(request) : masked(request.subnet)
    if (request.subnet !== undefined && this.#isTaken(subnet)) {
      throw new EngineError(
        'forbidden',
        'invalid pool request: Pool overlaps with other one on this address space',
      )
    }
    const pool = new Pool(subnet, request.range ?? subnet, () => this.#pools.delete(pool))
    this.#pools.add(pool)
    return pool
  }

  #isTaken(subnet: IpPrefix): boolean {
    return [...this.#pools].some((pool) => overlaps(pool.subnet, subnet))
  }

  #choose({ family, exclude }: PoolRequest): IpPrefix {
    const taken = [...this.#pools].map((pool) => pool.subnet).concat(exclude)
    for (const { base, size } of this.#defaults) {
      if (base.address.family !== family) continue
      const found = firstFree(base, size, taken)
      if (found !== undefined) return found
    }
    throw new EngineError('invalid', 'all predefined address pools have been fully subnetted')
  }
}

/** The first subnet of that size in `base` that touches none of `taken`, jumping over each. */
function firstFree(base: IpPrefix, size: number, taken: IpPrefix[]): IpPrefix | undefined {
  const family = base.address.family
  const step = 1n << BigInt(addressBits(family) - size)
  const end = base.address.value + prefixSize(base)
  let value = base.address.value
  while (value < end) {
    const candidate: IpPrefix = { address: { family, value }, length: size }
    const blocking = taken.find((prefix) => overlaps(prefix, candidate))
    if (blocking === undefined) return candidate
    const after = lastAddress(blocking).value + 1n
    value = after > value + step ? ((after + step - 1n) / step) * step : value + step
  }
  return undefined
}

class Pool implements AddressPool {
  readonly subnet: IpPrefix
  readonly #range: IpPrefix
  readonly #taken = new Set<bigint>()
  readonly #onClose: () => void
  /** No address below this one, in the range, is free. */
  #lowest: bigint

  constructor(subnet: IpPrefix, range: IpPrefix, onClose: () => void) {
    this.subnet = subnet
    this.#range = samePrefix(subnet, range) ? subnet : masked(range)
    this.#onClose = onClose
    this.#lowest = this.#range.address.value
    const isPointToPoint = prefixSize(subnet) <= 2n
    if (subnet.address.family === 6 || !isPointToPoint) this.#taken.add(subnet.address.value)
    if (subnet.address.family === 4 && !isPointToPoint) this.#taken.add(lastAddress(subnet).value)
  }

  request(address?: IpAddress): IpAddress {
    if (address !== undefined) {
      if (!contains(this.subnet, address)) {
        throw new EngineError('invalid', 'requested address is out of range')
      }
      if (this.#taken.has(address.value)) throw new EngineError('forbidden', 'Address already in use')
      this.#taken.add(address.value)
      return address
    }
    const end = this.#range.address.value + prefixSize(this.#range)
    for (let value = this.#lowest; value < end; value++) {
      if (this.#taken.has(value)) continue
      this.#taken.add(value)
      this.#lowest = value + 1n
      return { family: this.subnet.address.family, value }
    }
    throw new EngineError('unavailable', 'no available addresses on this pool')
  }

  release(address: IpAddress): void {
    if (!this.#taken.delete(address.value)) return
    if (address.value < this.#lowest && contains(this.#range, address)) this.#lowest = address.value
  }

  usage(): PoolUsage {
    const family = this.subnet.address.family
    const inRange = [...this.#taken].filter((value) => contains(this.#range, { family, value })).length
    return { inUse: BigInt(this.#taken.size), available: prefixSize(this.#range) - BigInt(inRange) }
  }

  close(): void {
    this.#onClose()
  }
}
