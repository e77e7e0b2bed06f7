import assert from 'node:assert/strict'
import { test } from 'node:test'
import { naturalKey } from './tag-order.ts'

test('naturalKey orders numbers by value, and a version before its variants', () => {
  const ordered = [
    '0.9',
    '1',
    '1.2-alpine',
    '1.2-rc1',
    '1.2-rc2',
    '1.2-rc10',
    '1.2',
    '1.2.1',
    '1.9',
    '1.10',
    '10.0',
    'latest',
    'v1.9',
    'V1.10',
  ]
  const shuffled = ordered.toSorted()
  assert.deepEqual(
    shuffled.toSorted((left, right) => (naturalKey(left) < naturalKey(right) ? -1 : 1)),
    ordered,
  )
})

test('naturalKey differs for names that differ in case or in leading zeros alone', () => {
  assert.notEqual(naturalKey('v1'), naturalKey('V1'))
  assert.notEqual(naturalKey('1.01'), naturalKey('1.1'))
})
