/** Labels and options as flags give them and as tables show them. */

/** `key=value` pairs as a map; a pair without `=` has an empty value. Docker keeps the last of equal keys. */
export function pairsToMap(pairs: readonly string[]): Record<string, string> {
  const map: Record<string, string> = {}
  for (const pair of pairs) {
    const at = pair.indexOf('=')
    map[at < 0 ? pair : pair.slice(0, at)] = at < 0 ? '' : pair.slice(at + 1)
  }
  return map
}

/** The `Labels` column: `key=value` pairs joined by commas. */
export function joinLabels(labels: Readonly<Record<string, string>> | null | undefined): string {
  return Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}

/** Compares names as people sort them: digits by their value. */
export function compareNatural(a: string, b: string): number {
  const split = /(\d+)/
  const [left, right] = [a.split(split), b.split(split)]
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const [x = '', y = ''] = [left[i], right[i]]
    if (x === y) continue
    if (i % 2 === 1 && Number(x) !== Number(y)) return Number(x) - Number(y)
    return x < y ? -1 : 1
  }
  return left.length - right.length
}
