import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { completionScript, completionShells } from './completion-scripts.ts'

for (const shell of completionShells) {
  test(`completions/wharf.${shell} is what wharf completion ${shell} prints`, () => {
    const path = join(import.meta.dirname, '../../completions', `wharf.${shell}`)
    assert.equal(readFileSync(path, 'utf8'), completionScript(shell, 'wharf'))
  })
}
