/** The S3 driver and a registry against a server of somebody else's, OpenStack Swift, which checks signatures. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { systemClock } from '../../../src/lib/clock.ts'
import { checkConfig } from '../../../src/registry/config.ts'
import { openDriver } from '../../../src/registry/open-driver.ts'
import type { StorageDriver } from '../../../src/registry/storage-driver.ts'
import { testStorageDriver } from '../../../src/registry/storage-contract.test.ts'
import { hasSwift, startSwift, type SwiftServer } from '../../fixtures/swift-server.ts'
import {
  digestOf,
  imageManifest,
  pushBlob,
  pushManifest,
  startTestRegistry,
} from '../../fixtures/test-registry.ts'

let server: SwiftServer
let folders = 0

before(async () => {
  if (hasSwift) server = await startSwift()
})
after(() => server?.[Symbol.asyncDispose]())

/** Settings of a folder of its own in the bucket. */
function bucket(more: Record<string, unknown> = {}): Record<string, unknown> {
  folders += 1
  return { ...server.settings, prefix: `folder-${folders}`, ...more }
}

async function ask(url: string, init: RequestInit = {}) {
  const answer = await fetch(url, init)
  return { status: answer.status, text: await answer.text() }
}

async function namesBelow(driver: StorageDriver, path: string): Promise<string[]> {
  const entries = await driver.list(path)
  const below = await Promise.all(
    entries.map(async ({ name, isDirectory }) =>
      isDirectory ? await namesBelow(driver, `${path}/${name}`) : [`${path}/${name}`],
    ),
  )
  return below.flat()
}

describe('contract', { skip: !hasSwift }, () => {
  testStorageDriver('s3 driver on swift', async () => {
    const driver = await openDriver(checkConfig({ s3: bucket() }), systemClock)
    return { driver, [Symbol.asyncDispose]: () => driver[Symbol.asyncDispose]() }
  })
})

describe('registry on swift', { skip: !hasSwift }, () => {
  test('a wrong secret, or no such bucket, is said at the start', async () => {
    await assert.rejects(startTestRegistry({ s3: bucket({ secretKey: 'wrong' }) }), /may not be used/)
    await assert.rejects(startTestRegistry({ s3: bucket({ bucket: 'nothing' }) }), /no such bucket/)
  })

  test('pushes, pulls, sends away, deletes and collects until the bucket has no blob', async () => {
    const s3 = bucket({ partSize: '5m', redirect: true })
    await using r = await startTestRegistry({ s3, collect: { grace: '0s', untagged: true } })
    const large = randomBytes(11_000_000)
    const config = await pushBlob(r.url, 'team/app', '{}')
    const layers = [await pushBlob(r.url, 'team/app', large), await pushBlob(r.url, 'team/app', 'small')]
    const text = imageManifest(config, layers)
    const pushed = await pushManifest(r.url, { repository: 'team/app', reference: 'v1' }, text)
    assert.equal(pushed.status, 201, pushed.body)
    assert.equal((await ask(`${r.url}/v2/team/app/manifests/v1`)).text, text)
    const blob = `${r.url}/v2/team/app/blobs/${layers[0]}`
    const sent = await fetch(blob, { redirect: 'manual' })
    assert.equal(sent.status, 307)
    const signed = new URL(sent.headers.get('location') ?? '')
    assert.ok(Buffer.from(await (await fetch(signed)).arrayBuffer()).equals(large))
    signed.searchParams.set('X-Amz-Expires', '604800')
    assert.equal((await fetch(signed)).status, 403)
    const part = await fetch(blob, { headers: { Range: 'bytes=10000000-10000009' } })
    assert.ok(Buffer.from(await part.arrayBuffer()).equals(large.subarray(10_000_000, 10_000_010)))
    // Whoever has the bucket alone has the same registry.
    {
      await using fresh = await startTestRegistry({ s3: { ...s3, redirect: false } })
      assert.equal((await ask(`${fresh.url}/v2/team/app/manifests/v1`)).text, text)
      const through = await fetch(`${fresh.url}/v2/team/app/blobs/${layers[0]}`)
      assert.ok(Buffer.from(await through.arrayBuffer()).equals(large))
      assert.match((await ask(`${fresh.url}/v2/_catalog`)).text, /"team\/app"/)
    }
    const gone = await ask(`${r.url}/v2/team/app/manifests/${digestOf(text)}`, { method: 'DELETE' })
    assert.equal(gone.status, 202)
    const collected = await ask(`${r.url}/_wharf/collect`, { method: 'POST' })
    assert.equal((JSON.parse(collected.text) as { blobs: number }).blobs, 4)
    await r.registry.store.journal.settled()
    assert.deepEqual(await namesBelow(r.registry.store.driver, 'docker/registry/v2/blobs'), [])
    assert.equal((await ask(blob)).status, 404)
  })
})
