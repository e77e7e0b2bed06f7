/** Sizes, times and names as people read them. */

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** A size in decimal units, as Docker prints them: `1.23 MB`. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  // Three digits say enough.
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2
  return `${value.toFixed(digits)} ${units[unit] ?? ''}`
}

const steps: [limit: number, seconds: number, one: string, many: string][] = [
  [60, 1, 'second', 'seconds'],
  [3600, 60, 'minute', 'minutes'],
  [86_400, 3600, 'hour', 'hours'],
  [86_400 * 14, 86_400, 'day', 'days'],
  [86_400 * 60, 86_400 * 7, 'week', 'weeks'],
  [86_400 * 730, 86_400 * 30.44, 'month', 'months'],
  [Infinity, 86_400 * 365.25, 'year', 'years'],
]

/** How long ago something was: `3 days ago`. */
export function formatAge(thenMs: number, nowMs: number): string {
  const seconds = Math.max(0, (nowMs - thenMs) / 1000)
  if (seconds < 10) return 'just now'
  return `${formatSpan(seconds * 1000)} ago`
}

/** A length of time in its largest fitting unit: `2 weeks`. */
export function formatSpan(ms: number): string {
  const seconds = ms / 1000
  const [, unit, one, many] = steps.find(([limit]) => seconds < limit) ?? [0, 1, 'second', 'seconds']
  const value = Math.floor(seconds / unit)
  return `${value} ${value === 1 ? one : many}`
}

/** A time in full, in the reader's own zone; empty for none. */
export function formatTime(ms: number): string {
  if (ms <= 0 || Number.isNaN(ms)) return ''
  return new Date(ms).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' })
}

/** A number and what it counts: `1 tag`, `12 tags`, `10,000 tags`. */
export function formatCount(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`
}

/** The first twelve digits of a digest's hash. */
export function shortDigest(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1).slice(0, 12)
}
