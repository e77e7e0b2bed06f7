/** One record of comma-separated values, as Go's encoding/csv reads it: flags like `--mount` are such records. */
export function parseCsvRecord(text: string): string[] {
  if (text === '') throw new Error('EOF')
  const fields: string[] = []
  let at = 0
  while (true) {
    if (text[at] !== '"') {
      const comma = text.indexOf(',', at)
      const field = text.slice(at, comma < 0 ? undefined : comma)
      const quote = field.indexOf('"')
      if (quote >= 0) {
        throw new Error(`parse error on line 1, column ${at + quote + 1}: bare " in non-quoted-field`)
      }
      fields.push(field)
      if (comma < 0) return fields
      at = comma + 1
      continue
    }
    const match = /^"((?:[^"]|"")*)"/.exec(text.slice(at))
    if (match === null) {
      throw new Error(
        `parse error on line 1, column ${text.length + 1}: extraneous or missing " in quoted-field`,
      )
    }
    fields.push((match[1] ?? '').replaceAll('""', '"'))
    at += match[0].length
    if (at >= text.length) return fields
    if (text[at] !== ',') {
      throw new Error(`parse error on line 1, column ${at + 1}: extraneous or missing " in quoted-field`)
    }
    at++
  }
}

/** Cuts at the first separator; the second part is undefined where there is none. */
export function cut(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)]
}

/** `key=value` strings as a map; a key alone has an empty value. */
export function keyValueMap(values: readonly string[]): Record<string, string> {
  const map: Record<string, string> = {}
  for (const value of values) {
    const [key, rest] = cut(value, '=')
    map[key] = rest ?? ''
  }
  return map
}
