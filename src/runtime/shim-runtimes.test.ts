import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RuntimeTable } from './shim-runtimes.ts'

test('a reload changes what new containers get; older ones keep theirs', () => {
  using table = new RuntimeTable({ a: { path: '/bin/a', args: ['x'] }, b: { path: '/bin/b', args: [] } }, 'a')
  assert.equal(table.get('').file, '/bin/a')
  table.replace({ b: { path: '/other/b', args: [] }, c: { path: '/bin/c', args: [] } }, 'c')
  assert.deepEqual([table.get('').file, table.get('b').file], ['/bin/c', '/other/b'])
  assert.throws(() => table.get('a'), /unknown or invalid runtime name: a/)
  assert.deepEqual(table.ofContainer('a').args, ['x'])
  assert.equal(table.ofContainer('b').file, '/other/b')
  assert.throws(() => table.ofContainer('z'), { kind: 'invalid' })
})
