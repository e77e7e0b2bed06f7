/** Checks a request for a network and makes the record of it; pools are opened by the caller. */
import { EngineError } from '../spec/errors.ts'
import type { NetworkId } from '../spec/ids.ts'
import type { IpamPool, NetworkCreate } from '../spec/network-types.ts'
import {
  contains,
  formatPrefix,
  masked,
  overlaps,
  parseIp,
  parsePrefix,
  type IpPrefix,
} from './ip-address.ts'
import type { PoolRecord } from './pool-record.ts'
import { booleanOption, isPredefined, type NetworkRecord } from './network-record.ts'

/** What a record needs beyond the request. */
export type CreateContext = {
  id: NetworkId
  created: string
  /** Whether a network has that name. */
  isTaken(name: string): boolean
  /** The configuration-only network of that name. */
  configNetwork(name: string): NetworkRecord | undefined
  /** Options that networks of a driver get unless they have them. */
  defaultOptions(driver: string): Readonly<Record<string, string>>
}

const enableIPv4Option = 'com.docker.network.enable_ipv4'
const enableIPv6Option = 'com.docker.network.enable_ipv6'

/** The record of a requested network, its pools as asked for. Throws as Docker words it. */
export function recordOf(request: NetworkCreate, context: CreateContext): NetworkRecord {
  if (isPredefined(request.Name)) {
    throw new EngineError('forbidden', `operation is not permitted on predefined ${request.Name} network `)
  }
  checkScope(request)
  const driver = request.Driver === '' ? 'bridge' : request.Driver
  const options: Record<string, string> = { ...request.Options }
  if (request.ConfigFrom === null) {
    for (const [key, value] of Object.entries(context.defaultOptions(driver))) options[key] ??= value
  }
  const enableIPv4 = request.EnableIPv4 ?? booleanDriverOption(options, enableIPv4Option, true)
  const enableIPv6 = request.EnableIPv6 ?? booleanDriverOption(options, enableIPv6Option, false)
  const pools = request.IPAM?.Config ?? []
  checkIpam(pools, enableIPv6)
  if (request.Name.trim() === '') throw new EngineError('invalid', 'invalid name: name is empty')
  if (context.isTaken(request.Name)) {
    throw new EngineError('conflict', `network with name ${request.Name} already exists`)
  }
  const record: NetworkRecord = {
    id: context.id,
    name: request.Name,
    created: context.created,
    driver: request.ConfigOnly ? 'null' : driver,
    enableIPv4,
    enableIPv6,
    internal: request.Internal,
    attachable: request.Attachable,
    ingress: request.Ingress,
    configOnly: request.ConfigOnly,
    configFrom: request.ConfigFrom?.Network ?? '',
    ipamDriver: nonEmpty(request.IPAM?.Driver, 'default'),
    ipamOptions: request.IPAM?.Options ?? null,
    ipv4: enableIPv4 ? poolsOf(pools, 4) : [],
    ipv6: enableIPv6 ? poolsOf(pools, 6) : [],
    options,
    labels: request.Labels ?? {},
  }
  return applyConfigNetwork(record, request, context)
}

