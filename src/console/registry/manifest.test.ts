import assert from 'node:assert/strict'
import { test } from 'node:test'
import { choosePlatform, createdMs, readConfig, readManifest } from './manifest.ts'

test('readManifest() tells images of an index from attestations', () => {
  const platform = { os: 'linux', architecture: 'arm64', variant: 'v8' }
  const { isIndex, manifests, attestations } = readManifest({
    manifests: [
      { digest: 'sha256:1', size: 5, platform },
      { digest: 'sha256:2', platform: { os: 'unknown', architecture: 'unknown' } },
      { digest: 'sha256:3', annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } },
    ],
  })
  assert.equal(isIndex, true)
  assert.deepEqual(
    manifests.map((manifest) => [manifest.digest, manifest.platform, manifest.sizeBytes]),
    [['sha256:1', 'linux/arm64/v8', 5]],
  )
  assert.deepEqual(
    attestations.map(({ digest }) => digest),
    ['sha256:2', 'sha256:3'],
  )
})

test('choosePlatform() takes the wanted one, then linux/amd64, then the first', () => {
  const { manifests } = readManifest({
    manifests: [
      { digest: 'sha256:1', platform: { os: 'linux', architecture: 'arm64' } },
      { digest: 'sha256:2', platform: { os: 'linux', architecture: 'amd64' } },
    ],
  })
  assert.equal(choosePlatform(manifests, 'linux/arm64')?.digest, 'sha256:1')
  assert.equal(choosePlatform(manifests, 'sha256:1')?.digest, 'sha256:1')
  assert.equal(choosePlatform(manifests, '')?.digest, 'sha256:2')
  assert.equal(choosePlatform(manifests.slice(0, 1), '')?.digest, 'sha256:1')
  assert.equal(choosePlatform([], ''), undefined)
})

test('readConfig() shows what is set, and only that', () => {
  const { facts, environment, labels } = readConfig({
    os: 'linux',
    architecture: 'amd64',
    config: { Cmd: ['a', 'b c'], Env: ['A=b', 7], Labels: { x: 'y' }, ExposedPorts: { '80/tcp': {} } },
  })
  assert.deepEqual(facts, [
    ['Platform', 'linux/amd64'],
    ['Command', '["a", "b c"]'],
    ['Ports', '80/tcp'],
  ])
  assert.deepEqual(environment, ['A=b'])
  assert.deepEqual(labels, [['x', 'y']])
})

test('manifests and configurations of any shape are read', () => {
  for (const value of [
    null,
    undefined,
    1,
    'x',
    [],
    { layers: {}, manifests: 3, config: [] },
    { layers: [null, 1] },
  ]) {
    assert.ok(readManifest(value).layers.length <= 2)
    assert.deepEqual(readConfig(value).facts, [])
    assert.equal(createdMs(value), 0)
  }
})

test('createdMs() takes the times of reproducible builds for none', () => {
  assert.equal(createdMs({ created: '1970-01-01T00:00:00Z' }), 0)
  assert.equal(createdMs({ created: '0001-01-01T00:00:00Z' }), 0)
  assert.equal(createdMs({ created: '2026-01-01T00:00:00Z' }), Date.UTC(2026, 0, 1))
})
