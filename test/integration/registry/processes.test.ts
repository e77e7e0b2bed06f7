/** Several registry processes on one bucket of OpenStack Swift: what one does the others serve; one may die at any time. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { hash } from 'bcryptjs'
import { eventually } from '../../fixtures/processes.ts'
import { freePort, startConfiguredRegistry, type RegistryProcess } from '../../fixtures/registry-process.ts'
import { startS3Server } from '../../fixtures/s3-server.ts'
import { hasSwift, startSwift, type SwiftServer } from '../../fixtures/swift-server.ts'
import { digestOf, imageManifest, pushBlob, pushManifest } from '../../fixtures/test-registry.ts'

let root = ''
let swift: SwiftServer
let folders = 0

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'wharf-registry-processes-'))
  if (hasSwift) swift = await startSwift()
})
after(async () => {
  await swift?.[Symbol.asyncDispose]()
  await rm(root, { recursive: true, force: true })
})

/** A process with data of its own; the same name is the same data. */
async function start(name: string, settings: Record<string, unknown>): Promise<RegistryProcess> {
  return await startConfiguredRegistry(join(root, name), await freePort(), settings)
}

function onSwift(more: Record<string, unknown> = {}): Record<string, unknown> {
  folders += 1
  return { s3: { ...swift.settings, prefix: `folder-${folders}`, follow: '0s' }, ...more }
}

async function ask(url: string, init: RequestInit = {}) {
  const answer = await fetch(url, init)
  return { status: answer.status, text: await answer.text() }
}

async function kill(registry: RegistryProcess): Promise<void> {
  const closed = once(registry.child, 'close')
  registry.child.kill('SIGKILL')
  await closed
}

type Image = { text: string; blobs: string[] }

async function pushImage(url: string, name: string, seed: string): Promise<Image> {
  const [repository = '', reference = ''] = name.split(':')
  const config = await pushBlob(url, repository, `{"seed":"${seed}"}`)
  const layer = await pushBlob(url, repository, `layer ${seed}`)
  const text = imageManifest(config, [layer])
  const { status, body } = await pushManifest(url, { repository, reference }, text)
  if (status !== 201) throw new Error(`push of a manifest: ${status} ${body}`)
  return { text, blobs: [config, layer] }
}

async function checkImage(url: string, name: string, image: Image): Promise<void> {
  const [repository = '', reference = ''] = name.split(':')
  assert.equal((await ask(`${url}/v2/${repository}/manifests/${reference}`)).text, image.text)
  for (const digest of image.blobs) {
    const { status, text } = await ask(`${url}/v2/${repository}/blobs/${digest}`)
    assert.deepEqual([status, digestOf(text)], [200, digest])
  }
}

