/**
 * Go values as templates meet them. JSON values stand for themselves: an object is a `map[string]interface {}`, a
 * whole number an int. What JSON cannot say has a class: a struct (whose missing fields are errors), a typed nil,
 * a float that happens to be whole, an array of bytes.
 */
import { encodeBigint } from './json-bigint.ts'
import { goGeneral } from './units.ts'
import { quoteGo } from './go-quote.ts'

/** A struct or a value with methods: `type` is what errors call it. A field may be a function: a method. */
export class GoStruct {
  readonly type: string
  readonly fields: Readonly<Record<string, unknown>>
  /** The JSON text of a type that encodes itself. */
  readonly encode: (() => string) | undefined
  constructor(type: string, fields: Readonly<Record<string, unknown>>, encode?: () => string) {
    this.type = type
    this.fields = fields
    this.encode = encode
  }
  /** JSON shows the fields that are not methods with arguments. */
  toJSON(): unknown {
    return this.fields
  }
}

/** A nil of a known kind; prints as `<nil>`, `[]` or `map[]`, JSON is null. */
export class GoNil {
  readonly kind: 'pointer' | 'slice' | 'map'
  readonly type: string
  constructor(kind: 'pointer' | 'slice' | 'map', type = '') {
    this.kind = kind
    this.type = type
  }
  toJSON(): null {
    return null
  }
}

/** A float64, where a number alone would be taken for an int. */
export class GoFloat {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
  toJSON(): number {
    return this.value
  }
}

/** Whether a value is a map in Go's eyes. */
export function isGoMap(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return !(value instanceof GoStruct || value instanceof GoNil || value instanceof GoFloat)
}

/** A number's value if it is a float in Go's eyes. */
export function floatOf(value: unknown): number | undefined {
  if (value instanceof GoFloat) return value.value
  return typeof value === 'number' && !Number.isInteger(value) ? value : undefined
}

/** A whole number's value. */
export function intOf(value: unknown): number | bigint | undefined {
  if (typeof value === 'bigint') return value
  return typeof value === 'number' && Number.isInteger(value) ? value : undefined
}

/** Go's name of a value's type. */
export function goType(value: unknown): string {
  if (value === null || value === undefined) return '<nil>'
  if (value instanceof GoStruct || value instanceof GoNil) return value.type
  if (floatOf(value) !== undefined) return 'float64'
  if (typeof value === 'number' || typeof value === 'bigint') return 'int'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'string') return 'string'
  if (typeof value === 'function') return 'func()'
  if (Array.isArray(value)) return '[]interface {}'
  return 'map[string]interface {}'
}

/** Truth as `if` sees it: not the zero value of its type. */
export function isTrue(value: unknown): boolean {
  if (value === null || value === undefined || value instanceof GoNil) return false
  if (value instanceof GoFloat) return value.value !== 0
  if (Array.isArray(value)) return value.length > 0
  if (value instanceof GoStruct) return true
  if (typeof value === 'object') return Object.keys(value).length > 0
  return Boolean(value)
}

/** Keys in the order in which Go's templates and fmt walk a map. */
export function sortedKeys(map: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(map).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
}

/** `%v` of a float64. */
function formatFloat(value: number): string {
  if (!Number.isFinite(value)) return goGeneral(value, 6)
  const exponent = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)))
  if (exponent >= -4 && exponent < 21) {
    const plain = String(value)
    return plain.includes('e') ? value.toFixed(20).replace(/0+$/, '') : plain
  }
  return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2')
}

/** How a value is shown: `%v`, `%+v` or `%#v`. */
export type ValueVerb = 'v' | '+v' | '#v'

function formatComposite(value: object, verb: ValueVerb): string {
  const item = (part: unknown) => formatValue(part, verb)
  if (Array.isArray(value)) {
    if (verb === '#v') return `[]interface {}{${value.map(item).join(', ')}}`
    return `[${value.map(item).join(' ')}]`
  }
  if (value instanceof GoStruct) {
    const fields = Object.entries(value.fields).filter(([, field]) => typeof field !== 'function')
    if (verb === '#v')
      return `${value.type}{${fields.map(([key, field]) => `${key}:${item(field)}`).join(', ')}}`
    const named = verb === '+v'
    return `{${fields.map(([key, field]) => (named ? `${key}:${item(field)}` : item(field))).join(' ')}}`
  }
  const entries = Object.entries(value)
  entries.sort(([a], [b]) => (a < b ? -1 : 1))
  if (verb === '#v') {
    return `map[string]interface {}{${entries.map(([key, field]) => `${quoteGo(key)}:${item(field)}`).join(', ')}}`
  }
  return `map[${entries.map(([key, field]) => `${key}:${item(field)}`).join(' ')}]`
}

/** `%v` of any value. */
export function formatValue(value: unknown, verb: ValueVerb = 'v'): string {
  if (value === null || value === undefined) return '<nil>'
  if (value instanceof GoNil)
    return value.kind === 'pointer' ? '<nil>' : value.kind === 'map' ? 'map[]' : '[]'
  const float = floatOf(value)
  if (float !== undefined) return formatFloat(float)
  if (typeof value === 'string') return verb === '#v' ? quoteGo(value) : value
  if (typeof value === 'function') return '0x0'
  if (typeof value === 'object') return formatComposite(value, verb)
  return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
    ? String(value)
    : ''
}

const escaped: Record<string, string> = { '\u2028': '\\u2028', '\u2029': '\\u2029' }

/** JSON as Go's encoder writes it without HTML escaping. Fields keep their order; the caller sorts what Go would. */
export function goJson(value: unknown): string {
  if (value instanceof GoStruct && value.encode !== undefined) return value.encode()
  if (Array.isArray(value) && value.some((item) => item instanceof GoStruct && item.encode !== undefined)) {
    return `[${value.map((item: unknown) => goJson(item)).join(',')}]`
  }
  const text = JSON.stringify(value, encodeBigint)
  return (text ?? 'null').replaceAll(/[\u2028\u2029]/g, (character) => escaped[character] ?? character)
}
