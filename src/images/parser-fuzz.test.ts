/** What comes from outside, in many broken forms: parsers answer, or throw errors of a kind that clients are told. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EngineError } from '../spec/errors.ts'
import { Manifest, parseJson } from './image-record.ts'
import { parsePlatform } from './platform.ts'
import { targetOf } from './pull-choice.ts'
import { canonicalText, familiarText, parseCanonical, parseReference } from './reference.ts'
import { parseChallenges } from './registry-challenge.ts'
import { parseRegistryRules } from './registry-rules.ts'
import { decodeAuth } from './registry-tokens.ts'

/** Reproducible numbers below a limit (mulberry32). */
function randomSource(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let value = Math.imul(state ^ (state >>> 15), 1 | state)
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value
    return ((value ^ (value >>> 14)) >>> 0) % below
  }
}

/** Texts made of pieces that mean something to the parser, a few of them damaged by a byte. */
function* texts(pieces: readonly string[], seed: number, rounds: number): Generator<string> {
  const random = randomSource(seed)
  for (let round = 0; round < rounds; round++) {
    let text = ''
    for (let count = random(9); count >= 0; count--) text += pieces[random(pieces.length)] ?? ''
    if (random(3) === 0) {
      const at = random(text.length + 1)
      text = text.slice(0, at) + String.fromCharCode(random(300)) + text.slice(at + random(2))
    }
    yield text
  }
}

/** The value, or undefined where the parser refused in a way that clients are told. */
function parsed<T>(parse: () => T, text: string): T | undefined {
  try {
    return parse()
  } catch (error) {
    assert.ok(error instanceof EngineError, `${JSON.stringify(text)}: ${String(error)}`)
    assert.equal(error.kind, 'invalid', text)
    return undefined
  }
}

const hex = 'a1'.repeat(32)

test('references: what is taken is the same again in its canonical and its familiar form', () => {
  const pieces = [
    'a',
    'library/',
    'docker.io/',
    'Host:5000/',
    '[::1]:80/',
    ':',
    ':v1.0',
    '@',
    `@sha256:${hex}`,
  ]
  const more = [
    '__',
    '..',
    '-',
    '/',
    '.',
    'localhost/',
    `sha512:${hex}${hex}`,
    hex,
    'x'.repeat(130),
    ' ',
    '\0',
    'é',
  ]
  let taken = 0
  for (const text of texts([...pieces, ...more], 1, 20_000)) {
    const reference = parsed(() => parseReference(text), text)
    if (reference === undefined) continue
    taken += 1
    const canonical = canonicalText(reference)
    assert.deepEqual(parseCanonical(canonical), reference, text)
    assert.deepEqual(parseReference(canonical), reference, text)
    // Docker too shows some as what it reads as something else: an id, or another registry's.
    const isAmbiguous = /^docker\.io\/(library\/[0-9a-f]{64}$|localhost\/|[^/]*\.[^/]*\/)/.test(canonical)
    if (isAmbiguous) continue
    assert.deepEqual(parseReference(familiarText(reference)), reference, text)
  }
  assert.ok(taken > 200, `only ${taken} were references`)
})

test('manifests and indexes: broken JSON is refused, and what they name has digests', () => {
  const descriptor = `{"mediaType":"m","digest":"sha256:${hex}","size":3}`
  const pieces = [
    '{',
    '}',
    '[',
    ']',
    ',',
    '"manifests":',
    '"layers":',
    '"config":',
    descriptor,
    '"schemaVersion":2',
  ]
  const more = [
    'null',
    '-1',
    '1e400',
    '"digest":"sha256:x"',
    '"platform":{"os":"linux"}',
    '"platform":null',
    '"',
  ]
  for (const text of texts([...pieces, ...more], 2, 20_000)) {
    const whole = text.startsWith('{') ? text : `{${text}}`
    const manifest = parsed(() => parseJson(Manifest, whole, 'image manifest'), whole)
    if (manifest === undefined) continue
    for (const { digest } of [...(manifest.layers ?? []), ...(manifest.manifests ?? [])]) {
      assert.match(digest, /^sha256:[0-9a-f]{64}$/)
    }
  }
})

test('an index that says it holds itself is taken once', () => {
  const id = parseReference(`a@sha256:${hex}`).digest
  assert.ok(id !== undefined)
  const index = { mediaType: 'application/vnd.oci.image.index.v1+json', digest: id, size: 1 }
  const data = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [index, index] }))
  const document = { digest: id, mediaType: index.mediaType, data }
  assert.equal(targetOf(document, [document, document]).index?.manifests.length, 2)
})

test('challenges: nothing is thrown, and parsing ends', () => {
  const pieces = [
    'Bearer ',
    'Basic',
    'realm=',
    '"https://x/token"',
    ',',
    'scope="a:b:c"',
    '=',
    '"',
    '\\',
    ' ',
    '\t',
  ]
  for (const text of texts(pieces, 3, 20_000)) {
    for (const { scheme, parameters } of parseChallenges(text)) {
      assert.match(scheme, /^\S+$/)
      for (const name of parameters.keys()) assert.equal(name, name.toLowerCase())
    }
  }
})

test('credentials, platforms and rules: refused or read', () => {
  const json = ['{', '}', '"username":', '"auth":', '"a:b"', '"YTpi"', 'null', ',', '1', '[]']
  for (const text of texts(json, 4, 5000)) {
    parsed(() => decodeAuth(Buffer.from(text).toString('base64url')), text)
    parsed(() => decodeAuth(text), text)
  }
  const host = { os: 'linux', architecture: 'amd64' }
  for (const text of texts(['linux', '/', 'arm', 'v7', 'ARM64', '', '*', '386', 'x86_64'], 5, 5000)) {
    parsed(() => parsePlatform(text, host), text)
  }
  for (const text of texts(['a.test', '*', '.', '/', ':5000', 'https://', 'b'], 6, 5000)) {
    parsed(() => parseRegistryRules({ [text]: { location: text, mirrors: [text] } }), text)
  }
})
