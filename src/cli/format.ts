/**
 * Lists in the forms of `--format`: `table` (with a template or a default one), `json` (one object a line), `raw`
 * where a command has it, or a template for each row. A row is a struct of named fields; each field has the title
 * of its column.
 */
import { GoStruct, formatValue, goJson } from '../lib/go-value.ts'
import { headerFunctions } from '../lib/go-template-functions.ts'
import { parseTemplate } from '../lib/go-template.ts'
import { alignColumns } from '../lib/table.ts'
import { errorMessage } from '../spec/errors.ts'
import { CliError } from './errors.ts'

/** A field of a row: its column's title and its value. A value that is a function is a method with arguments. */
export type Field<Row> = { header: string; value: (row: Row) => unknown }

/** A kind of list. */
export type ListFormat<Row> = {
  /** What template errors call a row: `*formatter.ContainerContext`. */
  type: string
  fields: Readonly<Record<string, Field<Row>>>
  /** The template of `table`, without that word; columns separated by tabs. */
  table: string
  /** The template of `raw`. */
  raw?: string
}

/** A row as templates see it. */
export function rowStruct<Row>(list: ListFormat<Row>, row: Row): GoStruct {
  const fields: Record<string, unknown> = {}
  for (const name of Object.keys(list.fields)) {
    // Read when a template asks: some fields cost a computation.
    Object.defineProperty(fields, name, { enumerable: true, get: () => list.fields[name]?.value(row) })
  }
  return new GoStruct(list.type, fields, () => rowJson(list, row))
}

/** A row as JSON: fields sorted by name, methods left out. */
function rowJson<Row>(list: ListFormat<Row>, row: Row): string {
  const shown: Record<string, unknown> = {}
  for (const name of Object.keys(list.fields).sort()) {
    const value = list.fields[name]?.value(row)
    if (typeof value !== 'function') shown[name] = value
  }
  // Docker's rows go through an encoder that escapes what HTML would mind.
  return goJson(shown).replaceAll(/[<>&]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`)
}

/** Splits a format into its template and whether it is a table. */
function interpret<Row>(list: ListFormat<Row>, format: string): { template: string; table: boolean } {
  if (format === 'table' || format === '') return { template: list.table, table: true }
  if (format === 'raw' && list.raw !== undefined) return { template: list.raw, table: false }
  if (format === 'json') return { template: '{{json .}}', table: false }
  const table = format.startsWith('table')
  const template = (table ? format.slice(5) : format).trim()
  return { template: template.replaceAll('\\t', '\t').replaceAll('\\n', '\n'), table }
}

/** What went wrong in a template, as Docker prints it. */
export function templateError(error: unknown): CliError {
  return new CliError(`template parsing error: ${errorMessage(error)}`, { cause: error })
}

/** A label's column is headed by the last part of its name. */
function labelTitle(name: unknown): string {
  return (typeof name === 'string' ? (name.split('.').at(-1) ?? '') : '').replaceAll(/[-_]/g, ' ')
}

function headerTitles<Row>(list: ListFormat<Row>, template: string): unknown {
  const titles: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(list.fields)) titles[name] = field.header
  if (!/\.Label\b/.test(template)) return titles
  return new GoStruct('formatter.SubHeaderContext', { ...titles, Label: labelTitle })
}

/** A field, or one with a text for where it is empty: `{{if .Name}}{{.Name}}{{else}}text{{end}}`. */
const plainPart =
  /\{\{ *if *\.(?<tested>\w+) *\}\}\{\{ *\.\k<tested> *\}\}\{\{ *else *\}\}(?<otherwise>[^{}]*)\{\{ *end *\}\}|\{\{ *\.(?<name>\w+) *\}\}/g

/**
 * How to print a row where the template holds nothing but fields and text, as most do: without the interpreter, which
 * for a thousand rows takes longer than all else. Undefined for other templates, wrong ones included.
 */
function plainPrinter<Row>(
  list: ListFormat<Row>,
  template: string,
): ((row: Row) => string | undefined) | undefined {
  const parts: { before: string; name: string; otherwise: string | undefined }[] = []
  let end = 0
  for (const match of template.matchAll(plainPart)) {
    const { tested, name = tested ?? '', otherwise } = match.groups ?? {}
    parts.push({ before: template.slice(end, match.index), name, otherwise })
    end = match.index + match[0].length
  }
  const last = template.slice(end)
  const isOther = ({ before, name }: { before: string; name: string }) =>
    /\{\{|\}\}/.test(before) || !Object.hasOwn(list.fields, name)
  if (parts.some(isOther) || /\{\{|\}\}/.test(last)) return undefined
  return (row) => {
    let text = ''
    for (const { before, name, otherwise } of parts) {
      const value = list.fields[name]?.value(row)
      // What is nothing, or wants arguments, is told of in the interpreter's words.
      if (value === null || value === undefined || typeof value === 'function') return undefined
      if (otherwise !== undefined && typeof value !== 'string') return undefined
      text += before
      text += value === '' && otherwise !== undefined ? otherwise : formatValue(value)
    }
    return text + last
  }
}

/** Prints rows. Throws a CliError for a bad template; rows before the failing one are lost, as with Docker. */
export function formatList<Row>(list: ListFormat<Row>, format: string, rows: Iterable<Row>): string {
  const { template: source, table } = interpret(list, format)
  let text = ''
  try {
    const template = parseTemplate(source)
    const plain = plainPrinter(list, source)
    for (const row of rows) text += `${plain?.(row) ?? template.execute(rowStruct(list, row))}\n`
    if (!table) return text
    const header = template.execute(headerTitles(list, source), { functions: headerFunctions })
    return alignColumns(`${header}\n${text}`)
  } catch (error) {
    throw templateError(error)
  }
}
