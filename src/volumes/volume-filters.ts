/** `filters` of volume requests. */
import { EngineError } from '../spec/errors.ts'

/** Decoded `filters`: every value of every key. */
export type Filters = ReadonlyMap<string, readonly string[]>

/** What they ask for. */
export type VolumeFilters = {
  dangling?: boolean
  all: boolean
  drivers: readonly string[]
  names: readonly string[]
  /** `key` or `key=value`, all of which must be there. */
  labels: readonly string[]
  /** None of which may be there. */
  withoutLabels: readonly string[]
}

/** Throws invalid for a key that is not allowed here, or a boolean that is none. */
export function parseVolumeFilters(filters: Filters, allowed: readonly string[]): VolumeFilters {
  for (const key of filters.keys()) {
    if (!allowed.includes(key)) throw new EngineError('invalid', `invalid filter '${key}'`)
  }
  const dangling = parseBoolean(filters, 'dangling')
  return {
    ...(dangling !== undefined && { dangling }),
    all: parseBoolean(filters, 'all') ?? false,
    drivers: filters.get('driver') ?? [],
    names: filters.get('name') ?? [],
    labels: filters.get('label') ?? [],
    withoutLabels: filters.get('label!') ?? [],
  }
}

/** What of a volume filters look at. */
export type FilteredVolume = {
  name: string
  driver: string
  labels: Readonly<Record<string, string>> | null
  holders: readonly unknown[]
}

/** Whether a volume is as all filters want it. */
export function matchesVolume(volume: FilteredVolume, wanted: VolumeFilters): boolean {
  return (
    (wanted.dangling === undefined || wanted.dangling === (volume.holders.length === 0)) &&
    (wanted.drivers.length === 0 || wanted.drivers.includes(volume.driver)) &&
    (wanted.names.length === 0 || wanted.names.some((name) => nameMatches(volume.name, name))) &&
    labelMatches(volume.labels, wanted)
  )
}

/** Docker takes the value for a regular expression, found anywhere; one that is none matches only itself. */
function nameMatches(name: string, pattern: string): boolean {
  if (name === pattern) return true
  try {
    return new RegExp(pattern).test(name)
  } catch {
    return false
  }
}

/** Whether labels are as the filters want them. */
export function labelMatches(
  labels: Readonly<Record<string, string>> | null,
  filters: VolumeFilters,
): boolean {
  const has = (wanted: string) => {
    const at = wanted.indexOf('=')
    if (at < 0) return labels?.[wanted] !== undefined
    return labels?.[wanted.slice(0, at)] === wanted.slice(at + 1)
  }
  return filters.labels.every(has) && !filters.withoutLabels.some(has)
}

function parseBoolean(filters: Filters, key: string): boolean | undefined {
  const values = filters.get(key)
  if (values === undefined || values.length === 0) return undefined
  if (values.every((value) => value === 'true' || value === '1')) return true
  if (values.every((value) => value === 'false' || value === '0')) return false
  throw new EngineError('invalid', `invalid filter '${key}=[${values.join(' ')}]'`)
}
