import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KnownEndpoints } from './known-endpoints.ts'
import type { Endpoint } from './registry-endpoints.ts'

const endpoint = (url: string, isMirror = false): Endpoint => ({
  base: new URL(url),
  verify: false,
  isMirror,
  path: 'app',
})
const challenge = { scheme: 'basic', parameters: new Map<string, string>() }
const urls = (endpoints: readonly Endpoint[]) => endpoints.map(({ base }) => base.origin)

test('what an endpoint wants is remembered for a minute, and until it is forgotten', () => {
  let now = 0
  const known = new KnownEndpoints({ nowMs: () => now })
  const one = endpoint('https://one:5000')
  assert.equal(known.challengesOf(one), undefined)
  known.note(one, [challenge])
  assert.deepEqual(known.challengesOf(one), [challenge])
  assert.equal(known.challengesOf({ ...one, verify: true }), undefined)
  now = 59_999
  assert.deepEqual(known.challengesOf(one), [challenge])
  now = 60_000
  assert.equal(known.challengesOf(one), undefined)
  known.note(one, [])
  known.forget(one)
  assert.equal(known.challengesOf(one), undefined)
})

test('of one host’s two protocols the one that answered comes first; mirrors and other hosts keep their places', () => {
  const known = new KnownEndpoints({ nowMs: () => 0 })
  const all = [
    endpoint('https://mirror:5000', true),
    endpoint('http://mirror:5000', true),
    endpoint('https://host:5000'),
    endpoint('http://host:5000'),
  ]
  const [, mirror, , host] = all
  assert.deepEqual(known.ordered(all), all)
  if (host !== undefined) known.note(host, [])
  assert.deepEqual(urls(known.ordered(all)), [
    'https://mirror:5000',
    'http://mirror:5000',
    'http://host:5000',
    'https://host:5000',
  ])
  if (mirror !== undefined) known.note(mirror, [])
  assert.deepEqual(urls(known.ordered(all)).slice(0, 2), ['http://mirror:5000', 'https://mirror:5000'])
})
