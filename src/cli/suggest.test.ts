import assert from 'node:assert/strict'
import { test } from 'node:test'
import { editDistance, suggestions } from './suggest.ts'

test('a swap of neighbours, a letter too much, too few or another are one step each', () => {
  for (const word of ['rnu', 'ruun', 'rn', 'rux']) assert.equal(editDistance(word, 'run'), 1, word)
  assert.equal(editDistance('', 'run'), 3)
  assert.equal(editDistance('run', 'run'), 0)
})

test('a mistyped command is near the one that was meant', () => {
  assert.deepEqual(suggestions(['rnu']), ['run'])
  assert.ok(suggestions(['iamges']).includes('images'))
  assert.deepEqual(suggestions(['netwrok']), ['network'])
  assert.deepEqual(suggestions(['network', 'creat']), ['network create'])
  assert.deepEqual(suggestions(['frobnicate']), [])
})
