import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EngineError } from '../spec/errors.ts'
import { parseChallenges } from './registry-challenge.ts'
import { isInsecure, splitRepository } from './registry-endpoints.ts'
import { errorOfAnswer } from './registry-errors.ts'
import { loginDomain, pullReference } from './registry-service.ts'
import { anonymous, decodeAuth } from './registry-tokens.ts'

const shape = (header: string) =>
  parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)])

test('parseChallenges() reads what registries send', () => {
  assert.deepEqual(
    shape('Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="a:b:pull,push"'),
    [
      [
        'bearer',
        { realm: 'https://auth.docker.io/token', service: 'registry.docker.io', scope: 'a:b:pull,push' },
      ],
    ],
  )
  assert.deepEqual(shape('Basic realm="a \\"quoted\\" name"'), [['basic', { realm: 'a "quoted" name' }]])
  assert.deepEqual(shape('BASIC Realm=plain, Bearer realm = "x" , error=invalid_token'), [
    ['basic', { realm: 'plain' }],
    ['bearer', { realm: 'x', error: 'invalid_token' }],
  ])
  assert.deepEqual(shape('Negotiate, Basic realm=x'), [
    ['negotiate', {}],
    ['basic', { realm: 'x' }],
  ])
  assert.deepEqual(shape(''), [])
  assert.deepEqual(shape('Bearer realm="never ends'), [['bearer', {}]])
})

/** Numbers that are the same in every run. */
function numbers(seed: number): () => number {
  let state = seed
  return () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) / 2 ** 32
}

function texts(alphabet: string, next: () => number, longest: number): string {
  const length = Math.floor(next() * longest)
  return Array.from({ length }, () => alphabet[Math.floor(next() * alphabet.length)] ?? '').join('')
}

test('parseChallenges() takes any text without throwing or hanging', () => {
  const next = numbers(7)
  for (let round = 0; round < 20_000; round++) {
    for (const { scheme } of parseChallenges(texts('ab=", \\\tBearer\u00e9', next, 60))) {
      assert.match(scheme, /^[!#$%&'*+.^_`|~0-9a-z-]+$/)
    }
  }
  assert.equal(parseChallenges('a '.repeat(100_000)).length > 0, true)
})

test('parseChallenges() gives back parameters that were written down', () => {
  const next = numbers(11)
  for (let round = 0; round < 2_000; round++) {
    const value = texts('ab"\\, =:/é', next, 20)
    const written = `Bearer a="${value.replace(/["\\]/g, '\\$&')}",b=c`
    assert.deepEqual(shape(written), [['bearer', { a: value, b: 'c' }]])
  }
})

test('errors of registries have the words of Docker', () => {
  const text = (status: number, body: string, challenge = '') => {
    const { message, kind } = errorOfAnswer({ status, challenge, body })
    return [message, kind]
  }
  assert.deepEqual(
    text(404, '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{}}]}'),
    ['manifest unknown: manifest unknown', 'notFound'],
  )
  assert.deepEqual(text(401, '{"errors":[]}', 'Bearer realm="x",error="insufficient_scope"'), [
    'denied: requested access to the resource is denied',
    'forbidden',
  ])
  assert.deepEqual(text(401, ''), ['unauthorized: authentication required', 'unauthorized'])
  assert.deepEqual(text(429, '{"details":"slow down"}'), ['toomanyrequests: slow down', 'unavailable'])
  assert.deepEqual(text(503, 'x'), ['received unexpected HTTP status: 503 Service Unavailable', 'internal'])
  assert.deepEqual(text(404, '<html>'), [
    'error parsing HTTP 404 response body: no error details found in HTTP response body: "<html>"',
    'internal',
  ])
})

test('answers of any shape become errors', () => {
  const next = numbers(13)
  for (let round = 0; round < 5_000; round++) {
    const body = texts('{}[]":,ercodsmag0n ', next, 40)
    const status = 400 + Math.floor(next() * 200)
    assert.ok(errorOfAnswer({ status, challenge: body, body }) instanceof EngineError)
  }
})

test('decodeAuth() takes both alphabets of base64, and splits auth', () => {
  const encode = (value: unknown, kind: 'base64' | 'base64url') =>
    Buffer.from(JSON.stringify(value)).toString(kind)
  assert.deepEqual(decodeAuth(undefined), anonymous)
  assert.deepEqual(decodeAuth(encode({}, 'base64url')), anonymous)
  const both = { username: 'bob', password: 'p:ÿ?>' }
  assert.deepEqual(decodeAuth(encode(both, 'base64url')), { ...anonymous, ...both })
  assert.deepEqual(decodeAuth(encode(both, 'base64')), { ...anonymous, ...both })
  const auth = Buffer.from('bob:a:b').toString('base64')
  assert.deepEqual(decodeAuth(encode({ auth }, 'base64')), {
    ...anonymous,
    auth,
    username: 'bob',
    password: 'a:b',
  })
  assert.throws(() => decodeAuth('%%%'), EngineError)
})

test('insecure registries are loopback and what the configuration names', async () => {
  assert.equal(await isInsecure('127.0.0.1:5000', []), true)
  assert.equal(await isInsecure('127.9.9.9', []), true)
  assert.equal(await isInsecure('[::1]:5000', []), true)
  assert.equal(await isInsecure('192.0.2.1:5000', []), false)
  assert.equal(await isInsecure('192.0.2.1:5000', ['192.0.2.0/24']), true)
  assert.equal(await isInsecure('192.0.2.1:5000', ['192.0.2.1:5001']), false)
  assert.equal(await isInsecure('192.0.2.1:5000', ['192.0.2.1:5000']), true)
  assert.equal(await isInsecure('[2001:db8::1]:5000', ['2001:db8::/32', 'nonsense/99']), true)
  assert.equal(await isInsecure('[2001:db9::1]:5000', ['2001:db8::/32']), false)
})

test('names are taken apart for the registry', () => {
  assert.deepEqual(splitRepository('docker.io/library/busybox'), {
    domain: 'docker.io',
    path: 'library/busybox',
  })
  assert.deepEqual(splitRepository('[::1]:5000/a/b'), { domain: '[::1]:5000', path: 'a/b' })
  assert.equal(loginDomain('https://index.docker.io/v1/'), 'docker.io')
  assert.equal(loginDomain('http://host:5000/v2/'), 'host:5000')
  const id = `sha256:${'a'.repeat(64)}`
  assert.deepEqual(pullReference({ image: 'busybox', tag: id }), {
    repository: 'docker.io/library/busybox',
    digest: id,
  })
  assert.deepEqual(pullReference({ image: 'busybox', tag: '' }), { repository: 'docker.io/library/busybox' })
  assert.throws(
    () => pullReference({ image: 'busybox', tag: 'sha256:abc' }),
    /invalid checksum digest length/,
  )
  assert.throws(() => pullReference({ image: 'busybox', tag: '.x' }), /invalid tag format/)
})
