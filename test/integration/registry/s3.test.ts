/** The S3 driver against a local S3 server: the drivers' contract, and a registry on a bucket. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { systemClock } from '../../../src/lib/clock.ts'
import { checkConfig } from '../../../src/registry/config.ts'
import { openDriver } from '../../../src/registry/open-driver.ts'
import { testStorageDriver } from '../../../src/registry/storage-contract.test.ts'
import { eventually } from '../../fixtures/processes.ts'
import { startS3Server, type S3Server } from '../../fixtures/s3-server.ts'
import {
  digestOf,
  imageManifest,
  pushBlob,
  pushManifest,
  startTestRegistry,
  type TestRegistry,
} from '../../fixtures/test-registry.ts'

const run = promisify(execFile)
let server: S3Server
let folders = 0

before(async () => {
  server = await startS3Server()
})
after(() => server[Symbol.asyncDispose]())

/** Settings of a folder of its own in the bucket. */
function bucket(more: Record<string, unknown> = {}): Record<string, unknown> {
  folders += 1
  return { ...server.settings, prefix: `folder-${folders}`, ...more }
}

describe('contract', () => {
  testStorageDriver('s3 driver', async () => {
    const driver = await openDriver(checkConfig({ s3: bucket() }), systemClock)
    return { driver, [Symbol.asyncDispose]: () => driver[Symbol.asyncDispose]() }
  })
})

/** A registry on a folder of the bucket; with an index of its own, as a process on another machine has it. */
async function onBucket(s3: Record<string, unknown>, more: Record<string, unknown> = {}, data?: string) {
  return await startTestRegistry({ s3, ...more }, data === undefined ? {} : { data })
}

async function ask(url: string, init: RequestInit = {}) {
  const answer = await fetch(url, init)
  return { status: answer.status, headers: answer.headers, text: await answer.text() }
}

/** All that clients can see of a registry with one repository. */
async function view(r: TestRegistry, repository: string, tags: readonly string[]) {
  const get = async (path: string) => (await ask(`${r.url}${path}`)).text
  const manifests = await Promise.all(tags.map((tag) => get(`/v2/${repository}/manifests/${tag}`)))
  return {
    catalog: await get('/v2/_catalog'),
    tags: await get(`/v2/${repository}/tags/list`),
    search: await get('/v1/search?q='),
    manifests,
  }
}

async function pushImage(r: TestRegistry, repository: string, tag: string, seed: string) {
  const config = await pushBlob(r.url, repository, `{"seed":"${seed}"}`)
  const layer = await pushBlob(r.url, repository, `layer ${seed}`)
  const text = imageManifest(config, [layer])
  const { status, body } = await pushManifest(r.url, { repository, reference: tag }, text)
  assert.equal(status, 201, body)
  return { text, digest: digestOf(text), config, layer }
}

