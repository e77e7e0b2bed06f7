/** Collection, retention, deletion of repositories, expiry, rebuilding and webhooks, over real HTTP. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Clock } from '../../../src/lib/clock.ts'
import {
  digestOf,
  imageManifest,
  pushBlob,
  pushManifest,
  startTestRegistry,
  type TestRegistry,
} from '../../fixtures/test-registry.ts'

const now = { collect: { grace: '0s' } }
const ociIndex = 'application/vnd.oci.image.index.v1+json'

class MovedClock implements Clock {
  #ms = Date.now()
  nowMs(): number {
    return this.#ms
  }
  nowNs(): bigint {
    return BigInt(this.#ms) * 1_000_000n
  }
  move(ms: number): void {
    this.#ms += ms
  }
}

async function pushImage(r: TestRegistry, repository: string, tag: string, more = {}) {
  const config = await pushBlob(r.url, repository, `{"config":"${repository}:${tag}"}`)
  const layer = await pushBlob(r.url, repository, `layer of ${repository}:${tag}`)
  const text = imageManifest(config, [layer], more)
  const { status, body } = await pushManifest(r.url, { repository, reference: tag }, text)
  assert.equal(status, 201, body)
  return { text, digest: digestOf(text), config, layer }
}

async function status(method: string, url: string): Promise<number> {
  const answer = await fetch(url, { method })
  await answer.arrayBuffer()
  return answer.status
}

type Collected = {
  tags: { repository: string; tag: string }[]
  manifests: { digest: string }[]
  links: number
  blobs: number
  bytes: number
}

async function collect(r: TestRegistry, query = ''): Promise<Collected> {
  const answer = await fetch(`${r.url}/_wharf/collect${query}`, { method: 'POST' })
  assert.equal(answer.status, 200)
  return (await answer.json()) as Collected
}

/** Digests of all blobs in the folder, once it has followed the index. */
async function blobFiles(r: TestRegistry): Promise<string[]> {
  await r.registry.store.journal.settled()
  const names = await readdir(join(r.data, 'docker/registry/v2/blobs'), { recursive: true })
  return names
    .map((name) => /^(\w+)\/\w\w\/(\w+)\/data$/.exec(name))
    .filter((match) => match !== null)
    .map((match) => `${match[1]}:${match[2]}`)
    .sort()
}

describe('collection', () => {
  test('takes what nothing needs, leaves what is reachable, and says before what it will take', async () => {
    await using r = await startTestRegistry(now)
    const kept = await pushImage(r, 'keep/app', 'v1')
    const gone = await pushImage(r, 'drop/app', 'v1')
    const stray = await pushBlob(r.url, 'keep/app', 'a stray blob')
    // One blob in both repositories: it must outlive the one that goes.
    await pushBlob(r.url, 'drop/app', 'layer of keep/app:v1')
    assert.equal(await status('DELETE', `${r.url}/v2/drop/app/manifests/${gone.digest}`), 202)
    const before = await blobFiles(r)
    assert.equal(before.length, 7)
    const preview = await collect(r, '?dry-run=1')
    assert.deepEqual(await blobFiles(r), before)
    const result = await collect(r)
    assert.deepEqual(result, preview)
    assert.equal(result.blobs, 4)
    assert.deepEqual(await blobFiles(r), [kept.config, kept.digest, kept.layer].sort())
    assert.equal(await status('GET', `${r.url}/v2/keep/app/blobs/${stray}`), 404)
    assert.equal(await status('GET', `${r.url}/v2/drop/app/blobs/${kept.layer}`), 404)
    assert.equal(await status('GET', `${r.url}/v2/keep/app/blobs/${kept.layer}`), 200)
    assert.equal(await status('GET', `${r.url}/v2/keep/app/manifests/v1`), 200)
    assert.deepEqual(await collect(r), { tags: [], manifests: [], links: 0, blobs: 0, bytes: 0 })
  })

  test('a blob that somebody was told of stays for the time of grace', async () => {
    const clock = new MovedClock()
    await using r = await startTestRegistry({ collect: { grace: '10m' } }, { clock })
    const told = await pushBlob(r.url, 'a', 'told')
    const untold = await pushBlob(r.url, 'a', 'untold')
    clock.move(9 * 60_000)
    assert.equal((await collect(r)).blobs, 0)
    assert.equal(await status('HEAD', `${r.url}/v2/a/blobs/${told}`), 200)
    clock.move(2 * 60_000)
    assert.equal((await collect(r)).blobs, 1)
    assert.equal(await status('GET', `${r.url}/v2/a/blobs/${untold}`), 404)
    // The client that was told pushes its manifest only now.
    const pushed = await pushManifest(r.url, { repository: 'a', reference: 'x' }, imageManifest(told, []))
    assert.equal(pushed.status, 201)
    clock.move(60 * 60_000)
    await collect(r)
    assert.equal(await status('GET', `${r.url}/v2/a/blobs/${told}`), 200)
  })

  test('untagged manifests go only when asked for; children of indexes and referrers stay', async () => {
    await using r = await startTestRegistry(now)
    const child = await pushImage(r, 'a', 'child')
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType: ociIndex,
      manifests: [{ mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: child.digest, size: 1 }],
    })
    await pushManifest(r.url, { repository: 'a', reference: 'index', type: ociIndex }, index)
    const subject = { mediaType: ociIndex, digest: digestOf(index), size: index.length }
    const referrer = await pushImage(r, 'a', 'referrer', { subject })
    const lone = await pushImage(r, 'a', 'lone')
    for (const tag of ['child', 'referrer', 'lone']) await status('DELETE', `${r.url}/v2/a/manifests/${tag}`)
    assert.deepEqual((await collect(r)).manifests, [])
    const { manifests } = await collect(r, '?untagged=1')
    assert.deepEqual(
      manifests.map(({ digest }) => digest),
      [lone.digest],
    )
    for (const { digest, layer } of [child, referrer]) {
      assert.equal(await status('GET', `${r.url}/v2/a/manifests/${digest}`), 200)
      assert.equal(await status('GET', `${r.url}/v2/a/blobs/${layer}`), 200)
    }
    assert.equal(await status('GET', `${r.url}/v2/a/blobs/${lone.layer}`), 404)
    assert.ok(!(await blobFiles(r)).includes(lone.digest))
  })

  test('a manifest that was collected can be pushed again', async () => {
    await using r = await startTestRegistry(now)
    const first = await pushImage(r, 'a', 'x')
    await status('DELETE', `${r.url}/v2/a/manifests/${first.digest}`)
    const collecting = collect(r)
    await collecting
    const again = await pushImage(r, 'a', 'x')
    assert.equal(again.digest, first.digest)
    assert.deepEqual(await blobFiles(r), [again.config, again.digest, again.layer].sort())
    assert.equal(await status('GET', `${r.url}/v2/a/manifests/x`), 200)
  })
})

