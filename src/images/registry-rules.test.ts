import assert from 'node:assert/strict'
import { test } from 'node:test'
import { locationOf, parseRegistryRules, ruleFor } from './registry-rules.ts'

const rules = parseRegistryRules({
  'example.test': { mirrors: ['https://mirror.test/deep/path/'] },
  'example.test/team': { location: 'other.test:5000/x' },
  'plain.test': { location: 'else.test' },
  '*.example.test': { blocked: true },
})

test('the longest rule counts, and only for whole names', () => {
  const prefixOf = (name: string) => ruleFor(name, rules)?.prefix
  assert.equal(prefixOf('example.test/app'), 'example.test')
  assert.equal(prefixOf('example.test'), 'example.test')
  assert.equal(prefixOf('example.test/team/app'), 'example.test/team')
  assert.equal(prefixOf('example.test/teamwork'), 'example.test')
  assert.equal(prefixOf('example.tests/app'), undefined)
  assert.equal(prefixOf('notexample.test/app'), undefined)
  assert.throws(() => ruleFor('a.b.example.test:5000/app', rules), {
    kind: 'forbidden',
    message: /is blocked/,
  })
})

test('a location takes the place of the prefix', () => {
  const at = (domain: string, path: string) =>
    locationOf({ domain, path }, ruleFor(path === '' ? domain : `${domain}/${path}`, rules))
  assert.deepEqual(at('example.test', 'team/app'), { domain: 'other.test:5000', path: 'x/app' })
  assert.deepEqual(at('plain.test', 'a/b'), { domain: 'else.test', path: 'a/b' })
  assert.deepEqual(at('plain.test', ''), { domain: 'else.test', path: '' })
  assert.deepEqual(at('free.test', 'a'), { domain: 'free.test', path: 'a' })
})

test('rules that mean nothing are refused', () => {
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ 'a.test': { mirror: [] } }, /registries: a\.test: /],
    [{ 'a.test': { mirrors: ['ftp://x'] } }, /unsupported scheme/],
    [{ 'a b': { blocked: true } }, /a b: not a registry/],
    [{ 'a.test': { location: 'https://b.test' } }, /invalid location/],
    [{ '*.a.test': { location: 'b.test' } }, /invalid location/],
    [{ 'a.test': { blocked: 'yes' } }, /registries: a\.test\.blocked/],
  ]
  for (const [value, message] of wrong) {
    assert.throws(() => parseRegistryRules(value), { kind: 'invalid', message })
  }
})
