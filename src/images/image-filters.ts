/** The filters of `GET /images/json` and `POST /images/prune`. */
import { parseTimeNs, type Clock } from '../lib/clock.ts'
import { parseDuration } from '../lib/duration.ts'
import { pathMatch } from '../lib/path-match.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import type { ImageRecord } from './image-record.ts'
import { familiarRepository, familiarText, type Reference } from './reference.ts'

/** Decoded `filters`: every value of every key. */
export type Filters = ReadonlyMap<string, readonly string[]>

/** Throws invalid for a filter that the request does not know. */
export function checkFilterNames(filters: Filters, accepted: readonly string[]): void {
  for (const key of filters.keys()) {
    if (!accepted.includes(key)) throw new EngineError('invalid', `invalid filter '${key}'`)
  }
}

/** A yes-or-no filter; undefined when it is not given. */
export function booleanFilter(filters: Filters, key: string): boolean | undefined {
  const values = filters.get(key)
  if (values === undefined || values.length === 0) return undefined
  const isTrue = values.some((value) => ['true', '1'].includes(value))
  const isFalse = values.some((value) => ['false', '0'].includes(value))
  // Other values beside one that says something do not matter (moby api/types/filters, GetBoolOrDefault).
  if (isTrue !== isFalse) return isTrue
  throw new EngineError('invalid', `invalid filter '${key}=[${values.join(' ')}]'`)
}

/** Whether labels have all of the wanted ones (`key` or `key=value`). */
function matchesLabels(wanted: readonly string[], labels: Record<string, string> | null): boolean {
  return wanted.every((text) => {
    const equals = text.indexOf('=')
    const value = labels?.[equals === -1 ? text : text.slice(0, equals)]
    return value !== undefined && (equals === -1 || value === text.slice(equals + 1))
  })
}

/** The `label` and `label!` filters. */
export function labelFilter(filters: Filters): (image: ImageRecord) => boolean {
  const wanted = filters.get('label') ?? []
  const unwanted = filters.get('label!') ?? []
  return ({ labels }) =>
    matchesLabels(wanted, labels) && (unwanted.length === 0 || !matchesLabels(unwanted, labels))
}

/** The `until` filter: images made before a time, or longer ago than a duration. */
export function untilFilter(filters: Filters, clock: Clock): (image: ImageRecord) => boolean {
  const values = filters.get('until') ?? []
  const [value] = values
  if (value === undefined) return () => true
  if (values.length > 1) throw new EngineError('invalid', 'more than one until filter specified')
  const untilNs = parseUntil(value, clock)
  return (image) => image.created !== '' && BigInt(image.createdNs) <= untilNs
}

function parseUntil(value: string, clock: Clock): bigint {
  if (/^\d+(\.\d{1,9})?$/.test(value)) {
    const [seconds = '0', fraction = ''] = value.split('.')
    return BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'))
  }
  const time = parseTimeNs(completeTime(value))
  if (time !== undefined) return time
  try {
    return clock.nowNs() - BigInt(parseDuration(value))
  } catch (error) {
    throw new EngineError('invalid', `failed to parse value as time or duration: ${JSON.stringify(value)}`, {
      cause: error,
    })
  }
}

/** A date, or a time without seconds or zone, filled up to RFC 3339 (moby daemon/internal/timestamp). */
function completeTime(value: string): string {
  const match = /^(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d+)?))?)?)?(Z|[+-]\d\d:\d\d)?$/.exec(
    value,
  )
  if (match === null) return value
  const [, date = '', hours = '00', minutes = '00', seconds = '00', zone = 'Z'] = match
  return `${date}T${hours}:${minutes}:${seconds}${zone}`
}

/** The `reference` filter: patterns against the familiar name with or without its tag. */
export function referenceFilter(filters: Filters): ((reference: Reference) => boolean) | undefined {
  const patterns = filters.get('reference')
  if (patterns === undefined || patterns.length === 0) return undefined
  return (reference) =>
    patterns.some((pattern) => {
      try {
        return (
          pathMatch(pattern, familiarText(reference)) ||
          pathMatch(pattern, familiarRepository(reference.repository))
        )
      } catch (error) {
        throw new EngineError('invalid', errorMessage(error), { cause: error })
      }
    })
}
