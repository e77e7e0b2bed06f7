/**
 * Schemas with the meaning of Go's JSON decoder, which every Docker client relies on: an absent field and a null
 * are the zero value, unknown fields are ignored, a field's name matches whatever its case.
 */
import { z } from 'zod'

/** A Go `string`: absent and null are ''. */
export const goString = () =>
  z
    .string()
    .nullish()
    .transform((value) => value ?? '')

/** A Go `bool`: absent and null are false. */
export const goBool = () =>
  z
    .boolean()
    .nullish()
    .transform((value) => value ?? false)

/** A Go `int64`: absent and null are 0; a fraction is refused. */
export const goInt = () =>
  z
    .number()
    .int()
    .nullish()
    .transform((value) => value ?? 0)

/** A Go slice: absent and null are null, which is what `inspect` shows for a list never given. */
export const goList = <T extends z.ZodType>(item: T) =>
  z
    .array(item)
    .nullish()
    .transform((value) => value ?? null)

/** A Go map: absent and null are null. */
export const goMap = <T extends z.ZodType>(item: T) =>
  z
    .record(z.string(), item)
    .nullish()
    .transform((value) => value ?? null)

/** A Go pointer: absent and null are null. */
export const goPointer = <T extends z.ZodType>(item: T) => item.nullish().transform((value) => value ?? null)

/** Docker's strslice: a list of strings, or one string that stands for a list of one. */
export const goStringSlice = () =>
  z
    .union([z.array(z.string()), z.string()])
    .nullish()
    .transform((value) => (typeof value === 'string' ? [value] : (value ?? null)))

/**
 * A Go struct: keys are matched without regard to case when no exact one is there, as `encoding/json` does;
 * null is the struct of zero values.
 */
export const goStruct = <Shape extends z.core.$ZodLooseShape>(shape: Shape) => {
  const byLowerCase = new Map(Object.keys(shape).map((key) => [key.toLowerCase(), key]))
  return z.preprocess((input) => {
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
  }, z.object(shape))
}
