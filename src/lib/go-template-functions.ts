/** The functions of Go's text/template, and those that Docker adds. Error texts are Go's. */
import { goSprint, goSprintf, goSprintln } from './go-format.ts'
import { GoNil, GoStruct, floatOf, formatValue, goJson, goType, intOf, isGoMap, isTrue } from './go-value.ts'

/** A function of a template. `max` is absent when it takes any number of arguments. */
export type TemplateFunction = { min: number; max?: number; call: (args: unknown[]) => unknown }

/** Functions by name. */
export type TemplateFunctions = Readonly<Record<string, TemplateFunction>>

type BasicKind = 'bool' | 'int' | 'float' | 'string'

function basicKind(value: unknown): BasicKind | undefined {
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'string') return 'string'
  if (floatOf(value) !== undefined) return 'float'
  return intOf(value) === undefined ? undefined : 'int'
}

function plain(value: unknown): unknown {
  return floatOf(value) ?? value
}

function equals(a: unknown, b: unknown): boolean {
  const [kindA, kindB] = [basicKind(a), basicKind(b)]
  if (kindA === undefined || kindB === undefined) {
    const nilA = a === null || a === undefined || a instanceof GoNil
    const nilB = b === null || b === undefined || b instanceof GoNil
    if (nilA || nilB) return nilA && nilB
    throw new Error(
      `non-comparable type ${formatValue(kindA === undefined ? a : b)}: ${goType(kindA === undefined ? a : b)}`,
    )
  }
  if (kindA !== kindB) throw new Error('incompatible types for comparison')
  return plain(a) === plain(b) || (kindA === 'int' && Number(a) === Number(b))
}

function less(a: unknown, b: unknown): boolean {
  const [kindA, kindB] = [basicKind(a), basicKind(b)]
  if (kindA === undefined || kindB === undefined) throw new Error('invalid type for comparison')
  if (kindA !== kindB) throw new Error('incompatible types for comparison')
  if (kindA === 'bool') throw new Error('invalid type for comparison')
  if (typeof a === 'string' && typeof b === 'string')
    return Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0
  return Number(plain(a)) < Number(plain(b))
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : formatValue(value)
}

/** The string that a function which takes one wants. */
function stringArgument(value: unknown, type = 'string'): string {
  if (typeof value === 'string') return value
  throw new WrongType(`wrong type for value; expected ${type}; got ${goType(value)}`)
}

function intArgument(value: unknown): number {
  const integer = intOf(value)
  if (integer === undefined) throw new WrongType(`expected integer; found ${formatValue(value)}`)
  return Number(integer)
}

/** An argument of a type that its function does not take: an error of the call, not of the function. */
export class WrongType extends Error {}

function indexOne(item: unknown, key: unknown): unknown {
  if (item === null || item === undefined) throw new Error('index of nil pointer')
  if (item instanceof GoNil && item.kind === 'map') return undefined
  if (item instanceof GoNil && item.kind === 'pointer') throw new Error('index of nil pointer')
  if (Array.isArray(item) || typeof item === 'string' || item instanceof GoNil) {
    const position = intOf(key)
    if (position === undefined) {
      if (key === null || key === undefined) throw new Error('cannot index slice/array with nil')
      throw new Error(`cannot index slice/array with type ${goType(key)}`)
    }
    const bytes = typeof item === 'string' ? Buffer.from(item) : item
    const list: readonly unknown[] = bytes instanceof GoNil ? [] : Array.from(bytes)
    if (position < 0 || position >= list.length) throw new Error(`index out of range: ${position}`)
    return list[Number(position)]
  }
  if (isGoMap(item)) {
    if (typeof key !== 'string') throw new Error(`value has type ${goType(key)}; should be string`)
    if (Object.hasOwn(item, key)) return item[key]
    // The zero value of what the map holds; labels, options and the like hold strings.
    return Object.values(item).every((value) => typeof value === 'string') ? '' : undefined
  }
  throw new Error(`can't index item of type ${goType(item)}`)
}

function slice(item: unknown, bounds: readonly unknown[]): unknown {
  if (bounds.length > 3) throw new Error(`too many slice indexes: ${bounds.length}`)
  if (typeof item !== 'string' && !Array.isArray(item))
    throw new Error(`can't slice item of type ${goType(item)}`)
  if (typeof item === 'string' && bounds.length === 3) throw new Error('cannot 3-index slice a string')
  const size = typeof item === 'string' ? Buffer.byteLength(item) : item.length
  const [from = 0, to = size] = bounds.map((bound) => {
    const position = intOf(bound)
    if (position === undefined) throw new Error(`cannot index slice/array with type ${goType(bound)}`)
    if (position < 0 || position > size) throw new Error(`index out of range: ${position}`)
    return Number(position)
  })
  if (from > to) throw new Error(`invalid slice index: ${from} > ${to}`)
  return typeof item === 'string' ? Buffer.from(item).subarray(from, to).toString() : item.slice(from, to)
}

