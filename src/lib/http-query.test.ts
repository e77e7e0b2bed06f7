import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkFilterKeys, parseFilters, parseQuery, queryFlag, queryInteger } from './http-query.ts'

test('parseQuery refuses a broken escape and a semicolon', () => {
  assert.equal(parseQuery('a=%2F%25&b=1').get('a'), '/%')
  for (const [text, part] of [
    ['filters=%zz', '%zz'],
    ['a=1&b=%', '%'],
    ['a=%2', '%2'],
  ] as const) {
    assert.throws(() => parseQuery(text), { kind: 'invalid', message: `invalid URL escape "${part}"` })
  }
  assert.throws(() => parseQuery('a=1;b=2'), { message: 'invalid semicolon separator in query' })
})

test('queryFlag takes for false only what Docker does', () => {
  const query = new URLSearchParams('a=1&b=0&c=false&d=No&e=&f=none&g=yes&h=TRUE')
  const flags = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'].map((name) => queryFlag(query, name))
  assert.deepEqual(flags, [true, false, false, false, false, false, true, true, false])
  assert.equal(queryFlag(query, 'i', true), true)
})

test('queryInteger refuses what is no number', () => {
  assert.equal(queryInteger(new URLSearchParams('t=-1'), 't'), -1)
  assert.equal(queryInteger(new URLSearchParams(''), 't'), undefined)
  assert.throws(
    () => queryInteger(new URLSearchParams('t=x'), 't'),
    /strconv.Atoi: parsing "x": invalid syntax/,
  )
})

test('parseFilters reads both shapes and refuses others', () => {
  const entries = (text: string) => [...parseFilters(text).entries()]
  assert.deepEqual(entries('{"status":{"running":true,"exited":false}}'), [['status', ['running']]])
  assert.deepEqual(entries('{"label":["a","b=c"]}'), [['label', ['a', 'b=c']]])
  assert.deepEqual(entries(''), [])
  for (const text of ['x', '[]', '1', '{"a":1}', '{"a":[1]}', '{"a":{"b":"c"}}', '"x"']) {
    assert.throws(() => parseFilters(text), /^EngineError: invalid filter$/, text)
  }
  assert.throws(() => checkFilterKeys(new Map([['colour', []]]), ['label']), /invalid filter 'colour'/)
})
