import assert from 'node:assert/strict'
import { test } from 'node:test'
import { matchApiVersion } from './api-version.ts'

test('matchApiVersion places versions', () => {
  const kinds = ['1.24', '1.55', '1.23', '1.56', '1.9', '2.0', '0.99', '1.55.1', '1.44.9', '1'].map(
    (text) => matchApiVersion(text).kind,
  )
  assert.deepEqual(kinds, [
    'spoken',
    'spoken',
    'tooOld',
    'tooNew',
    'tooOld',
    'tooNew',
    'tooOld',
    'tooNew',
    'spoken',
    'tooOld',
  ])
})