describe('retention', () => {
  test('keeps the last, the young and what no rule is about; the preview is what happens', async () => {
    const clock = new MovedClock()
    const retention = [
      { repositories: ['ci/*'], tags: ['build-*'], keepLast: 2 },
      { repositories: ['ci/*'], tags: ['build-*', 'night-*'], keepWithin: '90m' },
    ]
    await using r = await startTestRegistry({ collect: { grace: '0s', retention } }, { clock })
    const { text } = await pushImage(r, 'ci/app', 'release')
    for (const tag of ['night-1', 'build-1', 'build-2', 'build-3', 'build-4', 'night-2']) {
      await pushManifest(r.url, { repository: 'ci/app', reference: tag }, text)
      clock.move(20 * 60_000)
    }
    clock.move(30 * 60_000)
    // Ages in minutes: night-1 150, build-1 130, build-2 110, build-3 90, build-4 70, night-2 50.
    const preview = (await (await fetch(`${r.url}/_wharf/retention`)).json()) as Collected
    const result = await collect(r)
    assert.deepEqual(preview.tags, result.tags)
    assert.deepEqual(result.tags.map(({ tag }) => tag).sort(), ['build-1', 'build-2', 'night-1'])
    const list = (await (await fetch(`${r.url}/v2/ci/app/tags/list`)).json()) as { tags: string[] }
    assert.deepEqual(list.tags, ['build-3', 'build-4', 'night-2', 'release'])
  })
})

describe('repositories', () => {
  test('are deleted whole, and their space comes back', async () => {
    await using r = await startTestRegistry(now)
    await pushImage(r, 'team/app', 'x')
    const below = await pushImage(r, 'team/app/below', 'x')
    assert.equal(await status('DELETE', `${r.url}/_wharf/repositories/team/app`), 202)
    assert.equal(await status('GET', `${r.url}/v2/team/app/tags/list`), 404)
    assert.equal(await status('DELETE', `${r.url}/_wharf/repositories/team/app`), 404)
    assert.equal(await status('GET', `${r.url}/v2/team/app/below/manifests/x`), 200)
    await collect(r)
    assert.deepEqual(await blobFiles(r), [below.config, below.digest, below.layer].sort())
    await pushImage(r, 'team/app', 'x')
    assert.equal(await status('GET', `${r.url}/v2/team/app/manifests/x`), 200)
  })

  test('have a description that search shows', async () => {
    await using r = await startTestRegistry()
    await pushBlob(r.url, 'team/app', 'x')
    const card = JSON.stringify({ description: 'serves the shop', official: true })
    const patched = await fetch(`${r.url}/_wharf/repositories/team/app`, { method: 'PATCH', body: card })
    assert.equal(patched.status, 204)
    const found = (await (await fetch(`${r.url}/v1/search?q=SHOP`)).json()) as { results: object[] }
    assert.deepEqual(found.results, [
      {
        name: 'team/app',
        description: 'serves the shop',
        star_count: 0,
        is_official: true,
        is_automated: false,
        is_trusted: false,
      },
    ])
  })
})

