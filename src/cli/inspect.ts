/**
 * What all `inspect` commands share: objects as indented JSON, as compact JSON, or through a template. A template
 * first sees the object as Docker's typed struct (fields that JSON leaves out are there, nil lists print as `[]`);
 * when that fails it sees the bare JSON, where a missing key is an error: the error that is shown.
 */
import { TemplateError, parseTemplate } from '../lib/go-template.ts'
import type { Template } from '../lib/go-template.ts'
import { GoNil, GoStruct } from '../lib/go-value.ts'
import { indentJson } from '../lib/json-indent.ts'
import { errorMessage } from '../spec/errors.ts'
import type { Cli } from './cli.ts'
import { CliError, failureOf } from './errors.ts'

/**
 * How JSON maps to the typed struct. Paths are dotted, `*` stands for any key or index. All objects are structs
 * except those under `maps`; all nulls are nil slices except those under `maps` and `pointers`.
 */
export type InspectShape = {
  maps: readonly string[]
  pointers: readonly string[]
  /** Fields that JSON omits when empty, with their zero values. */
  omitted: Readonly<Record<string, unknown>>
  /** Adds what newer API versions dropped and templates still ask for. Only templates see it. */
  complete?: (value: unknown) => void
}

const untyped: InspectShape = { maps: [], pointers: [], omitted: {} }

function typedValue(value: unknown, path: string, shape: InspectShape): unknown {
  if (value === null) {
    if (shape.maps.includes(path)) return new GoNil('map')
    return new GoNil(shape.pointers.includes(path) ? 'pointer' : 'slice', path)
  }
  if (typeof value !== 'object') return value
  const join = (key: string) => (path === '' ? key : `${path}.${key}`)
  if (Array.isArray(value)) return value.map((item: unknown) => typedValue(item, join('*'), shape))
  const isMap = shape.maps.includes(path)
  const fields: Record<string, unknown> = {}
  for (const [key, item] of Object.entries(value))
    fields[key] = typedValue(item, join(isMap ? '*' : key), shape)
  if (isMap) return fields
  const struct = new GoStruct(path, fields)
  // Fields the encoder left out are there for templates, not for json.
  const shown = { ...fields }
  Object.defineProperty(struct, 'toJSON', { value: () => shown })
  const start = path === '' ? '' : `${path}.`
  for (const [name, zero] of Object.entries(shape.omitted)) {
    const key = name.slice(start.length)
    if (!name.startsWith(start) || key.includes('.') || key in fields) continue
    fields[key] = zero === null ? new GoNil('pointer', name) : zero
  }
  return struct
}

function applyTemplate(template: Template, raw: string, shape: InspectShape): string {
  const value: unknown = JSON.parse(raw)
  shape.complete?.(value)
  try {
    return template.execute(typedValue(value, '', shape))
  } catch {
    return template.execute(value, { missingKeyIsError: true })
  }
}

/** Where objects come from: the JSON text of one, by name. */
export type InspectSource = { get: (name: string) => Promise<string>; shape?: ShapeOf }
/** The shape of all, or of each by its name. */
type ShapeOf = InspectShape | ((name: string) => InspectShape | undefined)

function shapeFor({ shape }: InspectSource, name: string): InspectShape {
  return (typeof shape === 'function' ? shape(name) : shape) ?? untyped
}

function compile(format: string): Template {
  try {
    return parseTemplate(format)
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error
    throw new CliError(`template parsing error: ${error.message}`, { code: 64, cause: error })
  }
}

/** Inspects objects and prints what was found; then throws the errors of the others, joined, with exit code 1. */
export async function inspectObjects(
  cli: Cli,
  names: readonly string[],
  format: string,
  source: InspectSource,
): Promise<void> {
  const template = format === '' || format === 'json' ? undefined : compile(format)
  const errors: string[] = []
  const found: string[] = []
  let text = ''
  for (const name of names) {
    try {
      const raw = await source.get(name)
      if (template === undefined) found.push(raw)
      else {
        try {
          text += `${applyTemplate(template, raw, shapeFor(source, name))}\n`
        } catch (error) {
          errors.push(`template parsing error: ${errorMessage(error)}`)
        }
      }
    } catch (error) {
      errors.push(failureOf(error).message)
    }
  }
  if (template !== undefined) cli.stdout.write(text === '' ? '\n' : text)
  else if (format === 'json') cli.print(`[${found.map((raw) => raw.trim()).join(',')}]`)
  else if (found.length === 0) cli.print('[]')
  else cli.print(indentJson(`[${found.join(',')}]`, '', '    '))
  if (errors.length > 0) throw new CliError(errors.join('\n'))
}

/** The help of inspect's `--format`. */
export const inspectFormatHelp = `Shape the output:
'json':      Print as JSON
'TEMPLATE':  Print through this Go template`

/** The help of a list's `--format`. */
export const listFormatHelp = `Shape the output:
'table':           Columns under titles (default)
'table TEMPLATE':  Columns of this Go template
'json':            One JSON object a line
'TEMPLATE':        This Go template for each row`
