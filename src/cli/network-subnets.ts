/** Puts the subnets, ranges, gateways and extra addresses of `network create` together: each belongs to one subnet. */
import { BlockList, isIP } from 'node:net'
import { CliError } from './errors.ts'

/** A subnet as the API takes it. */
export type Pool = {
  Subnet: string
  IPRange?: string
  Gateway?: string
  AuxiliaryAddresses?: Record<string, string>
}

type SubnetFlags = {
  subnets: readonly string[]
  ranges: readonly string[]
  gateways: readonly string[]
  auxiliary: Readonly<Record<string, string>>
}

type Subnet = { pool: Pool; contains: (address: string) => boolean }

function family(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4'
}

function parseSubnet(text: string): Subnet {
  const at = text.indexOf('/')
  const address = at < 0 ? text : text.slice(0, at)
  const bits = at < 0 ? Number.NaN : Number(text.slice(at + 1))
  const version = isIP(address)
  if (version === 0 || !Number.isInteger(bits) || bits < 0 || bits > (version === 6 ? 128 : 32)) {
    throw new CliError(`invalid CIDR address: ${text}`)
  }
  const block = new BlockList()
  block.addSubnet(address, bits, family(address))
  return {
    pool: { Subnet: text },
    contains: (other) => isIP(other) === version && block.check(other, family(other)),
  }
}

function owner(subnets: readonly Subnet[], address: string, missing: string): Pool {
  const found = subnets.find((subnet) => subnet.contains(address))
  if (found === undefined) throw new CliError(missing)
  return found.pool
}

function checkOverlap(subnets: readonly Subnet[]): void {
  for (const [i, one] of subnets.entries()) {
    for (const other of subnets.slice(i + 1)) {
      const [a = ''] = one.pool.Subnet.split('/')
      const [b = ''] = other.pool.Subnet.split('/')
      if (one.contains(b) || other.contains(a))
        throw new CliError('multiple overlapping subnet configuration is not supported')
    }
  }
}

/** The pools of the request. Throws a CliError with Docker's texts for what belongs to no subnet or comes twice. */
export function ipamPools(flags: SubnetFlags): Pool[] {
  if (flags.subnets.length < flags.ranges.length || flags.subnets.length < flags.gateways.length) {
    throw new CliError('every ip-range or gateway must have a corresponding subnet')
  }
  const subnets = flags.subnets.map(parseSubnet)
  checkOverlap(subnets)
  for (const range of flags.ranges) {
    const [start = ''] = range.split('/')
    const pool = owner(subnets, start, `no matching subnet for range ${range}`)
    if (pool.IPRange !== undefined)
      throw new CliError('cannot configure multiple ranges (same subnet) on the same network')
    pool.IPRange = range
  }
  for (const gateway of flags.gateways) {
    const pool = owner(subnets, gateway, `no matching subnet for gateway ${gateway}`)
    if (pool.Gateway !== undefined)
      throw new CliError(
        `cannot configure multiple gateways (${pool.Gateway}, ${gateway}) for the same subnet (${pool.Subnet})`,
      )
    pool.Gateway = gateway
  }
  for (const [name, address] of Object.entries(flags.auxiliary)) {
    const pool = owner(subnets, address, `no matching subnet for aux-address ${address}`)
    pool.AuxiliaryAddresses = { ...pool.AuxiliaryAddresses, [name]: address }
  }
  return subnets.map((subnet) => subnet.pool)
}
