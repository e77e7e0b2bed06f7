import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseTemplate } from './go-template.ts'
import { GoFloat, GoNil, GoStruct } from './go-value.ts'
import { alignColumns } from './table.ts'

const data = {
  Name: '/web',
  State: { Pid: 42, Running: true, Error: '' },
  Args: ['a', 'b', 'c'],
  Labels: { z: '1', a: '2' },
  Empty: [],
  Html: '<a href="x">&\'',
}

const results: [string, string][] = [
  ['plain', 'plain'],
  ['{{.Name}}', '/web'],
  ['{{ .State.Pid }}', '42'],
  ['a {{- " b " -}} c', 'a b c'],
  ['{{/* nothing */}}x', 'x'],
  ['{{- /* nothing */ -}} x', 'x'],
  ['{{.Args}} {{.Labels}} {{.State}}', '[a b c] map[a:2 z:1] map[Error: Pid:42 Running:true]'],
  ['{{range .Args}}{{.}},{{end}}', 'a,b,c,'],
  ['{{range $i, $v := .Args}}{{$i}}{{$v}}{{end}}', '0a1b2c'],
  ['{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}', 'a=2;z=1;'],
  ['{{range .Empty}}x{{else}}none{{end}}', 'none'],
  ['{{range .Args}}{{if eq . "b"}}{{continue}}{{end}}{{.}}{{end}}', 'ac'],
  ['{{range .Args}}{{if eq . "b"}}{{break}}{{end}}{{.}}{{end}}', 'a'],
  ['{{range 3}}{{.}}{{end}}', '012'],
  ['{{if .State.Error}}e{{else if .State.Running}}r{{else}}s{{end}}', 'r'],
  ['{{with .State}}{{.Pid}}{{end}}{{with .Empty}}x{{else}}y{{end}}', '42y'],
  ['{{with $x := .Name}}{{$x}}{{$.State.Pid}}{{end}}', '/web42'],
  ['{{$a := 1}}{{if true}}{{$a = 2}}{{end}}{{$a}}', '2'],
  ['{{define "t"}}<{{.}}>{{end}}{{template "t" .Name}}{{template "t"}}', '</web><<no value>>'],
  ['{{block "t" .Args}}{{len .}}{{end}}', '3'],
  ['{{len .Name}} {{index .Args 1}} {{index .Labels "a"}} {{index .Labels "none"}}|', '4 b 2 |'],
  ['{{slice .Name 1 3}} {{slice .Args 1}}', 'we [b c]'],
  [
    '{{eq 1 1}} {{eq 3 1 2 3}} {{ne "a" "b"}} {{lt 1 2}} {{le 2 2}} {{gt "b" "a"}} {{ge 1.5 2.5}}',
    'true true true true true true false',
  ],
  ['{{and true 0 "x"}} {{or 0 "" "x"}} {{not .Empty}}', '0 x true'],
  ['{{or .Name (index .Args 99)}}', '/web'],
  ['{{print 1 2 "x" 3}} {{println "a" 1}}', '1 2x3 a 1\n'],
  [
    '{{printf "%s|%5d|%-4s|%q|%v|%x|%05.1f|%t|%%" .Name 42 "ab" "q\\n" .Args 255 2.25 true}}',
    '/web|   42|ab  |"q\\n"|[a b c]|ff|002.2|true|%',
  ],
  ['{{printf "%d" "x"}} {{printf "%d"}} {{printf "a" 1}}', '%!d(string=x) %!d(MISSING) a%!(EXTRA int=1)'],
  ['{{html .Html}} {{js "a\'b"}} {{urlquery "a b&c"}}', "&lt;a href=&#34;x&#34;&gt;&amp;&#39; a\\'b a+b%26c"],
  ['{{.Name | printf "%s-%s" "x" | upper}}', 'X-/WEB'],
  ['{{(index .Args 0) | title}} {{lower "AB"}} {{join .Args "+"}} {{split "a:b" ":"}}', 'A ab a+b+c [a b]'],
  ['{{truncate "abcdef" 3}} {{truncate "ab" 3}} {{pad "x" 2 1}}|{{pad "" 2 1}}|', 'abc ab   x ||'],
  [
    '{{json .State}} {{json .Html}} {{json .Args}}',
    '{"Pid":42,"Running":true,"Error":""} "<a href=\\"x\\">&\'" ["a","b","c"]',
  ],
  ['{{\'a\'}} {{0x10}} {{1e3}} {{1_000}} {{`raw\\n`}} {{"\\u00e9\\t"}}|', '97 16 1000 1000 raw\\n é\t|'],
  ['{{.None}} {{.None.Deeper}}', '<no value> <no value>'],
]
for (const [text, result] of results) {
  test(`${text} gives ${JSON.stringify(result)}`, () =>
    assert.equal(parseTemplate(text).execute(data), result))
}

