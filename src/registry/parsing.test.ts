import assert from 'node:assert/strict'
import { test } from 'node:test'
import { environmentSettings } from './config-environment.ts'
import { checkConfig, parseAddress } from './config.ts'
import { RegistryError } from './errors.ts'
import { parseRange } from './handle-blobs.ts'
import { parseManifest } from './manifest.ts'
import { isRepositoryName, isTag, parseDigest, parseReference } from './names.ts'
import { findRoute, splitTarget } from './route.ts'
import { globs, Rules } from './rules.ts'
import { parseBasic, parseHtpasswd } from './users.ts'

const digest = `sha256:${'a'.repeat(64)}`

test('repository names follow the grammar of the specification', () => {
  for (const name of ['a', 'a/b', 'a.b', 'a_b', 'a__b', 'a-b', 'a---b', '0/1/2', 'a'.repeat(255)]) {
    assert.ok(isRepositoryName(name), name)
  }
  const bad = [
    '',
    'A',
    'a/',
    '/a',
    'a//b',
    'a..b',
    'a___b',
    '.a',
    'a.',
    '-a',
    'a-',
    'a/../b',
    'a b',
    'ä',
    'a'.repeat(256),
  ]
  for (const name of bad) assert.ok(!isRepositoryName(name), name)
})

test('tags follow the grammar of the specification', () => {
  for (const tag of ['a', 'A.b-c_d', '_x', '1', 'a'.repeat(128)]) assert.ok(isTag(tag), tag)
  for (const tag of ['', '.a', '-a', 'a b', 'a/b', 'a:b', 'a'.repeat(129)]) assert.ok(!isTag(tag), tag)
})

test('a reference with a colon is a digest, or nothing', () => {
  assert.deepEqual(parseReference('v1'), { tag: 'v1' })
  assert.deepEqual(parseReference(digest), { digest })
  assert.throws(() => parseReference('sha256:abc'), { code: 'DIGEST_INVALID' })
  assert.throws(() => parseReference('-x'), { code: 'MANIFEST_INVALID' })
  for (const bad of [
    null,
    '',
    'sha256',
    `SHA256:${'a'.repeat(64)}`,
    `sha256:${'A'.repeat(64)}`,
    `sha256:${'a'.repeat(63)}`,
    `sha384:${'a'.repeat(96)}`,
  ]) {
    assert.throws(() => parseDigest(bad), { code: 'DIGEST_INVALID' })
  }
})

test('routes are read from the end of the path', () => {
  const cases: [string, unknown][] = [
    ['/v2/', { kind: 'base' }],
    ['/v2/a/manifests/v1', { kind: 'manifest', repository: 'a', reference: 'v1' }],
    ['/v2/a/b/tags/list', { kind: 'tags', repository: 'a/b' }],
    ['/v2/a/blobs/uploads/', { kind: 'uploads', repository: 'a' }],
    ['/v2/a/blobs/uploads', { kind: 'uploads', repository: 'a' }],
    ['/v2/a/blobs/uploads/x', { kind: 'upload', repository: 'a', id: 'x' }],
    ['/v2/a/blobs/uploads/manifests/x', { kind: 'manifest', repository: 'a/blobs/uploads', reference: 'x' }],
    ['/v2/manifests/tags/list', { kind: 'tags', repository: 'manifests' }],
    [`/v2/blobs/blobs/${digest}`, { kind: 'blob', repository: 'blobs', digest }],
    [`/v2/a/referrers/${digest}`, { kind: 'referrers', repository: 'a', digest }],
    ['/v2/manifests/x', undefined],
    ['/v2/a/unknown', undefined],
    ['/', { kind: 'page', rest: '' }],
    ['/_wharf/collect', { kind: 'admin', rest: 'collect' }],
  ]
  for (const [path, route] of cases) assert.deepEqual(findRoute(path), route, path)
  for (const path of ['/v2//manifests/x', '/v2/../manifests/x', '/v2/A/tags/list', '/v2/a/../b/blobs/x']) {
    assert.throws(() => findRoute(path), { code: 'NAME_INVALID' }, path)
  }
  assert.deepEqual(splitTarget('/v2/a%2Fb?x=%41'), { path: '/v2/a/b', query: 'x=%41' })
  assert.throws(() => splitTarget('/v2/%zz'), { code: 'NAME_INVALID' })
})

