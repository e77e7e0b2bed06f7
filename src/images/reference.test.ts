import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EngineError } from '../spec/errors.ts'
import { canonicalText, familiarText, parseCanonical, parseReference, withDefaultTag } from './reference.ts'

const sha = 'a'.repeat(64)

const good: [string, string, string][] = [
  ['busybox', 'docker.io/library/busybox', 'busybox'],
  ['busybox:1.36', 'docker.io/library/busybox:1.36', 'busybox:1.36'],
  ['library/busybox', 'docker.io/library/busybox', 'busybox'],
  ['docker.io/busybox', 'docker.io/library/busybox', 'busybox'],
  ['index.docker.io/user/app', 'docker.io/user/app', 'user/app'],
  ['user/app:tag', 'docker.io/user/app:tag', 'user/app:tag'],
  ['localhost/app', 'localhost/app', 'localhost/app'],
  ['localhost:5000/app:v1', 'localhost:5000/app:v1', 'localhost:5000/app:v1'],
  ['registry.example.com/a/b/c', 'registry.example.com/a/b/c', 'registry.example.com/a/b/c'],
  ['[::1]:5000/app', '[::1]:5000/app', '[::1]:5000/app'],
  ['UPPER/app', 'UPPER/app', 'UPPER/app'],
  ['a__b/c-d.e', 'docker.io/a__b/c-d.e', 'a__b/c-d.e'],
  [`busybox@sha256:${sha}`, `docker.io/library/busybox@sha256:${sha}`, `busybox@sha256:${sha}`],
  [`busybox:1@sha256:${sha}`, `docker.io/library/busybox:1@sha256:${sha}`, `busybox:1@sha256:${sha}`],
  [`x:${'t'.repeat(128)}`, `docker.io/library/x:${'t'.repeat(128)}`, `x:${'t'.repeat(128)}`],
]

for (const [text, canonical, familiar] of good) {
  test(`parseReference() reads ${text.slice(0, 60)}`, () => {
    const reference = parseReference(text)
    assert.equal(canonicalText(reference), canonical)
    assert.equal(familiarText(reference), familiar)
    assert.deepEqual(parseCanonical(canonical), reference)
    assert.deepEqual(parseReference(familiar), reference)
  })
}

const bad: [string, string][] = [
  ['', 'invalid reference format: repository name must have at least one component'],
  ['Busybox', 'invalid reference format: repository name (library/Busybox) must be lowercase'],
  ['user/App', 'invalid reference format: repository name (user/App) must be lowercase'],
  [sha, `invalid repository name (${sha}), cannot specify 64-byte hexadecimal strings`],
  ['a b', 'invalid reference format'],
  ['-flag', 'invalid reference format'],
  ['a//b', 'invalid reference format'],
  ['a/', 'invalid reference format'],
  ['a___b', 'invalid reference format'],
  ['x:', 'invalid reference format'],
  ['x:.tag', 'invalid reference format'],
  [`x:${'t'.repeat(129)}`, 'invalid reference format'],
  ['x@sha256:abc', 'invalid reference format'],
  [`x@sha256:${'a'.repeat(63)}`, 'invalid checksum digest length'],
  [`x@md5:${'a'.repeat(32)}`, 'unsupported digest algorithm'],
  ['a'.repeat(256), 'invalid reference format: repository name must not be more than 255 characters'],
]

for (const [text, message] of bad) {
  test(`parseReference() refuses ${JSON.stringify(text.slice(0, 60))}`, () => {
    assert.throws(
      () => parseReference(text),
      (error) => error instanceof EngineError && error.kind === 'invalid' && error.message === message,
    )
  })
}

test('latest is meant where nothing else is said', () => {
  assert.equal(familiarText(withDefaultTag(parseReference('busybox'))), 'busybox:latest')
  assert.equal(familiarText(withDefaultTag(parseReference('busybox:1'))), 'busybox:1')
})

test('whatever is typed is a reference that reads back the same, or refused as invalid', () => {
  const alphabet = 'ab0.:/@-_[]ZX sha256'
  let state = 12345
  const next = () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) / 2 ** 32
  for (let round = 0; round < 20_000; round++) {
    const text = Array.from(
      { length: next() * 24 },
      () => alphabet[Math.floor(next() * alphabet.length)],
    ).join('')
    try {
      const reference = parseReference(text)
      assert.deepEqual(parseReference(canonicalText(reference)), reference)
    } catch (error) {
      assert.ok(error instanceof EngineError && error.kind === 'invalid', `${text}: ${String(error)}`)
    }
  }
})