describe('processes on one bucket', { skip: !hasSwift }, () => {
  test('one serves at once what another took, deleted or collected', async () => {
    const settings = onSwift({ collect: { grace: '0s', untagged: true } })
    await using a = await start('serve-a', settings)
    await using b = await start('serve-b', settings)
    const image = await pushImage(a.url, 'team/app:v1', 'one')
    await checkImage(b.url, 'team/app:v1', image)
    assert.match((await ask(`${b.url}/v2/_catalog`)).text, /"team\/app"/)
    assert.equal((await ask(`${b.url}/v2/team/app/manifests/v1`, { method: 'DELETE' })).status, 202)
    assert.equal((await ask(`${a.url}/v2/team/app/manifests/v1`)).status, 404)
    const kept = await pushImage(a.url, 'team/other:v1', 'two')
    const collected = await ask(`${b.url}/_wharf/collect`, { method: 'POST' })
    assert.equal((JSON.parse(collected.text) as { blobs: number }).blobs, 3)
    assert.equal((await ask(`${a.url}/v2/team/app/blobs/${image.blobs[1]}`)).status, 404)
    for (const { url } of [a, b]) await checkImage(url, 'team/other:v1', kept)
  })

  test('while one collects and deletes, what another takes is whole or refused', async () => {
    const settings = onSwift({ collect: { grace: '15s', untagged: true } })
    await using a = await start('collect-a', settings)
    await using b = await start('collect-b', settings)
    const over = new AbortController()
    let collected = 0
    const collecting = (async () => {
      for (; !over.signal.aborted;) {
        const { status, text } = await ask(`${b.url}/_wharf/collect`, { method: 'POST' })
        assert.equal(status, 200, text)
        collected += (JSON.parse(text) as { blobs: number }).blobs
      }
    })()
    const kept = new Map<string, Image>()
    try {
      for (let round = 0; round < 6; round++) {
        const name = `x:t${round}`
        const image = await eventually('a push goes through', async () => {
          try {
            // Every other one has the blobs of the one before, which is deleted.
            return await pushImage(a.url, name, String(round - (round % 2)))
          } catch (error) {
            // With so short a time of grace a collection may take a blob before its manifest has come.
            assert.match(String(error), /50[0-9]|MANIFEST_BLOB_UNKNOWN|pushed while/)
            return undefined
          }
        })
        for (const { url } of [a, b]) await checkImage(url, name, image)
        if (round % 2 === 1) kept.set(name, image)
        else await ask(`${b.url}/v2/x/manifests/t${round}`, { method: 'DELETE' })
      }
      const [last, image] = [...kept].at(-1) ?? ['', undefined]
      kept.delete(last)
      await ask(`${a.url}/v2/x/manifests/${digestOf(image?.text ?? '')}`, { method: 'DELETE' })
      // Its manifest, its configuration and its layer.
      await eventually('what was deleted is collected', () => collected >= 3)
    } finally {
      over.abort()
      await collecting
    }
    for (const [name, image] of kept) await checkImage(a.url, name, image)
  })

  test('one is killed in the middle of an upload: the other goes on, and so does the upload', async () => {
    const settings = onSwift()
    await using b = await start('killed-b', settings)
    const data = randomBytes(3_000_000)
    let path = ''
    let image: Image
    {
      await using a = await start('killed-a', settings)
      image = await pushImage(a.url, 'x:v1', 'before')
      const begun = await fetch(`${a.url}/v2/x/blobs/uploads/`, { method: 'POST' })
      path = new URL(begun.headers.get('location') ?? '').pathname
      const socket = connect(a.port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(`PATCH ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${data.length}\r\n\r\n`)
      socket.write(data.subarray(0, 2_000_000))
      await eventually('half of it has come', async () => {
        const range = (await fetch(`${a.url}${path}`)).headers.get('range') ?? ''
        return Number(range.split('-')[1]) >= 1_000_000
      })
      await kill(a)
      socket.destroy()
    }
    await checkImage(b.url, 'x:v1', image)
    const later = await pushImage(b.url, 'x:v2', 'after')
    await using again = await start('killed-a', settings)
    await checkImage(again.url, 'x:v2', later)
    const status = await fetch(`${again.url}${path}`)
    assert.equal(status.status, 204)
    const at = Number((status.headers.get('range') ?? '').split('-')[1]) + 1
    assert.ok(at > 1 && at <= 2_000_000)
    const digest = digestOf(data)
    const rest = { method: 'PUT', body: data.subarray(at), headers: { 'Content-Range': `${at}-2999999` } }
    assert.equal((await ask(`${again.url}${path}?digest=${digest}`, rest)).status, 201)
    const sent = await fetch(`${b.url}/v2/x/blobs/${digest}`)
    assert.ok(Buffer.from(await sent.arrayBuffer()).equals(data))
  })

  test('the pieces of an upload may come to any that know of each other', async () => {
    const settings = onSwift()
    const s3 = settings['s3'] as Record<string, unknown>
    const open = async (name: string, port: number) =>
      await startConfiguredRegistry(join(root, name), port, {
        s3: { ...s3, peer: `http://127.0.0.1:${port}` },
      })
    const port = await freePort()
    await using b = await open('peer-b', await freePort())
    const data = randomBytes(3_000_000)
    const digest = digestOf(data)
    const at = (registry: RegistryProcess, path: string, init: RequestInit = {}) =>
      fetch(`${registry.url}${path}`, init)
    const begin = async (registry: RegistryProcess) => {
      const begun = await at(registry, '/v2/x/blobs/uploads/', { method: 'POST' })
      return new URL(begun.headers.get('location') ?? '').pathname
    }
    const piece = (from: number, to: number) => ({
      body: data.subarray(from, to),
      headers: { 'Content-Range': `${from}-${to - 1}` },
    })
    let path = ''
    {
      await using a = await open('peer-a', port)
      path = await begin(a)
      const taken = await at(b, path, { method: 'PATCH', ...piece(0, 1_000_000) })
      assert.equal(taken.status, 202)
      assert.equal(taken.headers.get('location'), `${b.url}${path}`)
      for (const registry of [a, b]) {
        const status = await at(registry, path)
        assert.deepEqual([status.status, status.headers.get('range')], [204, '0-999999'])
      }
      const wrong = await at(b, path, { method: 'PATCH', ...piece(2_000_000, 2_000_010) })
      assert.equal(wrong.status, 416)
      assert.equal((await at(a, path, { method: 'PATCH', ...piece(1_000_000, 2_000_000) })).status, 202)
      const cancelled = await begin(b)
      assert.equal((await at(a, cancelled, { method: 'DELETE' })).status, 204)
      assert.equal((await at(b, cancelled)).status, 404)
      await kill(a)
    }
    const away = await at(b, path)
    assert.equal(away.status, 503)
    assert.match(await away.text(), /the process that has this upload cannot be reached/)
    // It comes back at another address.
    await using a = await open('peer-a', await freePort())
    const done = await at(b, `${path}?digest=${digest}`, { method: 'PUT', ...piece(2_000_000, 3_000_000) })
    assert.equal(done.status, 201, await done.text())
    for (const registry of [a, b]) {
      const sent = await at(registry, `/v2/x/blobs/${digest}`)
      assert.ok(Buffer.from(await sent.arrayBuffer()).equals(data))
      const unknown = `${'0'.repeat(8)}-0000-0000-0000-${'0'.repeat(12)}.x`
      for (const id of ['x', unknown, '../x', `${unknown}.y`]) {
        assert.equal((await at(registry, `/v2/x/blobs/uploads/${encodeURIComponent(id)}`)).status, 404, id)
      }
    }
  })

  test('a token that one has issued is good at the others, also after it has died', async () => {
    const htpasswd = join(root, 'htpasswd')
    await writeFile(htpasswd, `alice:${await hash('secret', 4)}\n`)
    const settings = onSwift({ users: { htpasswd }, tokens: {} })
    await using b = await start('token-b', settings)
    const headers = { Authorization: '' }
    {
      await using a = await start('token-a', settings)
      const basic = Buffer.from('alice:secret').toString('base64')
      const issued = await ask(`${a.url}/token?scope=repository:x:pull,push`, {
        headers: { Authorization: `Basic ${basic}` },
      })
      headers.Authorization = `Bearer ${(JSON.parse(issued.text) as { token: string }).token}`
      await pushBlob(b.url, 'x', 'one', headers)
      await kill(a)
    }
    await using c = await start('token-c', settings)
    for (const { url } of [b, c]) {
      assert.equal((await ask(`${url}/v2/x/blobs/${digestOf('one')}`, { headers })).text, 'one')
    }
  })
})

test('a change that one made when it was killed is known to all once it is back', async () => {
  await using server = await startS3Server()
  const settings = { s3: { ...server.settings, follow: '0s' } }
  await using b = await start('untold-b', settings)
  {
    await using a = await start('untold-a', settings)
    await pushImage(a.url, 'x:v1', 'one')
    assert.equal((await ask(`${b.url}/v2/x/manifests/v2`)).status, 404)
    const isHeld = Promise.withResolvers<void>()
    server.fault = (method, key) => {
      if (method !== 'PUT' || !key.startsWith('wharf/changes/')) return undefined
      isHeld.resolve()
      return 'hold'
    }
    const text = imageManifest(digestOf('{"seed":"one"}'), [])
    const push = assert.rejects(pushManifest(a.url, { repository: 'x', reference: 'v2' }, text))
    await isHeld.promise
    await kill(a)
    await push
    server.fault = () => undefined
  }
  // It was not acknowledged, so it may be there or not; but all have to agree.
  await using a = await start('untold-a', settings)
  const [here, there] = await Promise.all([a, b].map(({ url }) => ask(`${url}/v2/x/manifests/v2`)))
  assert.deepEqual(here, there)
  assert.deepEqual(await ask(`${a.url}/v2/x/tags/list`), await ask(`${b.url}/v2/x/tags/list`))
})

test('a collection that the storage stops removes nothing afterwards', async () => {
  await using server = await startS3Server()
  const settings = { s3: { ...server.settings, follow: '0s' }, collect: { grace: '0s', untagged: true } }
  await using a = await start('stopped-a', settings)
  await using b = await start('stopped-b', settings)
  const image = await pushImage(a.url, 'x:v1', 'one')
  await ask(`${a.url}/v2/x/manifests/v1`, { method: 'DELETE' })
  server.fault = (method, key) => (method === 'DELETE' && key.includes('/blobs/') ? 'refuse' : undefined)
  assert.equal((await ask(`${a.url}/_wharf/collect`, { method: 'POST' })).status, 503)
  server.fault = () => undefined
  // To the other the blobs were there all the time.
  const again = await pushImage(b.url, 'x:v1', 'one')
  assert.deepEqual(again, image)
  for (const { url } of [a, b]) await checkImage(url, 'x:v1', again)
  const collected = await ask(`${a.url}/_wharf/collect`, { method: 'POST' })
  assert.equal(collected.status, 200, collected.text)
  for (const { url } of [a, b]) await checkImage(url, 'x:v1', again)
})