test('ranges as RFC 9110 has them', () => {
  const cases: [string, number, unknown][] = [
    ['bytes=0-0', 10, { start: 0, end: 0 }],
    ['bytes=5-', 10, { start: 5, end: 9 }],
    ['bytes=-4', 10, { start: 6, end: 9 }],
    ['bytes=-40', 10, { start: 0, end: 9 }],
    ['bytes=3-99', 10, { start: 3, end: 9 }],
    ['', 10, undefined],
    ['bytes=-', 10, undefined],
    ['bytes=4-2', 10, undefined],
    ['bytes=0-1,3-4', 10, undefined],
    ['items=0-1', 10, undefined],
  ]
  for (const [header, size, range] of cases) assert.deepEqual(parseRange(header, size), range, header)
  for (const [header, size] of [
    ['bytes=10-', 10],
    ['bytes=-0', 10],
    ['bytes=0-', 0],
  ] as const) {
    assert.throws(() => parseRange(header, size), { code: 'UNSUPPORTED', status: 416 }, header)
  }
})

test('globs: a star stays in its component, two do not', () => {
  const cases: [string, string, boolean][] = [
    ['a/*', 'a/b', true],
    ['a/*', 'a/b/c', false],
    ['a/**', 'a/b/c', true],
    ['**', 'a/b/c', true],
    ['a.b/*', 'axb/c', false],
    ['a', 'ab', false],
    ['*/app', 'team/app', true],
    ['ci-?', 'ci-1', true],
  ]
  for (const [glob, name, matches] of cases)
    assert.equal(globs([glob]).test(name), matches, `${glob} ${name}`)
})

test('rules allow, and only that; without rules, whoever is signed in', () => {
  const rules = new Rules({
    rules: [
      { repositories: ['a/*'], users: ['u'], groups: [], anonymous: false, actions: ['pull'] },
      { repositories: ['b'], users: ['*'], groups: [], anonymous: false, actions: ['push'] },
      { repositories: ['c'], users: [], groups: [], anonymous: true, actions: ['pull'] },
    ],
    groups: {},
  })
  assert.ok(rules.allows('u', 'pull', 'a/x'))
  assert.ok(!rules.allows('u', 'push', 'a/x'))
  assert.ok(!rules.allows('v', 'pull', 'a/x'))
  assert.ok(rules.allows('v', 'push', 'b'))
  assert.ok(!rules.allows('', 'push', 'b'))
  assert.ok(rules.allows('', 'pull', 'c'))
  const none = new Rules({ rules: [], groups: {} })
  assert.ok(none.allows('u', 'delete', 'x'))
  assert.ok(!none.allows('', 'pull', 'x'))
})

test('htpasswd takes bcrypt alone, and Basic headers are taken apart at the first colon', () => {
  const hash = `$2y$05$${'a'.repeat(53)}`
  assert.deepEqual(
    [...parseHtpasswd(`# users\n\nu:${hash}\r\nv:${hash}\n`)],
    [
      ['u', hash],
      ['v', hash],
    ],
  )
  for (const bad of ['u', ':x', 'u:{SHA}abc', 'u:plain', `u:$apr1$x$y`])
    assert.throws(() => parseHtpasswd(bad), bad)
  const header = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
  assert.deepEqual(parseBasic(header('u:p:q')), { name: 'u', password: 'p:q' })
  assert.deepEqual(parseBasic(header('u:')), { name: 'u', password: '' })
  for (const bad of ['', 'Basic', 'Basic !!!', header('u'), 'Bearer x'])
    assert.equal(parseBasic(bad), undefined)
})