describe('one registry', () => {
  test('large blobs go up in parts; clients may be sent to the bucket for them', async () => {
    await using r = await onBucket(bucket({ partSize: '5m', redirect: true }))
    const data = randomBytes(11_000_000)
    const digest = await pushBlob(r.url, 'big/blob', data)
    const sent = await fetch(`${r.url}/v2/big/blob/blobs/${digest}`, { redirect: 'manual' })
    assert.equal(sent.status, 307)
    assert.match(sent.headers.get('location') ?? '', /[?&]X-Amz-Signature=/)
    const followed = await fetch(`${r.url}/v2/big/blob/blobs/${digest}`)
    assert.ok(Buffer.from(await followed.arrayBuffer()).equals(data))
  })

  test('ranges, the empty blob, and a bucket in the host name', async () => {
    await using r = await onBucket(bucket({ virtualHosted: true }))
    const digest = await pushBlob(r.url, 'a', 'abcdefgh')
    const part = await ask(`${r.url}/v2/a/blobs/${digest}`, { headers: { Range: 'bytes=2-4' } })
    assert.deepEqual([part.status, part.text], [206, 'cde'])
    const empty = await pushBlob(r.url, 'a', '')
    assert.deepEqual((await ask(`${r.url}/v2/a/blobs/${empty}`)).text, '')
  })

  test('while the storage is away pushes are refused and nothing is lost; they go on when it is back', async () => {
    await using own = await startS3Server()
    await using r = await onBucket(own.settings)
    const before = await pushImage(r, 'a', 'v1', 'one')
    const probe = async (path: string) => (await ask(`${r.url}/${path}`)).status
    assert.deepEqual([await probe('healthz'), await probe('readyz')], [200, 200])
    await own.stop()
    assert.deepEqual([await probe('healthz'), await probe('readyz')], [200, 503])
    assert.equal((await pushManifest(r.url, { repository: 'a', reference: 'v2' }, before.text)).status, 503)
    await own.start()
    assert.equal(await probe('readyz'), 200)
    assert.equal((await pushManifest(r.url, { repository: 'a', reference: 'v2' }, before.text)).status, 201)
    assert.equal((await ask(`${r.url}/v2/a/manifests/v2`)).text, before.text)
  })

  test('TLS with a certificate of its own', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'wharf-s3-tls-'))
    try {
      const [key, certificate] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
      const request = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost
        -addext subjectAltName=DNS:localhost -keyout ${key} -out ${certificate}`
      await run('openssl', request.split(/\s+/))
      await using own = await startS3Server({ key: await readFile(key), cert: await readFile(certificate) })
      await assert.rejects(onBucket(own.settings), /storage cannot be reached/)
      await using r = await onBucket({ ...own.settings, ca: certificate })
      await pushImage(r, 'a', 'v1', 'one')
      assert.equal((await ask(`${r.url}/v2/a/manifests/v1`)).status, 200)
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })

  test('a bucket that is not there, or a wrong key, is said at the start', async () => {
    await assert.rejects(onBucket(bucket({ bucket: 'no-such-bucket' })), /there is no such bucket/)
    await assert.rejects(onBucket(bucket({ secretKey: 'wrong' })), /the bucket may not be used/)
  })
})

describe('several registries on one bucket', () => {
  test('each serves what the others push, move and delete', async () => {
    const s3 = bucket({ follow: '0s' })
    await using a = await onBucket(s3)
    await using b = await onBucket(s3)
    const one = await pushImage(a, 'team/app', 'v1', 'one')
    assert.equal((await ask(`${b.url}/v2/team/app/manifests/v1`)).text, one.text)
    assert.equal((await ask(`${b.url}/v2/team/app/blobs/${one.layer}`)).text, 'layer one')
    // A push whose pieces come to different processes.
    const config = await pushBlob(a.url, 'team/app', '{"seed":"two"}')
    const layer = await pushBlob(b.url, 'team/app', 'layer two')
    const subject = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: one.digest, size: 1 }
    const two = imageManifest(config, [layer], { subject })
    for (const [r, reference] of [
      [a, 'v2'],
      [b, 'v1'],
    ] as const) {
      assert.equal((await pushManifest(r.url, { repository: 'team/app', reference }, two)).status, 201)
    }
    await ask(`${b.url}/_wharf/repositories/team/app`, { method: 'PATCH', body: '{"description":"shop"}' })
    const same = async () => {
      const seen = await view(a, 'team/app', ['v1', 'v2'])
      assert.deepEqual(await view(b, 'team/app', ['v1', 'v2']), seen)
      return seen
    }
    assert.deepEqual((await same()).manifests, [two, two])
    const referrers = await ask(`${b.url}/v2/team/app/referrers/${one.digest}`)
    assert.match(referrers.text, new RegExp(digestOf(two)))
    const remove = (r: TestRegistry, path: string) => ask(`${r.url}${path}`, { method: 'DELETE' })
    assert.equal((await remove(b, '/v2/team/app/manifests/v2')).status, 202)
    assert.match((await same()).tags, /"tags":\["v1"\]/)
    assert.equal((await remove(a, `/v2/team/app/manifests/${digestOf(two)}`)).status, 202)
    assert.match((await same()).tags, /"tags":\[\]/)
    assert.equal((await remove(b, '/_wharf/repositories/team/app')).status, 202)
    assert.match((await same()).catalog, /"repositories":\[\]/)
  })

  test('all agree on a tag that several push at once', async () => {
    const s3 = bucket({ follow: '0s' })
    await using a = await onBucket(s3)
    await using b = await onBucket(s3)
    const images = [await pushImage(a, 'x', 'a', 'A'), await pushImage(b, 'x', 'b', 'B')]
    for (let round = 0; round < 5; round++) {
      await Promise.all(
        [a, b].map((r, at) =>
          pushManifest(r.url, { repository: 'x', reference: 'latest' }, images[at]?.text ?? ''),
        ),
      )
      const [seen, other] = [await view(a, 'x', ['latest']), await view(b, 'x', ['latest'])]
      assert.deepEqual(seen, other)
      assert.ok(images.some(({ text }) => text === seen.manifests[0]))
    }
  })

  test('what is pushed to one while another collects is whole, or refused and pushed again', async () => {
    const s3 = bucket({ follow: '0s' })
    const soon = { collect: { grace: '1s', untagged: true } }
    await using a = await onBucket(s3, soon)
    await using b = await onBucket(s3, soon)
    const push = async (tag: string) => {
      for (let turn = 0; turn < 100; turn++) {
        try {
          return await pushImage(b, 'x', tag, 'same')
        } catch (error) {
          assert.match(String(error), /50[0-9]|MANIFEST_BLOB_UNKNOWN|pushed while/)
        }
      }
      throw new Error('no push went through')
    }
    const over = new AbortController()
    const collecting = (async () => {
      let rounds = 0
      for (; !over.signal.aborted; rounds++) {
        const { status, text } = await ask(`${a.url}/_wharf/collect`, { method: 'POST' })
        assert.equal(status, 200, text)
      }
      return rounds
    })()
    try {
      // The blobs are the same in all, and nobody's from when the image before is deleted.
      for (let round = 0; round < 4; round++) {
        const image = await push('latest')
        for (const r of [a, b]) {
          assert.equal((await ask(`${r.url}/v2/x/manifests/latest`)).text, image.text)
          for (const digest of [image.config, image.layer]) {
            assert.equal((await ask(`${r.url}/v2/x/blobs/${digest}`)).status, 200)
          }
        }
        await ask(`${b.url}/v2/x/manifests/${image.digest}`, { method: 'DELETE' })
        if (round % 2 === 1) continue
        // Asking for it over HTTP would keep it.
        const { index } = a.registry.store
        const count = () => index.database.get('SELECT count(*) AS blobs FROM blobs')?.['blobs']
        await eventually('the blobs are collected', () => Promise.resolve(count() === 0))
      }
    } finally {
      over.abort()
      assert.ok((await collecting) > 0)
    }
  })

  test('a new process builds its index from the bucket, one that was away catches up', async () => {
    const s3 = bucket({ follow: '0s' })
    const data = await mkdtemp(join(tmpdir(), 'wharf-s3-away-'))
    try {
      await using a = await onBucket(s3)
      await pushImage(a, 'x', 'v1', 'one')
      {
        await using away = await onBucket(s3, {}, data)
        await pushImage(away, 'x', 'v2', 'two')
      }
      await pushImage(a, 'x', 'v3', 'three')
      await ask(`${a.url}/v2/x/manifests/v1`, { method: 'DELETE' })
      await using back = await onBucket(s3, {}, data)
      await using fresh = await onBucket(s3)
      const seen = await view(a, 'x', ['v1', 'v2', 'v3'])
      assert.match(seen.tags, /\["v2","v3"\]/)
      assert.deepEqual(await view(back, 'x', ['v1', 'v2', 'v3']), seen)
      assert.deepEqual(await view(fresh, 'x', ['v1', 'v2', 'v3']), seen)
    } finally {
      await rm(data, { recursive: true, force: true })
    }
  })
})
