/** Quotas of namespaces and rates of addresses and users: also for many at once, by every way in, and read again. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { hash } from 'bcryptjs'
import { checkConfig } from '../../../src/registry/config.ts'
import {
  digestOf,
  imageManifest,
  pushBlob,
  pushManifest,
  startTestRegistry,
  type TestRegistry,
} from '../../fixtures/test-registry.ts'

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wharf-registry-limits-'))
})
after(() => rm(folder, { recursive: true, force: true }))

const reload = (r: TestRegistry, more: object) =>
  r.registry.reload(checkConfig({ addr: '127.0.0.1:0', data: r.data, ...more }))

describe('quotas', () => {
  const quota = (namespaces: Record<string, number | string>) => ({ limits: { namespaces } })

  test('many pushes at once get no more than fits, and the refused ones leave nothing', async () => {
    await using r = await startTestRegistry(quota({ team: 10_000 }))
    const push = (number: number) => pushBlob(r.url, `team/r${number % 4}`, `${number}`.padEnd(1_000, '.'))
    const pushes = await Promise.allSettled(Array.from({ length: 30 }, (_, number) => push(number)))
    assert.equal(pushes.filter(({ status }) => status === 'fulfilled').length, 10)
    for (const result of pushes) {
      if (result.status === 'rejected') assert.match(String(result.reason), /403 .*"DENIED".*quota of team/)
    }
    const blobs = r.registry.store.index.database.get('SELECT count(*) AS n FROM blobs')
    assert.equal(blobs?.['n'], 10)
    // What is there already takes no room, in any repository of the namespace.
    const [kept] = pushes.flatMap((result, number) => (result.status === 'fulfilled' ? [number] : []))
    await pushBlob(r.url, 'team/elsewhere', `${kept}`.padEnd(1_000, '.'))
    // Room that is free again can be used.
    for (const name of ['team/r0', 'team/elsewhere']) {
      await fetch(`${r.url}/_wharf/repositories/${name}`, { method: 'DELETE' })
    }
    await pushBlob(r.url, 'team/later', 'x'.repeat(1_000))
    await pushBlob(r.url, 'other/r', 'x'.repeat(20_000))
  })

  test('a mount from elsewhere counts, and so do manifests', async () => {
    await using r = await startTestRegistry(quota({ small: 3_000 }))
    const large = await pushBlob(r.url, 'other/r', 'x'.repeat(2_900))
    const mount = async (digest: string, more = '&from=other/r') => {
      const query = `mount=${digest}${more}`
      const answer = await fetch(`${r.url}/v2/small/r/blobs/uploads/?${query}`, { method: 'POST' })
      return { status: answer.status, text: await answer.text() }
    }
    assert.equal((await mount(large)).status, 201)
    assert.equal((await mount(large)).status, 201)
    const more = await pushBlob(r.url, 'other/r', 'y'.repeat(200))
    for (const from of ['&from=other/r', '']) {
      const refused = await mount(more, from)
      assert.equal(refused.status, 403)
      assert.match(refused.text, /quota of small exceeded/)
    }
    assert.equal((await fetch(`${r.url}/v2/small/r/blobs/${more}`)).status, 404)
    const text = imageManifest(large, [])
    const manifest = await pushManifest(r.url, { repository: 'small/r', reference: 'v1' }, text)
    assert.equal(manifest.status, 403)
    assert.equal((await fetch(`${r.url}/v2/small/r/manifests/v1`)).status, 404)
  })

  test('a star is for all that are not named; quotas are read again', async () => {
    await using r = await startTestRegistry(quota({ '*': 10, big: '1k' }))
    await pushBlob(r.url, 'big/r', 'x'.repeat(500))
    await assert.rejects(pushBlob(r.url, 'any/r', 'x'.repeat(500)), /quota of any/)
    await reload(r, quota({ '*': 1000 }))
    await pushBlob(r.url, 'any/r', 'x'.repeat(500))
  })

  test('blobs have a largest size, which is read again', async () => {
    await using r = await startTestRegistry({ limits: { blob: 100 } })
    await assert.rejects(pushBlob(r.url, 'r', 'x'.repeat(101)), /413 .*blob is too large/)
    assert.equal((await fetch(`${r.url}/v2/r/blobs/${digestOf('x'.repeat(101))}`)).status, 404)
    await reload(r, { limits: { blob: 200 } })
    await pushBlob(r.url, 'r', 'x'.repeat(101))
  })
})

describe('rates', () => {
  test('hold for each user from wherever, and for each address', async () => {
    const htpasswd = join(folder, 'htpasswd')
    const line = async (name: string) => `${name}:${await hash('secret', 4)}\n`
    await writeFile(htpasswd, (await line('alice')) + (await line('bob')))
    const users = { users: { htpasswd }, tokens: {} }
    await using r = await startTestRegistry({ ...users, limits: { userRequestsPerSecond: 1 } })
    const basic = (name: string) => `Basic ${Buffer.from(`${name}:secret`).toString('base64')}`
    const ask = async (authorization: string) => {
      const answer = await fetch(`${r.url}/v2/`, { headers: { Authorization: authorization } })
      return { status: answer.status, headers: answer.headers, text: await answer.text() }
    }
    const issued = await fetch(`${r.url}/token`, { headers: { Authorization: basic('alice') } })
    const { token } = (await issued.json()) as { token: string }
    // Whichever proof she uses, alice is one.
    const proofs = Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? basic('alice') : `Bearer ${token}`))
    const answers = await Promise.all(proofs.map(ask))
    const refused = answers.filter(({ status }) => status === 429)
    assert.ok(refused.length >= 10 && refused.length < 20)
    assert.ok(Number(refused[0]?.headers.get('retry-after')) >= 1)
    assert.match(refused[0]?.text ?? '', /"code":"TOOMANYREQUESTS"/)
    assert.equal((await ask(basic('bob'))).status, 200)
    await reload(r, { ...users, limits: { requestsPerSecond: 1 } })
    const all = await Promise.all(Array.from({ length: 20 }, () => ask(basic('bob'))))
    assert.ok(all.some(({ status }) => status === 429))
    assert.equal((await ask(basic('alice'))).status, 429)
  })
})
