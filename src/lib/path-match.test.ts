import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pathMatch } from './path-match.ts'

const cases: [string, string, boolean][] = [
  ['*', 'abc', true],
  ['*', 'a/b', false],
  ['a*', 'ab/c', false],
  ['a*/b', 'abc/b', true],
  ['a?c', 'abc', true],
  ['a?c', 'a/c', false],
  ['[a-c]x', 'bx', true],
  ['[^a-c]x', 'bx', false],
  ['[^a]b', '/b', false],
  ['a\\*', 'a*', true],
  ['a\\*', 'ab', false],
  ['a.c', 'abc', false],
  ['*:latest', 'busybox:latest', true],
  ['', '', true],
]

for (const [pattern, name, expected] of cases) {
  test(`pathMatch(${pattern}, ${name}) is ${expected}`, () =>
    assert.equal(pathMatch(pattern, name), expected))
}

for (const pattern of ['[', '[a', '[]a]', 'a\\', '[-x]']) {
  test(`pathMatch() refuses ${pattern}`, () =>
    assert.throws(() => pathMatch(pattern, 'a'), /syntax error in pattern/))
}
