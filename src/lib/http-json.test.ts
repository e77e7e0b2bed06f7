import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { goBool, goInt, goList, goStringSlice, goStruct } from '../spec/go-json.ts'
import { decodeJson, encodeJson, encodeJsonForHtml, parseJson } from './http-json.ts'

const refusal = (text: string): string => {
  try {
    parseJson(text)
  } catch (error) {
    return error instanceof Error ? error.message : ''
  }
  return 'accepted'
}

test("parseJson names the first wrong character as Go's decoder does", () => {
  const cases: [string, string][] = [
    ['', 'invalid JSON: got EOF while reading request body'],
    ['{', 'invalid JSON: unexpected EOF'],
    ['{"a":', 'invalid JSON: unexpected EOF'],
    ['nope', `invalid JSON: invalid character 'o' in literal null (expecting 'u')`],
    ['x', `invalid JSON: invalid character 'x' looking for beginning of value`],
    ['{a}', `invalid JSON: invalid character 'a' looking for beginning of object key string`],
    ['{"a" 1}', `invalid JSON: invalid character '1' after object key`],
    ['{"a":1 "b"}', `invalid JSON: invalid character '"' after object key:value pair`],
    ['{"a":1,}', `invalid JSON: invalid character '}' looking for beginning of object key string`],
    ['[1 2]', `invalid JSON: invalid character '2' after array element`],
    ['"\\x"', `invalid JSON: invalid character 'x' in string escape code`],
    ['"a\nb"', `invalid JSON: invalid character '\\n' in string literal`],
    ['{} x', 'unexpected content after JSON'],
    ['-', 'invalid JSON: unexpected EOF'],
    ['1.x', `invalid JSON: invalid character 'x' after decimal point in numeric literal`],
    ["'", `invalid JSON: invalid character '\\'' looking for beginning of value`],
  ]
  for (const [text, message] of cases) assert.equal(refusal(text), message, text)
})

test('parseJson accepts and refuses exactly what JSON.parse does, for generated texts', () => {
  const alphabet = [
    '{',
    '}',
    '[',
    ']',
    '"',
    ':',
    ',',
    'a',
    '1',
    '-',
    '.',
    'e',
    'true',
    'null',
    ' ',
    '\\',
    '\n',
    '"a":',
  ]
  let seed = 7
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed % below
  }
  for (let round = 0; round < 5000; round++) {
    const text = Array.from({ length: random(12) + 1 }, () => alphabet[random(alphabet.length)]).join('')
    let plain: unknown
    try {
      plain = JSON.parse(text)
    } catch {
      assert.match(refusal(text), /^(invalid JSON: |unexpected content)/, text)
      continue
    }
    assert.deepEqual(parseJson(text), plain)
  }
})

const schema = goStruct({
  Tty: goBool(),
  Count: goInt(),
  Env: goList(z.string()),
  Cmd: goStringSlice(),
  Inner: goStruct({ Deep: goBool() }),
})

test('decodeJson says which field has the wrong kind', () => {
  const problem = (value: unknown) => {
    try {
      decodeJson(schema, value, 'Request')
    } catch (error) {
      return error instanceof Error ? error.message : ''
    }
    return 'accepted'
  }
  const head = 'invalid JSON: json: cannot unmarshal'
  assert.equal(problem({ Tty: 'yes' }), `${head} string into Go struct field Request.Tty of type bool`)
  assert.equal(problem({ tty: 'yes' }), `${head} string into Go struct field Request.Tty of type bool`)
  assert.equal(problem({ Count: 1.5 }), `${head} number 1.5 into Go struct field Request.Count of type int64`)
  assert.equal(problem({ Env: 'A=b' }), `${head} string into Go struct field Request.Env of type []string`)
  assert.equal(problem({ Env: [1] }), `${head} number into Go struct field Request.Env of type string`)
  assert.equal(
    problem({ Inner: { Deep: 3 } }),
    `${head} number into Go struct field Request.Inner.Deep of type bool`,
  )
  assert.equal(problem([]), `${head} array into Go value of type Request`)
  assert.equal(problem({ Cmd: 'one', Unknown: 1 }), 'accepted')
})

test('decodeJson never throws anything but a refusal, for generated values', () => {
  const values: unknown[] = [
    null,
    true,
    0,
    1.5,
    -1,
    '',
    'x',
    [],
    {},
    [null],
    { a: 1 },
    ['x', 2],
    { Deep: 'x' },
  ]
  for (const key of ['Tty', 'Count', 'Env', 'Cmd', 'Inner', 'TTY', 'cOUNT', '__proto__', 'constructor']) {
    for (const value of values) {
      try {
        decodeJson(schema, JSON.parse(JSON.stringify({ [key]: value })), 'Request')
      } catch (error) {
        assert.match(error instanceof Error ? error.message : '', /^invalid JSON: json: cannot unmarshal/)
      }
    }
  }
})

test('encodeJson writes 64-bit counters exactly and escapes line separators', () => {
  assert.equal(
    encodeJson({ a: 18446744073709551615n, b: '\u2028<&>' }),
    '{"a":18446744073709551615,"b":"\\u2028<&>"}',
  )
  assert.equal(encodeJsonForHtml({ b: '<&>' }), '{"b":"\\u003c\\u0026\\u003e"}')
})