test('manifests tell what they need', () => {
  const type = 'application/vnd.oci.image.manifest.v1+json'
  const layer = `sha256:${'b'.repeat(64)}`
  const image = {
    schemaVersion: 2,
    config: { mediaType: 'c', digest, size: 1 },
    layers: [
      { digest: layer, size: 1 },
      { digest: `sha256:${'c'.repeat(64)}`, size: 1, urls: ['https://elsewhere.example/'] },
    ],
  }
  const parsed = parseManifest(Buffer.from(JSON.stringify(image)), type)
  assert.deepEqual(parsed.blobs, [digest, layer])
  assert.equal(parsed.artifactType, 'c')
  assert.equal(parseManifest(Buffer.from(JSON.stringify(image)), '').mediaType, type)
  const index = { schemaVersion: 2, manifests: [{ mediaType: type, digest, size: 1 }], artifactType: '' }
  const list = parseManifest(Buffer.from(JSON.stringify(index)), '')
  assert.deepEqual([list.blobs, list.manifests, list.artifactType], [[], [digest], undefined])
  for (const bad of [
    { ...image, manifests: [], config: undefined },
    { ...index, layers: [] },
    { ...image, schemaVersion: 1 },
  ]) {
    const send = bad === image ? type : ''
    assert.throws(() => parseManifest(Buffer.from(JSON.stringify(bad)), send), RegistryError)
  }
})

test('configuration: defaults, durations, sizes, unknown keys, variables of the reference registry', () => {
  const config = checkConfig({ collect: { grace: '90s' }, limits: { manifest: '1m' } })
  assert.equal(config.collect.grace, 90_000)
  assert.equal(config.limits.manifest, 1 << 20)
  assert.equal(config.limits.page, 1000)
  assert.throws(() => checkConfig({ colect: {} }), /colect|nrecognized/)
  assert.throws(() => checkConfig({ collect: { grace: 'soon' } }), /collect\.grace/)
  assert.deepEqual(
    environmentSettings({
      REGISTRY_HTTP_ADDR: ':5000',
      REGISTRY_STORAGE_DELETE_ENABLED: 'true',
      REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/data',
      REGISTRY_HTTP_TLS_CERTIFICATE: '/c',
      REGISTRY_HTTP_TLS_KEY: '/k',
      REGISTRY_PROXY_REMOTEURL: 'https://up.example',
      OTHER: 'x',
    }),
    {
      addr: ':5000',
      delete: true,
      data: '/data',
      tls: { certificate: '/c', key: '/k' },
      upstreams: [{ url: 'https://up.example', username: '', password: '' }],
    },
  )
  assert.throws(
    () => environmentSettings({ REGISTRY_STORAGE_DELETE_ENABLED: 'maybe' }),
    /REGISTRY_STORAGE_DELETE_ENABLED/,
  )
  assert.throws(() => environmentSettings({ REGISTRY_STORAGE_GCS_BUCKET: 'b' }), /only the filesystem and s3/)
  const bucket = {
    REGISTRY_STORAGE_S3_BUCKET: 'images',
    REGISTRY_STORAGE_S3_REGIONENDPOINT: 'http://minio:9000',
    REGISTRY_STORAGE_S3_ACCESSKEY: 'key',
    REGISTRY_STORAGE_S3_FORCEPATHSTYLE: 'true',
    REGISTRY_STORAGE_REDIRECT_DISABLE: 'true',
    AWS_SECRET_ACCESS_KEY: 'secret',
  }
  const { s3 } = checkConfig(environmentSettings(bucket))
  assert.deepEqual(
    [s3?.bucket, s3?.endpoint, s3?.accessKey, s3?.secretKey, s3?.virtualHosted, s3?.redirect],
    ['images', 'http://minio:9000', 'key', 'secret', false, false],
  )
  assert.equal(checkConfig(environmentSettings({ REGISTRY_STORAGE_REDIRECT_DISABLE: 'true' })).s3, undefined)
  assert.deepEqual(parseAddress(':5000'), { host: '', port: 5000 })
  assert.deepEqual(parseAddress('[::1]:80'), { host: '::1', port: 80 })
  for (const bad of ['5000', 'a:b', 'x:99999', '']) assert.throws(() => parseAddress(bad), bad)
})
