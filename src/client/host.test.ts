import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseHost } from './host.ts'

const table: [text: string, expected: object][] = [
  ['unix:///a/b', { kind: 'unix', path: '/a/b' }],
  ['/a/b', { kind: 'unix', path: '/a/b' }],
  ['tcp://h:1234', { kind: 'tcp', hostname: 'h', port: 1234, basePath: '' }],
  ['h', { kind: 'tcp', hostname: 'h', port: 2375 }],
  ['tcp://[::1]:5', { kind: 'tcp', hostname: '::1', port: 5 }],
  ['ssh://me@h:22/run/x.sock', { kind: 'ssh', destination: 'me@h', port: '22', path: '/run/x.sock' }],
  ['ssh://h', { kind: 'ssh', destination: 'h' }],
]

test('parseHost() reads each form of an address', () => {
  for (const [text, expected] of table) assert.partialDeepStrictEqual(parseHost(text), expected)
  assert.throws(() => parseHost('ftp://x'), /unable to parse docker host `ftp:\/\/x`/)
})