// Texts of Go 1.24's text/template.
const syntaxErrors: [string, string][] = [
  ['{{', 'unclosed action'],
  ['{{.Name', 'unclosed action'],
  ['{{.', 'illegal number syntax: "."'],
  ['{{foo}}', 'function "foo" not defined'],
  ['{{end}}', 'unexpected {{end}}'],
  ['{{.A.}}', 'unexpected <.> in operand'],
  ['{{json.}}', 'unexpected <.> in operand'],
  ['{{if}}x{{end}}', 'missing value for if'],
  ['{{if .A}}', 'unexpected EOF'],
  ['{{"a}}', 'unterminated quoted string'],
  ['{{$x}}', 'undefined variable "$x"'],
  ['{{(1}}', 'unclosed left paren'],
  ['{{1)}}', 'unexpected right paren'],
  ['{{/* x', 'unclosed comment'],
  ['{{break}}', '{{break}} outside {{range}}'],
  ['{{1 | 2}}', 'non executable command in pipeline stage 2'],
  ['{{}}', 'missing value for command'],
]
for (const [text, message] of syntaxErrors) {
  test(`${text} does not parse: ${message}`, () => {
    assert.throws(() => parseTemplate(text), { message: `template: :1: ${message}` })
  })
}

test('a syntax error names its line', () => {
  assert.throws(() => parseTemplate('a\nb {{foo}}'), { message: 'template: :2: function "foo" not defined' })
})

const failures: [string, string][] = [
  ['{{.Foo}}', ':1:2: executing "" at <.Foo>: map has no entry for key "Foo"'],
  ['{{.State.Foo}}', ':1:8: executing "" at <.State.Foo>: map has no entry for key "Foo"'],
  ['{{.Name.Foo}}', ':1:7: executing "" at <.Name.Foo>: can\'t evaluate field Foo in type string'],
  ['{{index .Args 9}}', ':1:2: executing "" at <index .Args 9>: error calling index: index out of range: 9'],
  ['{{eq 1 "a"}}', ':1:2: executing "" at <eq 1 "a">: error calling eq: incompatible types for comparison'],
  ['{{len}}', ':1:2: executing "" at <len>: wrong number of args for len: want 1 got 0'],
  ['{{template "none"}}', ':1:11: executing "" at <{{template "none"}}>: template "none" not defined'],
]
for (const [text, message] of failures) {
  test(`${text} fails: ${message}`, () => {
    assert.throws(() => parseTemplate(text).execute(data, { missingKeyIsError: true }), {
      message: `template: ${message}`,
    })
  })
}

test('structs know their fields, call their methods and print as structs', () => {
  const struct = new GoStruct('*x.Row', {
    ID: 'abc',
    Ratio: new GoFloat(2),
    Health: new GoNil('pointer', '*x.Health'),
    List: new GoNil('slice'),
    Label: (name: unknown) => `label ${String(name)}`,
  })
  const run = (text: string) => parseTemplate(text).execute(struct)
  assert.equal(
    run('{{.ID}} {{.Label "a"}} {{.Health}} {{.List}} {{len .List}} {{printf "%.1f" .Ratio}}'),
    'abc label a <nil> [] 0 2.0',
  )
  assert.equal(run('{{if .Health}}x{{else}}y{{end}}'), 'y')
  assert.throws(() => run('{{.Foo}}'), {
    message: 'template: :1:2: executing "" at <.Foo>: can\'t evaluate field Foo in type *x.Row',
  })
  assert.throws(() => run('{{len .}}'), /error calling len: len of type x\.Row/)
  assert.throws(() => run('{{.Health.Status}}'), /nil pointer evaluating \*x\.Health\.Status/)
})

test('no text makes the engine fail other than by an error of its own', () => {
  const pieces = [
    '{{',
    '}}',
    '.Name',
    '.State.Pid',
    'range ',
    'end',
    'if ',
    'else',
    '$x',
    ':=',
    '|',
    '(',
    ')',
    '"a"',
    '1',
    '-',
    ' ',
    'json .',
    'index ',
    '.Args',
    'printf "%d" ',
    '\n',
    'with ',
    'define "a"',
    'template "a"',
    "'c'",
    '/*',
    '*/',
  ]
  let seed = 11
  const next = (limit: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648
    return (seed >> 8) % limit
  }
  for (let round = 0; round < 4000; round++) {
    const text = Array.from({ length: 1 + next(9) }, () => pieces[next(pieces.length)]).join('')
    try {
      assert.equal(typeof parseTemplate(text).execute(data), 'string')
    } catch (error) {
      assert.match(String(error), /Error: template: /, JSON.stringify(text))
    }
  }
})

test('columns are aligned as tabwriter aligns them', () => {
  assert.equal(
    alignColumns('CONTAINER ID\tIMAGE\tNAMES\nabc\tbusybox:latest\tweb\n'),
    'CONTAINER ID   IMAGE            NAMES\nabc            busybox:latest   web\n',
  )
  assert.equal(alignColumns('a\t\tb\nc\t\td\n'), 'a                   b\nc                   d\n')
  assert.equal(
    alignColumns('sh -c …\tx\nsh\ty\n', { minWidth: 10, padding: 3 }),
    'sh -c …   x\nsh        y\n',
  )
})
