import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GoNil } from '../lib/go-value.ts'
import { formatList, type ListFormat } from './format.ts'

type Row = { name: string; size: number }
const list: ListFormat<Row> = {
  type: '*test.Row',
  table: '{{.Name}}\t{{.Size}}\t{{.Nothing}}',
  fields: {
    Name: { header: 'NAME', value: ({ name }) => name },
    Size: { header: 'SIZE', value: ({ size }) => size },
    Nothing: { header: 'NOTHING', value: () => new GoNil('pointer') },
    Undefined: { header: 'UNDEFINED', value: () => undefined },
    Label: { header: 'LABEL', value: () => (name: string) => `label ${name}` },
  },
}
const rows = [
  { name: 'one', size: 1.5 },
  { name: '\u{1f40b} two', size: 20 },
  { name: '', size: 0 },
]

// Each template beside one that says the same and is not plain, so that the interpreter prints it.
const same: [plain: string, interpreted: string][] = [
  ['table', 'table {{with .}}{{.Name}}\t{{.Size}}\t{{.Nothing}}{{end}}'],
  ['{{.Name}}', '{{print .Name}}'],
  ['{{ .Name }}: {{.Size}}!', '{{print .Name}}: {{.Size}}!'],
  ['<{{.Undefined}}>', '<{{with .}}{{.Undefined}}{{end}}>'],
  ['no field', '{{with .}}no field{{end}}'],
  ['{{if .Name }}{{.Name}}{{else}}N/A{{end}} {{.Size}}', '{{with .Name}}{{.}}{{else}}N/A{{end}} {{.Size}}'],
  ['{{if .Size}}{{.Size}}{{else}}N/A{{end}}', '{{with .Size}}{{.}}{{else}}N/A{{end}}'],
]
for (const [plain, interpreted] of same) {
  test(`${plain} prints what the interpreter prints`, () => {
    const wanted = formatList(list, interpreted, rows)
    const body = (text: string) => text.split('\n').slice(plain.startsWith('table') ? 1 : 0)
    assert.deepEqual(body(formatList(list, plain, rows)), body(wanted))
  })
}

test('what is wrong with a template is told in the same words, plain or not', () => {
  for (const template of ['{{.Label}}', '{{.NoField}}', '{{.Name', '}}{{.Name}}{{', '{{.toString}}']) {
    const told = (text: string) => {
      try {
        return formatList(list, text, rows)
      } catch (error) {
        return String(error)
      }
    }
    const interpreted = told(`{{if true}}{{end}}${template}`)
    assert.equal(told(template).replace(/:1:\d+:/, ''), interpreted.replace(/:1:\d+:/, ''), template)
  }
})
