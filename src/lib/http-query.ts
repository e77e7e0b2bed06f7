/** Query parameters with the meaning Docker's routes give them. */
import { EngineError } from '../spec/errors.ts'

/** Parameters of a query. Throws `invalid` with Go's words for a broken escape or a semicolon. */
export function parseQuery(text: string): URLSearchParams {
  if (text.includes(';')) throw new EngineError('invalid', 'invalid semicolon separator in query')
  const broken = text.includes('%') ? /%(?![0-9a-fA-F]{2}).{0,2}/.exec(text) : null
  if (broken !== null) throw new EngineError('invalid', `invalid URL escape ${JSON.stringify(broken[0])}`)
  return new URLSearchParams(text)
}

/** Anything but the empty string, `0`, `no`, `false` and `none` is true; absent gives the fallback. */
export function queryFlag(query: URLSearchParams, name: string, fallback = false): boolean {
  const value = query.get(name)
  if (value === null) return fallback
  return !['', '0', 'no', 'false', 'none'].includes(value.trim().toLowerCase())
}

/** A whole number; undefined when absent or empty. Throws `invalid` with Go's words. */
export function queryInteger(query: URLSearchParams, name: string): number | undefined {
  const value = query.get(name)
  if (value === null || value === '') return undefined
  if (!/^[+-]?[0-9]+$/.test(value)) {
    throw new EngineError('invalid', `strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`)
  }
  const number = Number(value)
  if (!Number.isSafeInteger(number)) {
    throw new EngineError('invalid', `strconv.Atoi: parsing ${JSON.stringify(value)}: value out of range`)
  }
  return number
}

/**
 * The `filters` parameter: `{"key":{"value":true}}`, or the older `{"key":["value"]}`. Throws `invalid`.
 * A value mapped to false does not count.
 */
export function parseFilters(text: string): Map<string, readonly string[]> {
  const filters = new Map<string, readonly string[]>()
  if (text === '') return filters
  const parsed = parseObject(text)
  if (parsed === undefined) throw new EngineError('invalid', 'invalid filter')
  for (const [key, values] of Object.entries(parsed)) {
    const list = filterValues(values)
    if (list === undefined) throw new EngineError('invalid', 'invalid filter')
    filters.set(key, list)
  }
  return filters
}

function parseObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (value === null) return {}
    return typeof value === 'object' && !Array.isArray(value) ? value : undefined
  } catch {
    // Not JSON at all: the caller says so in Docker's words.
    return undefined
  }
}

function filterValues(values: unknown): string[] | undefined {
  if (values === null) return []
  if (typeof values !== 'object') return undefined
  const list: string[] = []
  if (Array.isArray(values)) {
    for (const value of values) {
      if (typeof value !== 'string') return undefined
      list.push(value)
    }
    return list
  }
  for (const [value, wanted] of Object.entries(values)) {
    if (typeof wanted !== 'boolean') return undefined
    if (wanted) list.push(value)
  }
  return list
}

/** Refuses filter keys that a route does not know. Throws `invalid` with Docker's words. */
export function checkFilterKeys(filters: ReadonlyMap<string, unknown>, accepted: readonly string[]): void {
  for (const key of filters.keys()) {
    if (!accepted.includes(key)) throw new EngineError('invalid', `invalid filter '${key}'`)
  }
}