function length(value: unknown): number {
  if (value instanceof GoNil && value.kind !== 'pointer') return 0
  if (typeof value === 'string') return Buffer.byteLength(value)
  if (Array.isArray(value)) return value.length
  if (isGoMap(value)) return Object.keys(value).length
  if (value === null || value === undefined) throw new Error('len of nil pointer')
  // Go looks through pointers first.
  throw new Error(`len of type ${goType(value).replace(/^\*/, '')}`)
}

const htmlEscapes: Record<string, string> = {
  '\u0000': '\ufffd',
  '"': '&#34;',
  "'": '&#39;',
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
}

function escapeJs(value: string): string {
  return value.replaceAll(/[\\'"<>&=\p{Cc}\u2028\u2029]/gu, (character) => {
    if (/[\\'"]/.test(character)) return `\\${character}`
    return `\\u${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
  })
}

function escapeQuery(value: string): string {
  return encodeURIComponent(value)
    .replaceAll('%20', '+')
    .replaceAll(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}

const fixed = (count: number, call: (...args: unknown[]) => unknown): TemplateFunction => ({
  min: count,
  max: count,
  call: (args) => call(...args),
})
const joined = (call: (value: string) => string): TemplateFunction => ({
  min: 0,
  call: (args) => call(args.length === 1 ? text(args[0]) : goSprint(args)),
})

/** What text/template knows by itself; `and` and `or` are the interpreter's, because they stop early. */
export const goFunctions: TemplateFunctions = {
  eq: {
    min: 1,
    call: ([first, ...others]) => {
      if (others.length === 0) throw new Error('missing argument for comparison')
      return others.some((other) => equals(first, other))
    },
  },
  ne: fixed(2, (a, b) => !equals(a, b)),
  lt: fixed(2, less),
  le: fixed(2, (a, b) => less(a, b) || equals(a, b)),
  gt: fixed(2, (a, b) => !less(a, b) && !equals(a, b)),
  ge: fixed(2, (a, b) => !less(a, b)),
  not: fixed(1, (value) => !isTrue(value)),
  len: fixed(1, length),
  index: {
    min: 1,
    call: ([item, ...keys]) => {
      if (item === null || item === undefined) throw new Error('index of untyped nil')
      return keys.reduce(indexOne, item)
    },
  },
  slice: { min: 1, call: ([item, ...bounds]) => slice(item, bounds) },
  print: { min: 0, call: goSprint },
  printf: { min: 1, call: ([format, ...args]) => goSprintf(stringArgument(format), args) },
  println: { min: 0, call: goSprintln },
  html: joined((value) =>
    value.replaceAll(/[\p{Cc}"'&<>]/gu, (character) => htmlEscapes[character] ?? character),
  ),
  js: joined(escapeJs),
  urlquery: joined(escapeQuery),
  call: {
    min: 1,
    call: ([target, ...args]) => {
      if (typeof target === 'function') return Reflect.apply(target, undefined, args)
      if (target === null || target === undefined) throw new Error('call of nil')
      throw new Error(`non-function ${formatValue(target)} of type ${goType(target)}`)
    },
  },
}

function listArgument(value: unknown): string[] {
  if (value instanceof GoNil && value.kind === 'slice') return []
  if (!Array.isArray(value))
    throw new WrongType(`wrong type for value; expected []string; got ${goType(value)}`)
  return value.map(text)
}

/** Go's JSON of a template's value: a row's fields in the order of their names, methods with arguments left out. */
function jsonOf(value: unknown): string {
  return goJson(value)
}

/** What Docker's CLI adds. */
export const dockerFunctions: TemplateFunctions = {
  json: fixed(1, jsonOf),
  split: fixed(2, (value, separator) => stringArgument(value).split(stringArgument(separator))),
  join: fixed(2, (list, separator) => listArgument(list).join(stringArgument(separator))),
  title: fixed(1, (value) =>
    stringArgument(value).replaceAll(/(?<![\p{L}\p{N}_'])\p{L}/gu, (letter) => letter.toUpperCase()),
  ),
  lower: fixed(1, (value) => stringArgument(value).toLowerCase()),
  upper: fixed(1, (value) => stringArgument(value).toUpperCase()),
  pad: fixed(3, (value, before, after) => {
    const source = stringArgument(value)
    return source === '' ? '' : ' '.repeat(intArgument(before)) + source + ' '.repeat(intArgument(after))
  }),
  truncate: fixed(2, (value, size) => {
    const source = stringArgument(value)
    const bytes = Buffer.from(source)
    return bytes.length < intArgument(size) ? source : bytes.subarray(0, intArgument(size)).toString()
  }),
}

/** In a table's header row Docker's functions pass the column's title through. */
export const headerFunctions: TemplateFunctions = Object.fromEntries(
  Object.entries(dockerFunctions).map(([name, spec]) => [
    name,
    { ...spec, call: (args: unknown[]) => (args[0] instanceof GoStruct ? '' : args[0]) },
  ]),
)
