import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { configurationPage } from './generate-configuration.ts'

test('docs/configuration.md is what the table of settings says', () => {
  assert.equal(
    readFileSync(join(import.meta.dirname, '../docs/configuration.md'), 'utf8'),
    configurationPage(),
    'run: node tools/generate-configuration.ts',
  )
})
