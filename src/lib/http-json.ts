/**
 * JSON as Go's `encoding/json` reads and writes it, which is what every client of the Engine API expects: the
 * same escapes on the way out, the same words when a body cannot be understood.
 */
import type { z } from 'zod'
import { EngineError } from '../spec/errors.ts'
import { decodeGo } from '../spec/go-json.ts'
import { describeSyntaxError } from './http-json-syntax.ts'
import { encodeBigint } from './json-bigint.ts'

/** A value as one line of JSON. 64-bit counters may be bigint. Line separators are escaped, as Go does. */
export function encodeJson(value: unknown): string {
  const text = stringify(value) ?? 'null'
  return /[\u2028\u2029]/.test(text)
    ? text.replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')
    : text
}

/** What is made by way of a function for every value takes several times as long: only for the few with a bigint. */
function stringify(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    return JSON.stringify(value, encodeBigint)
  }
}

/** The same with `<`, `>` and `&` escaped: what Go writes where nobody turned that off (streams, events). */
export function encodeJsonForHtml(value: unknown): string {
  return encodeJson(value).replace(/[<>&]/g, (character) => htmlEscapes[character] ?? character)
}

const htmlEscapes: Record<string, string> = { '<': '\\u003c', '>': '\\u003e', '&': '\\u0026' }

/** Parses a request body. Throws `invalid` with Go's words. */
export function parseJson(text: string): unknown {
  if (text.trim() === '') throw new EngineError('invalid', 'invalid JSON: got EOF while reading request body')
  try {
    return JSON.parse(text)
  } catch (cause) {
    const problem = describeSyntaxError(text)
    throw new EngineError(
      'invalid',
      problem.trailing ? 'unexpected content after JSON' : `invalid JSON: ${problem.message}`,
      {
        cause,
      },
    )
  }
}

/** Decodes a parsed body by its schema. `structName` is Go's name for it in the message. Throws `invalid`. */
export function decodeJson<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  structName: string,
): z.infer<Schema> {
  const result = decodeGo(schema, value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw new EngineError('invalid', `invalid JSON: ${describeIssue(issue, value, structName)}`)
}

function describeIssue(issue: z.core.$ZodIssue | undefined, root: unknown, structName: string): string {
  if (issue === undefined) return `json: cannot unmarshal into Go value of type ${structName}`
  const found = goKind(valueAt(root, issue.path), issue)
  const path = issue.path.filter((step) => typeof step === 'string').join('.')
  if (path === '') return `json: cannot unmarshal ${found} into Go value of type ${structName}`
  return `json: cannot unmarshal ${found} into Go struct field ${structName}.${path} of type ${goType(issue)}`
}

function valueAt(root: unknown, path: PropertyKey[]): unknown {
  let value: unknown = root
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return undefined
    const exact: unknown = Reflect.get(value, step)
    if (exact !== undefined || typeof step !== 'string') {
      value = exact
      continue
    }
    const wanted = step.toLowerCase()
    const key = Object.keys(value).find((name) => name.toLowerCase() === wanted)
    value = key === undefined ? undefined : Reflect.get(value, key)
  }
  return value
}

/** How Go's decoder calls the JSON value it found. */
function goKind(value: unknown, issue: z.core.$ZodIssue): string {
  if (value === null || value === undefined) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value !== 'number') return typeof value
  return issue.code === 'invalid_type' && !Number.isInteger(value) ? `number ${value}` : 'number'
}

function goType(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_union') return 'strslice.StrSlice'
  if (issue.code !== 'invalid_type') return 'int64'
  const types: Record<string, string> = {
    string: 'string',
    boolean: 'bool',
    number: 'int64',
    int: 'int64',
    array: '[]string',
    record: 'map[string]string',
    object: 'struct',
  }
  return types[issue.expected] ?? issue.expected
}