test('half uploads expire, and those in use do not', async () => {
  const clock = new MovedClock()
  await using r = await startTestRegistry({ uploads: { expiry: '1h' } }, { clock })
  const start = async () => {
    const answer = await fetch(`${r.url}/v2/a/blobs/uploads/`, { method: 'POST' })
    const location = answer.headers.get('location')!
    await fetch(location, { method: 'PATCH', body: 'half' })
    return location
  }
  const [idle, busy] = [await start(), await start()]
  clock.move(50 * 60_000)
  await fetch(busy, { method: 'PATCH', body: ' more' })
  clock.move(20 * 60_000)
  assert.equal(await r.registry.app.uploads.expire(), 1)
  assert.equal(await status('GET', idle), 404)
  assert.equal(await status('GET', busy), 204)
  assert.equal((await readdir(join(r.data, 'wharf/uploads'))).length, 1)
})

test('an index that is lost is built again from the folder', async () => {
  const data = await mkdtemp(join(tmpdir(), 'wharf-registry-rebuild-'))
  try {
    const seen = async (r: TestRegistry, subject: string) => {
      const get = async (path: string) => (await fetch(`${r.url}${path}`)).text()
      return {
        catalog: await get('/v2/_catalog'),
        tags: await get('/v2/a/b/tags/list'),
        manifest: await get('/v2/a/b/manifests/v1'),
        referrers: await get(`/v2/a/b/referrers/${subject}`),
        blob: await get(`/v2/only/blobs/blobs/${digestOf('lone')}`),
        deleted: await status('GET', `${r.url}/v2/a/b/manifests/gone`),
      }
    }
    let before: object
    let subject: string
    {
      await using r = await startTestRegistry({}, { data })
      const image = await pushImage(r, 'a/b', 'v1')
      subject = image.digest
      await pushManifest(r.url, { repository: 'a/b', reference: 'v2' }, image.text)
      await pushImage(r, 'a/b', 'gone')
      await status('DELETE', `${r.url}/v2/a/b/manifests/gone`)
      await pushImage(r, 'a/b', 'sig', {
        subject: { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: subject, size: 1 },
      })
      await pushBlob(r.url, 'only/blobs', 'lone')
      before = await seen(r, subject)
    }
    await rm(join(data, 'wharf'), { recursive: true })
    {
      await using r = await startTestRegistry({}, { data })
      assert.deepEqual(await seen(r, subject), before)
      // As if building had been interrupted: it is begun again.
      r.registry.store.index.clear(['tags', 'manifests'])
    }
    await using r = await startTestRegistry({}, { data })
    assert.deepEqual(await seen(r, subject), before)
  } finally {
    await rm(data, { recursive: true })
  }
})

test('a folder has one registry at a time', async () => {
  await using r = await startTestRegistry()
  await assert.rejects(
    startTestRegistry({}, { data: r.data }),
    /in use by another registry|database is locked/,
  )
})

test('webhooks arrive in order, again after a failure, and after a restart', async () => {
  const received: { action: string; target: { repository: string; tag?: string } }[] = []
  let failures = 2
  const done = Promise.withResolvers<void>()
  const receiver = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      if (failures > 0) {
        failures -= 1
        response.writeHead(500).end()
        return
      }
      assert.equal(request.headers['content-type'], 'application/vnd.docker.distribution.events.v2+json')
      assert.equal(request.headers['x-secret'], 'yes')
      received.push(...(JSON.parse(Buffer.concat(chunks).toString()) as { events: typeof received }).events)
      response.end()
      if (received.length >= 4) done.resolve()
    })()
  })
  receiver.listen(0, '127.0.0.1')
  await once(receiver, 'listening')
  const { port } = receiver.address() as AddressInfo
  const hook = (target: number) => ({
    webhooks: [
      { name: 'test', url: `http://127.0.0.1:${target}/`, headers: { 'X-Secret': 'yes' }, actions: ['push'] },
    ],
  })
  const data = await mkdtemp(join(tmpdir(), 'wharf-registry-hooks-'))
  try {
    {
      // Nobody listens there: the event waits in the index.
      await using r = await startTestRegistry(hook(1), { data })
      await pushBlob(r.url, 'early', 'x')
    }
    await using r = await startTestRegistry(hook(port), { data })
    await pushImage(r, 'a', 'v1')
    await done.promise
    assert.deepEqual(
      received.map(({ action, target }) => [action, target.repository, target.tag]),
      [
        ['push', 'early', undefined],
        ['push', 'a', undefined],
        ['push', 'a', undefined],
        ['push', 'a', 'v1'],
      ],
    )
  } finally {
    receiver.close()
    await rm(data, { recursive: true, force: true })
  }
})
