/**
 * Schemas with the meaning of Go's JSON decoder, which every Docker client relies on: an absent field and a null
 * are the zero value, unknown fields are ignored, a field's name matches whatever its case.
 *
 * Each has a shortcut beside it, which `decodeGo` tries first: most of a request's hundred fields hold nothing or just
 * what they should, and finding that out through the schema takes ten times as long. What a shortcut is not sure of is
 * left to the schema, whose errors are the ones that are told.
 */
import { z } from 'zod'

const missed = Symbol('missed')
/** Decodes a value, or answers `missed` for what only the schema can judge. */
type Shortcut = (value: unknown) => unknown

const shortcuts = new WeakMap<z.ZodType, Shortcut>()

function withShortcut<Schema extends z.ZodType>(schema: Schema, shortcut: Shortcut): Schema {
  shortcuts.set(schema, shortcut)
  return schema
}

/** Decodes by a schema: as its `safeParse`, sooner. */
export function decodeGo<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
): z.ZodSafeParseResult<z.infer<Schema>> {
  const shortcut = shortcuts.get(schema)
  const data = shortcut === undefined ? missed : shortcut(value)
  if (data === missed) return schema.safeParse(value)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a shortcut is made beside its schema, and tested against it
  return { success: true, data: data as z.infer<Schema> }
}

function shortcutOf(schema: z.ZodType): Shortcut {
  const known = shortcuts.get(schema)
  if (known !== undefined) return known
  if (schema instanceof z.ZodString && (schema.def.checks ?? []).length === 0) return plainString
  return (value) => {
    const result = schema.safeParse(value)
    return result.success ? result.data : missed
  }
}

function plainString(value: unknown): unknown {
  return typeof value === 'string' ? value : missed
}

/** A Go `string`: absent and null are ''. */
export const goString = () =>
  withShortcut(
    z
      .string()
      .nullish()
      .transform((value) => value ?? ''),
    (value) => plainString(value ?? ''),
  )

/** A Go `bool`: absent and null are false. */
export const goBool = () =>
  withShortcut(
    z
      .boolean()
      .nullish()
      .transform((value) => value ?? false),
    (value = false) => (typeof value === 'boolean' ? value : value === null ? false : missed),
  )

/** A Go `int64`: absent and null are 0; a fraction is refused. */
export const goInt = () =>
  withShortcut(
    z
      .number()
      .int()
      .nullish()
      .transform((value) => value ?? 0),
    (value = 0) => (Number.isSafeInteger(value) ? value : value === null ? 0 : missed),
  )

/** A Go slice: absent and null are null, which is what `inspect` shows for a list never given. */
export const goList = <T extends z.ZodType>(item: T) => {
  const one = shortcutOf(item)
  return withShortcut(
    z
      .array(item)
      .nullish()
      .transform((value) => value ?? null),
    (value = null) => (Array.isArray(value) ? listOf(value, one) : value === null ? null : missed),
  )
}

function listOf(values: unknown[], one: Shortcut): unknown {
  const list = values.map(one)
  return list.includes(missed) ? missed : list
}

/** A Go map: absent and null are null. */
export const goMap = <T extends z.ZodType>(item: T) => {
  const one = shortcutOf(item)
  return withShortcut(
    z
      .record(z.string(), item)
      .nullish()
      .transform((value) => value ?? null),
    (value = null) => (value === null ? null : isObject(value) ? mapOf(value, one) : missed),
  )
}

function mapOf(values: object, one: Shortcut): unknown {
  const map: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(values)) {
    // Not a name like others to whoever writes it.
    const decoded = key === '__proto__' ? missed : one(value)
    if (decoded === missed) return missed
    map[key] = decoded
  }
  return map
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A Go pointer: absent and null are null. */
export const goPointer = <T extends z.ZodType>(item: T) => {
  const one = shortcutOf(item)
  return withShortcut(
    item.nullish().transform((value) => value ?? null),
    (value = null) => (value === null ? null : one(value)),
  )
}

/** Docker's strslice: a list of strings, or one string that stands for a list of one. */
export const goStringSlice = () =>
  withShortcut(
    z
      .union([z.array(z.string()), z.string()])
      .nullish()
      .transform((value) => (typeof value === 'string' ? [value] : (value ?? null))),
    (value = null) => {
      if (typeof value === 'string') return [value]
      return Array.isArray(value) ? listOf(value, plainString) : value === null ? null : missed
    },
  )

/**
 * A Go struct: keys are matched without regard to case when no exact one is there, as `encoding/json` does;
 * null is the struct of zero values.
 */
export const goStruct = <Shape extends z.core.$ZodLooseShape>(shape: Shape) => {
  const byLowerCase = new Map(Object.keys(shape).map((key) => [key.toLowerCase(), key]))
  const object = z.object(shape)
  const fields = Object.entries(object.shape).map(([key, schema]) => [key, fieldShortcut(schema)] as const)
  const schema = z.preprocess((input) => {
    if (input === null || input === undefined) return {}
    if (typeof input !== 'object' || Array.isArray(input)) return input
    let renamed: Record<string, unknown> | undefined
    for (const [key, value] of Object.entries(input)) {
      const field = key in shape ? undefined : byLowerCase.get(key.toLowerCase())
      if (field === undefined || field in input) continue
      renamed ??= { ...input }
      renamed[field] = value
    }
    return renamed ?? input
  }, object)
  return withShortcut(schema, (value) => {
    const input = value ?? {}
    if (!isObject(input)) return missed
    for (const key of Object.keys(input)) {
      if (!Object.hasOwn(shape, key) && byLowerCase.has(key.toLowerCase())) return missed
    }
    const struct: Record<string, unknown> = {}
    for (const [key, decode] of fields) {
      const decoded = decode(Object.hasOwn(input, key) ? Reflect.get(input, key) : undefined)
      if (decoded === missed) return missed
      // What a schema leaves undefined, it leaves out.
      if (decoded !== undefined) struct[key] = decoded
    }
    return struct
  })
}

function fieldShortcut(schema: unknown): Shortcut {
  return schema instanceof z.ZodType ? shortcutOf(schema) : () => missed
}