function checkScope(request: NetworkCreate): void {
  if (request.Driver === 'overlay') {
    throw new EngineError(
      'forbidden',
      'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    )
  }
  if (request.Scope === 'swarm') {
    throw new EngineError('forbidden', 'cannot create a swarm scoped network when swarm is not active')
  }
  if (request.Ingress) throw new EngineError('forbidden', 'Ingress network can only be global scope network')
  if (request.ConfigOnly && request.ConfigFrom !== null) {
    throw new EngineError(
      'forbidden',
      'a configuration network cannot depend on another configuration network',
    )
  }
}

function booleanDriverOption(options: Record<string, string>, key: string, fallback: boolean): boolean {
  try {
    return booleanOption(options, key, fallback)
  } catch (error) {
    throw new EngineError('invalid', `driver-opt ${JSON.stringify(key)} is not a valid bool`, {
      cause: error,
    })
  }
}

function nonEmpty(text: string | undefined, fallback: string): string {
  return text === undefined || text === '' ? fallback : text
}

function poolsOf(pools: IpamPool[], family: 4 | 6): PoolRecord[] {
  return pools
    .filter((pool) => parsePrefix(pool.Subnet)?.address.family === family)
    .map((pool) => ({
      subnet: pool.Subnet,
      range: pool.IPRange,
      gateway: pool.Gateway,
      auxiliary: pool.AuxiliaryAddresses ?? {},
      asked: true,
    }))
}

function applyConfigNetwork(
  record: NetworkRecord,
  request: NetworkCreate,
  context: CreateContext,
): NetworkRecord {
  if (record.configFrom === '') return record
  const source = context.configNetwork(record.configFrom)
  if (source === undefined) {
    throw new EngineError(
      'notFound',
      `configuration network ${JSON.stringify(record.configFrom)} does not exist`,
    )
  }
  const hasOwn =
    (request.IPAM?.Config ?? []).length > 0 ||
    Object.keys(request.Options ?? {}).length > 0 ||
    Object.keys(request.Labels ?? {}).length > 0 ||
    request.Internal ||
    request.EnableIPv6 === true
  if (hasOwn) {
    throw new EngineError(
      'forbidden',
      'user supplied configurations are not supported if the network depends on a configuration network',
    )
  }
  return {
    ...record,
    enableIPv4: source.enableIPv4,
    enableIPv6: source.enableIPv6,
    internal: source.internal,
    ipamDriver: source.ipamDriver,
    ipamOptions: source.ipamOptions,
    ipv4: source.ipv4,
    ipv6: source.ipv6,
    options: source.options,
    labels: source.labels,
  }
}

/** Several complaints as one text, the way Docker joins them. */
export function joinComplaints(complaints: string[]): string {
  const [only] = complaints
  if (complaints.length === 1 && only !== undefined) return only.trim()
  return `* ${complaints.map((complaint) => complaint.replaceAll('\n', '\n\t')).join('\n* ')}`
}

function checkIpam(pools: IpamPool[], enableIPv6: boolean): void {
  const complaints = pools.flatMap((pool) => poolComplaints(pool, enableIPv6))
  if (complaints.length === 0) return
  throw new EngineError('invalid', `invalid network config:\n${joinComplaints(complaints)}`)
}

function poolComplaints(pool: IpamPool, enableIPv6: boolean): string[] {
  const subnet = parsePrefix(pool.Subnet)
  if (subnet === undefined) return [`invalid subnet ${pool.Subnet}: invalid CIDR block notation`]
  if (!enableIPv6 && subnet.address.family === 6) return []
  const complaints: string[] = []
  if (!isMasked(subnet)) {
    complaints.push(`invalid subnet ${formatPrefix(subnet)}: it should be ${formatPrefix(masked(subnet))}`)
  }
  complaints.push(...rangeComplaints(pool.IPRange, subnet))
  const gateway = addressComplaint(pool.Gateway, subnet)
  if (gateway !== undefined) complaints.push(`invalid gateway ${pool.Gateway}: ${gateway}`)
  for (const [name, address] of Object.entries(pool.AuxiliaryAddresses ?? {})) {
    const complaint = addressComplaint(address, subnet)
    if (complaint !== undefined) complaints.push(`invalid auxiliary address ${name}: ${complaint}`)
  }
  return complaints
}

function isMasked(prefix: IpPrefix): boolean {
  return masked(prefix).address.value === prefix.address.value
}

function rangeComplaints(text: string, subnet: IpPrefix): string[] {
  if (text === '') return []
  const range = parsePrefix(text)
  if (range === undefined) return [`invalid ip-range ${text}: invalid CIDR block notation`]
  if (range.address.family !== subnet.address.family) {
    return [`invalid ip-range ${text}: parent subnet is an IPv${subnet.address.family} block`]
  }
  const complaints: string[] = []
  if (range.length < subnet.length) {
    complaints.push(
      `invalid ip-range ${text}: CIDR block is bigger than its parent subnet ${formatPrefix(subnet)}`,
    )
  }
  if (!isMasked(range)) {
    complaints.push(`invalid ip-range ${formatPrefix(range)}: it should be ${formatPrefix(masked(range))}`)
  }
  if (!overlaps(subnet, range)) {
    complaints.push(
      `invalid ip-range ${text}: parent subnet ${formatPrefix(subnet)} doesn't contain ip-range`,
    )
  }
  return complaints
}

function addressComplaint(text: string, subnet: IpPrefix): string | undefined {
  if (text === '') return undefined
  const address = parseIp(text)
  if (address === undefined) return 'invalid address'
  if (address.family !== subnet.address.family) {
    return `parent subnet is an IPv${subnet.address.family} block`
  }
  return contains(subnet, address)
    ? undefined
    : `parent subnet ${formatPrefix(subnet)} doesn't contain this address`
}
