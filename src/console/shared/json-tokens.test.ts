import assert from 'node:assert/strict'
import { test } from 'node:test'
import { indentedJson, jsonTokens } from './json-tokens.ts'

test('jsonTokens() tells keys, texts, numbers and words apart, and loses nothing', () => {
  const text = '{"a\\"": "x: 1", "b": [-1.5e3, true, null]}'
  const tokens = jsonTokens(text)
  assert.equal(tokens.map((token) => token.text).join(''), text)
  assert.deepEqual(
    tokens.filter(({ kind }) => kind !== 'plain').map(({ kind, text: piece }) => `${kind} ${piece}`),
    ['key "a\\""', 'string "x: 1"', 'key "b"', 'number -1.5e3', 'word true', 'word null'],
  )
})

test('jsonTokens() takes any text', () => {
  for (const text of ['', '<script>', '"open', '\\"', '{"a":}', 'nulltrue']) {
    assert.equal(
      jsonTokens(text)
        .map((token) => token.text)
        .join(''),
      text,
    )
  }
})

test('indentedJson() breaks one line, and leaves what has breaks or is no JSON', () => {
  assert.equal(indentedJson('{"a":1}'), '{\n  "a": 1\n}')
  assert.equal(indentedJson('{\n"a":1}'), '{\n"a":1}')
  assert.equal(indentedJson('nope {'), 'nope {')
})
