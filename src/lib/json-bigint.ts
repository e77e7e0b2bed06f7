/** Whole numbers beyond 2^53 in JSON. */

// TypeScript's library does not know JSON.rawJSON yet.
const rawJson: unknown = Reflect.get(JSON, 'rawJSON')

/** For `JSON.stringify`: a bigint is written with all its digits. */
export function encodeBigint(_key: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value
  return typeof rawJson === 'function' ? Reflect.apply(rawJson, JSON, [value.toString()]) : Number(value)
}

/** As `JSON.parse`, with whole numbers beyond 2^53 as bigint. */
export function parseExactJson(text: string): unknown {
  // TypeScript's library does not know of the third argument yet.
  const value: unknown = Reflect.apply(JSON.parse, JSON, [text, exactInteger])
  return value
}

function exactInteger(_key: string, value: unknown, { source }: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  return source !== undefined && /^[0-9]+$/.test(source) ? BigInt(source) : value
}
