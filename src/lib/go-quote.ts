/** Go's string literals: quoting as `%q` does, unquoting as strconv.Unquote. */

const escapes: Record<string, string> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
}

/** The text of a Go string literal: "quoted", `raw`, or 'c'. Throws for one that Go would refuse. */
export function unquoteGo(literal: string): string {
  const quote = literal.charAt(0)
  const body = literal.slice(1, -1)
  if (literal.length < 2 || literal.at(-1) !== quote) throw new Error('invalid syntax')
  if (quote === '`') return body.replaceAll('\r', '')
  const text = body.replaceAll(
    /\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|[\s\S]|$)/g,
    (_, escape: string) => {
      const first = escape.charAt(0)
      if (escape.length > 1 && /[xuU]/.test(first)) {
        const code = Number.parseInt(escape.slice(1), 16)
        if (code > 0x10_ff_ff) throw new Error('invalid syntax')
        return String.fromCodePoint(code)
      }
      if (/^[0-7]{3}$/.test(escape)) return String.fromCodePoint(Number.parseInt(escape, 8))
      const value = Object.hasOwn(escapes, first) ? escapes[first] : undefined
      if (value === undefined || (first === "'" && quote === '"') || (first === '"' && quote === "'")) {
        throw new Error('invalid syntax')
      }
      return value
    },
  )
  if (quote === "'" && text.length !== String.fromCodePoint(text.codePointAt(0) ?? 0).length)
    throw new Error('invalid syntax')
  return text
}

/** Go's `%q` of a string. */
export function quoteGo(text: string): string {
  if (/^[ !#-[\]-~]*$/.test(text)) return `"${text}"`
  let result = '"'
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    if (character === '"' || character === '\\') result += `\\${character}`
    else if (code >= 32 && code !== 127 && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]/u.test(character)) {
      result += character
    } else {
      const known = Object.entries(escapes).find(
        ([name, value]) => value === character && /[abfnrtv]/.test(name),
      )
      if (known !== undefined) result += `\\${known[0]}`
      else if (code < 128) result += `\\x${code.toString(16).padStart(2, '0')}`
      else if (code < 0x1_00_00) result += `\\u${code.toString(16).padStart(4, '0')}`
      else result += `\\U${code.toString(16).padStart(8, '0')}`
    }
  }
  return `${result}"`
}
