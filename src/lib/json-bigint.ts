/** Whole numbers beyond 2^53 in JSON. */

// TypeScript's library does not know JSON.rawJSON yet.
const rawJson: unknown = Reflect.get(JSON, 'rawJSON')

/** For `JSON.stringify`: a bigint is written with all its digits. */
export function encodeBigint(_key: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value
  return typeof rawJson === 'function' ? Reflect.apply(rawJson, JSON, [value.toString()]) : Number(value)
}
