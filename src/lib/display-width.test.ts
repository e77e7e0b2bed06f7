import assert from 'node:assert/strict'
import { test } from 'node:test'
import { displayWidth, ellipsis } from './display-width.ts'

test('displayWidth() counts wide characters twice, and marks and controls not at all', () => {
  const cases: [string, number][] = [
    ['', 0],
    ['plain', 5],
    ['é', 1],
    ['e\u0301', 1],
    ['a\u0001b', 2],
    ['日本', 4],
    ['한글', 4],
    ['ｗ', 2],
    ['🚀!', 3],
    ['…', 1],
    ['€', 1],
  ]
  for (const [text, width] of cases) assert.equal(displayWidth(text), width, text)
})

test('ellipsis() cuts to columns, not to characters', () => {
  assert.equal(ellipsis('12345', 5), '12345')
  assert.equal(ellipsis('123456', 5), '1234…')
  assert.equal(ellipsis('日本語', 6), '日本語')
  assert.equal(ellipsis('日本語', 5), '日本…')
  assert.equal(ellipsis('日本語', 4), '日…')
  assert.equal(ellipsis('🚀🚀🚀', 5), '🚀🚀…')
})
