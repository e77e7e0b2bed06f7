/** Address management for networks whose driver brings its endpoints' addresses, or needs none: it gives none. */
import { EngineError } from '../spec/errors.ts'
import type { AddressPool, IpamDriver, PoolRequest } from './ipam.ts'

/** The driver named `null`. */
export class NullIpam implements IpamDriver {
  readonly name = 'null'

  requestPool({ family, subnet, range }: PoolRequest): AddressPool {
    const all = { address: { family, value: 0n }, length: 0 }
    const isForeign = subnet !== undefined && (subnet.length !== 0 || subnet.address.value !== 0n)
    if (isForeign || range !== undefined) {
      throw new EngineError('invalid', 'null ipam driver does not handle specific address pool requests')
    }
    return {
      subnet: all,
      request(address) {
        if (address === undefined) return undefined
        throw new EngineError('invalid', 'null ipam driver does not handle specific address requests')
      },
      release() {},
      close() {},
    }
  }
}
