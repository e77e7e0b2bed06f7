/** Which networks a list or prune is about. */
import { EngineError } from '../spec/errors.ts'
import { parseTimeNs } from '../lib/clock.ts'
import { isPredefined, type NetworkRecord } from './network-record.ts'

/** Decoded `filters`: every value of every key. */
export type NetworkFilters = ReadonlyMap<string, readonly string[]>

const listKeys = ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type']
const pruneKeys = ['label', 'label!', 'until']

function checkKeys(filters: NetworkFilters, known: string[]): void {
  for (const key of filters.keys()) {
    if (!known.includes(key)) throw new EngineError('invalid', `invalid filter '${key}'`)
  }
}

/** The networks that a list's filters let through. `inUse` tells whether anything is on a network. */
export function filterNetworks(
  networks: NetworkRecord[],
  filters: NetworkFilters,
  inUse: (network: NetworkRecord) => boolean,
): NetworkRecord[] {
  checkKeys(filters, listKeys)
  const dangling = danglingOf(filters)
  for (const type of filters.get('type') ?? []) {
    if (type !== 'builtin' && type !== 'custom') {
      throw new EngineError('invalid', `invalid filter: 'type'='${type}'`)
    }
  }
  const exact = (key: string, value: string) => {
    const wanted = filters.get(key)
    return wanted === undefined || wanted.length === 0 || wanted.includes(value)
  }
  return networks.filter((network) => {
    const isUnused = !isPredefined(network.name) && !inUse(network)
    return (
      exact('driver', network.driver) &&
      exact('scope', network.scope ?? 'local') &&
      exact('type', isPredefined(network.name) ? 'builtin' : 'custom') &&
      matchesText(filters.get('name'), network.name) &&
      matchesText(filters.get('id'), network.id) &&
      matchesLabels(filters.get('label') ?? [], network.labels) &&
      (dangling === undefined || dangling === isUnused)
    )
  })
}

function danglingOf(filters: NetworkFilters): boolean | undefined {
  const values = filters.get('dangling') ?? []
  const [value] = values
  if (value === undefined) return undefined
  if (values.length > 1) {
    throw new EngineError('invalid', 'got more than one value for filter key "dangling"')
  }
  if (value === '1' || value === 'true') return true
  if (value === '0' || value === 'false') return false
  throw new EngineError(
    'invalid',
    `invalid value for filter 'dangling', must be "true" (or "1"), or "false" (or "0")`,
  )
}

/** As Docker matches names and ids: any value that is part of the text, or matches it as an expression. */
function matchesText(values: readonly string[] | undefined, text: string): boolean {
  if (values === undefined || values.length === 0) return true
  return values.some((value) => {
    if (text.includes(value)) return true
    try {
      return new RegExp(value).test(text)
    } catch {
      return false
    }
  })
}

function matchesLabels(wanted: readonly string[], labels: Record<string, string>): boolean {
  return wanted.every((label) => {
    const at = label.indexOf('=')
    return at < 0 ? label in labels : labels[label.slice(0, at)] === label.slice(at + 1)
  })
}

/** The unused networks that a prune's filters let through. */
export function prunableNetworks(
  networks: NetworkRecord[],
  filters: NetworkFilters,
  nowNs: bigint,
): NetworkRecord[] {
  checkKeys(filters, pruneKeys)
  const until = untilNs(filters, nowNs)
  return networks.filter(
    (network) =>
      !isPredefined(network.name) &&
      (until === undefined || (parseTimeNs(network.created) ?? 0n) < until) &&
      matchesLabels(filters.get('label') ?? [], network.labels) &&
      (filters.get('label!') ?? []).every((label) => !matchesLabels([label], network.labels)),
  )
}

const unitsNs: Record<string, bigint> = {
  ns: 1n,
  us: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
}

function untilNs(filters: NetworkFilters, nowNs: bigint): bigint | undefined {
  const values = filters.get('until') ?? []
  const [value] = values
  if (value === undefined) return undefined
  if (values.length > 1) throw new EngineError('invalid', 'more than one until filter specified')
  if (/^\d+(\.\d+)?$/.test(value)) return BigInt(Math.round(Number(value) * 1e6)) * 1000n
  if (/^(\d+(\.\d+)?(ns|us|ms|s|m|h))+$/.test(value)) {
    let total = 0n
    for (const match of value.matchAll(/(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)/g)) {
      total += BigInt(Math.round(Number(match[1]) * Number(unitsNs[match[2] ?? ''] ?? 0n)))
    }
    return nowNs - total
  }
  const day = /^\d{4}-\d\d-\d\d$/.test(value) ? `${value}T00:00:00Z` : value
  const time = parseTimeNs(/[Z+]|-\d\d:\d\d$/.test(day) ? day : `${day}Z`)
  if (time === undefined) {
    throw new EngineError('invalid', `failed to parse value as time or duration: ${JSON.stringify(value)}`)
  }
  return time
}
