import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatAge, formatBytes, formatCount, shortDigest } from './format.ts'

test('formatBytes() prints three digits in decimal units', () => {
  const cases: [number, string][] = [
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.00 kB'],
    [12_345, '12.3 kB'],
    [123_456, '123 kB'],
    [2_600_000, '2.60 MB'],
    [7.5e12, '7.50 TB'],
  ]
  for (const [bytes, text] of cases) assert.equal(formatBytes(bytes), text)
})

test('formatAge() says how long ago, in the largest unit that tells', () => {
  const second = 1000
  const day = 86_400 * second
  const cases: [number, string][] = [
    [-5 * second, 'just now'],
    [3 * second, 'just now'],
    [59 * second, '59 seconds ago'],
    [61 * second, '1 minute ago'],
    [3 * 3600 * second, '3 hours ago'],
    [day, '1 day ago'],
    [13 * day, '13 days ago'],
    [20 * day, '2 weeks ago'],
    [100 * day, '3 months ago'],
    [800 * day, '2 years ago'],
  ]
  for (const [ago, text] of cases) assert.equal(formatAge(1e13 - ago, 1e13), text)
})

test('formatCount() knows one from many', () => {
  assert.equal(formatCount(1, 'tag'), '1 tag')
  assert.equal(formatCount(10_000, 'tag'), '10,000 tags')
  assert.equal(formatCount(2, 'repository', 'repositories'), '2 repositories')
})

test('shortDigest() shows twelve digits of the hash', () => {
  assert.equal(shortDigest(`sha256:${'ab'.repeat(32)}`), 'abababababab')
})
