import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parsePlatform, platformRank, platformText } from './platform.ts'

const host = { os: 'linux', architecture: 'amd64' }

test('a machine runs its own platform first, then what is compatible', () => {
  const rank = (on: string, candidate: string) =>
    platformRank(parsePlatform(on, host), parsePlatform(candidate, host))
  assert.equal(rank('linux/amd64', 'linux/x86_64'), 0)
  assert.equal(rank('linux/amd64', 'linux/386'), 1)
  assert.equal(rank('linux/amd64', 'linux/arm64'), undefined)
  assert.equal(rank('linux/amd64', 'windows/amd64'), undefined)
  assert.equal(rank('linux/amd64/v3', 'linux/amd64/v2'), 1)
  assert.equal(rank('linux/arm64', 'linux/arm64/v8'), 0)
  assert.ok((rank('linux/arm64', 'linux/arm/v7') ?? 0) < (rank('linux/arm64', 'linux/arm/v6') ?? 0))
  assert.equal(rank('linux/arm/v6', 'linux/arm/v7'), undefined)
})

test('platforms are read as users write them', () => {
  assert.equal(platformText(parsePlatform('linux', host)), 'linux/amd64')
  assert.equal(platformText(parsePlatform('aarch64', host)), 'linux/arm64/v8')
  assert.equal(platformText(parsePlatform('linux/armhf', host)), 'linux/arm/v7')
  assert.throws(() => parsePlatform('a/b/c/d', host), /invalid/)
  assert.throws(() => parsePlatform('li nux', host), /invalid/)
})
