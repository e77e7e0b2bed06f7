/** `POST /containers/prune`. */
import { parseTimeNs } from '../lib/clock.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import type { Container } from './container.ts'
import type { Filters } from './contract.ts'
import type { Core } from './core.ts'
import type { Execs } from './exec.ts'
import { matchesLabels } from './list-filters.ts'
import { removeContainer } from './remove.ts'

const accepted = ['label', 'label!', 'until']

/** Removes stopped containers that the filters let through. */
export async function pruneContainers(
  core: Core,
  execs: Execs,
  filters: Filters,
): Promise<{ deleted: string[]; reclaimedBytes: number }> {
  for (const key of filters.keys()) {
    if (!accepted.includes(key)) throw new EngineError('invalid', `invalid filter '${key}'`)
  }
  const untilNs = parseUntil(core, filters.get('until') ?? [])
  const deleted: string[] = []
  let reclaimedBytes = 0
  for (const container of core.registry.all()) {
    if (container.state.running || !matches(container, filters, untilNs)) continue
    try {
      const { writableBytes } = await core.ports.rootfs.usage(container.id)
      const options = { force: false, volumes: false, reference: container.id }
      await removeContainer(core, execs, container, options)
      deleted.push(container.id)
      reclaimedBytes += writableBytes
    } catch (error) {
      // One that is started or removed meanwhile is no reason to spare the others.
      core.log.warn('container not pruned', { id: container.id, error: errorMessage(error) })
    }
  }
  const attributes = { reclaimed: String(reclaimedBytes) }
  core.ports.events.emit({ type: 'container', action: 'prune', id: '', attributes })
  return { deleted, reclaimedBytes }
}

function matches({ record }: Container, filters: Filters, untilNs: bigint | undefined): boolean {
  if (untilNs !== undefined && (parseTimeNs(record.createdAt) ?? 0n) > untilNs) return false
  const labels = record.config.Labels ?? {}
  if (!matchesLabels(filters.get('label') ?? [], labels)) return false
  const unwanted = filters.get('label!') ?? []
  return unwanted.length === 0 || !matchesLabels(unwanted, labels)
}

/** A time (RFC 3339, or seconds since 1970) or an age (`10m`, `1h30m`). */
function parseUntil(core: Core, values: readonly string[]): bigint | undefined {
  const [value] = values
  if (value === undefined) return undefined
  if (values.length > 1) throw new EngineError('invalid', 'more than one until filter specified')
  const ageNs = parseAgeNs(value)
  if (ageNs !== undefined) return core.clock.nowNs() - ageNs
  if (/^\d+(\.\d{1,9})?$/.test(value)) {
    const [seconds = '0', fraction = ''] = value.split('.')
    return BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'))
  }
  const zoned = /(Z|[+-]\d\d:\d\d)$/.test(value) ? value : `${value}Z`
  const time = parseTimeNs(zoned) ?? dateNs(value)
  if (time === undefined) {
    throw new EngineError('invalid', `failed to parse value as time or duration: "${value}"`)
  }
  return time
}

function dateNs(value: string): bigint | undefined {
  const ms = /^\d{4}-\d\d-\d\d(T\d\d(:\d\d)?)?Z?$/.test(value) ? Date.parse(completeDate(value)) : Number.NaN
  return Number.isNaN(ms) ? undefined : BigInt(ms) * 1_000_000n
}

function completeDate(value: string): string {
  const [date = '', time = ''] = value.replace(/Z$/, '').split('T')
  const [hours = '00', minutes = '00'] = time === '' ? [] : time.split(':')
  return `${date}T${hours}:${minutes}:00Z`
}

/** Go's durations; undefined for anything else. */
function parseAgeNs(text: string): bigint | undefined {
  const unitsMs: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 0.001, ns: 0.000001 }
  if (!/^(\d+(\.\d+)?(h|m|s|ms|us|ns))+$/.test(text)) return undefined
  let ms = 0
  for (const [, number = '0', unit = 's'] of text.matchAll(/(\d+(?:\.\d+)?)(ms|us|ns|h|m|s)/g)) {
    ms += Number(number) * (unitsMs[unit] ?? 0)
  }
  return BigInt(Math.round(ms * 1e6))
}
