/** A registry in front of another: what is fetched once, what is remembered, what happens without the other. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { hash } from 'bcryptjs'
import {
  digestOf,
  imageManifest,
  pushBlob,
  pushManifest,
  startTestRegistry,
} from '../../fixtures/test-registry.ts'

const get = async (url: string) => {
  const answer = await fetch(url)
  return { status: answer.status, text: await answer.text() }
}

test('an image is pulled through, by a token of the upstream, and served on without it', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'wharf-cache-'))
  try {
    const htpasswd = join(directory, 'htpasswd')
    await writeFile(htpasswd, `puller:${await hash('secret', 4)}\n`)
    const headers = { Authorization: `Basic ${Buffer.from('puller:secret').toString('base64')}` }
    const upstream = await startTestRegistry({ users: { htpasswd }, tokens: {} })
    const url = upstream.url
    const config = await pushBlob(url, 'lib/app', '{}', headers)
    const layer = await pushBlob(url, 'lib/app', 'a layer', headers)
    const text = imageManifest(config, [layer])
    await pushManifest(url, { repository: 'lib/app', reference: 'v1' }, text, headers)
    const upstreams = [{ prefix: 'hub', url, username: 'puller', password: 'secret', ttl: '0s' }]
    await using cache = await startTestRegistry({ upstreams })
    assert.equal((await get(`${cache.url}/v2/hub/lib/app/manifests/v1`)).text, text)
    assert.equal((await get(`${cache.url}/v2/hub/lib/app/blobs/${layer}`)).text, 'a layer')
    assert.equal((await get(`${cache.url}/v2/hub/lib/app/blobs/${digestOf('none')}`)).status, 404)
    assert.equal((await get(`${cache.url}/v2/hub/lib/none/manifests/v1`)).status, 404)
    const pushing = await fetch(`${cache.url}/v2/hub/lib/app/blobs/uploads/`, { method: 'POST' })
    assert.equal(pushing.status, 405)
    // Beside the prefix it is an ordinary registry.
    await pushBlob(cache.url, 'own/app', 'mine')
    // The tag moves upstream, and then the upstream goes away.
    const newer = imageManifest(config, [])
    await pushManifest(url, { repository: 'lib/app', reference: 'v1' }, newer, headers)
    assert.equal((await get(`${cache.url}/v2/hub/lib/app/manifests/v1`)).text, newer)
    await upstream[Symbol.asyncDispose]()
    assert.equal((await get(`${cache.url}/v2/hub/lib/app/manifests/v1`)).text, newer)
    assert.equal((await get(`${cache.url}/v2/hub/lib/app/blobs/${layer}`)).text, 'a layer')
    assert.equal((await get(`${cache.url}/v2/hub/lib/app/blobs/${config}`)).status, 503)
  } finally {
    await rm(directory, { recursive: true })
  }
})

/** An upstream that a test answers by itself. */
async function fakeUpstream(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const requests: string[] = []
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    answer(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    requests,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.dispose]: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

test('many who want the same blob share one fetch, and get bytes before it has ended', async () => {
  const data = randomBytes(2_000_000)
  const digest = digestOf(data)
  const go = Promise.withResolvers<void>()
  using upstream = await fakeUpstream((_request, response) => {
    response.writeHead(200, { 'Content-Length': String(data.length) })
    response.write(data.subarray(0, 1_000_000))
    void go.promise.then(() => response.end(data.subarray(1_000_000)))
  })
  await using cache = await startTestRegistry({ upstreams: [{ url: upstream.url }] })
  const url = `${cache.url}/v2/a/blobs/${digest}`
  const answers = await Promise.all(Array.from({ length: 8 }, () => fetch(url)))
  const readers = answers.map((answer) => answer.body!.getReader())
  const hashes = readers.map(() => createHash('sha256'))
  for (const [index, reader] of readers.entries()) {
    const { value } = await reader.read()
    assert.ok(value!.length > 0)
    hashes[index]!.update(value)
  }
  go.resolve()
  for (const [index, reader] of readers.entries()) {
    for (let next = await reader.read(); !next.done; next = await reader.read())
      hashes[index]!.update(next.value)
    assert.equal(`sha256:${hashes[index]!.digest('hex')}`, digest)
  }
  assert.equal(upstream.requests.length, 1)
  const again = await fetch(url)
  assert.ok(Buffer.from(await again.arrayBuffer()).equals(data))
  assert.equal(upstream.requests.length, 1)
})

test('a blob that is another than was asked for never arrives whole, and is not kept', async () => {
  using upstream = await fakeUpstream((_request, response) => {
    response.writeHead(200, { 'Content-Length': '5' }).end('wrong')
  })
  await using cache = await startTestRegistry({ upstreams: [{ url: upstream.url }] })
  const url = `${cache.url}/v2/a/blobs/${digestOf('right')}`
  // A request that comes before the first fetch has been put away shares its failure; a later one asks again.
  for (let round = 0; upstream.requests.length < 2; round++) {
    assert.ok(round < 100, 'the upstream is never asked again')
    await assert.rejects(fetch(url).then((answer) => answer.arrayBuffer()))
  }
})

test('what is missing upstream is not asked for again at once', async () => {
  using upstream = await fakeUpstream((_request, response) => {
    response.writeHead(404).end()
  })
  await using cache = await startTestRegistry({ upstreams: [{ url: upstream.url }] })
  for (let round = 0; round < 5; round++) {
    assert.equal((await get(`${cache.url}/v2/a/manifests/none`)).status, 404)
    assert.equal((await get(`${cache.url}/v2/a/blobs/${digestOf('none')}`)).status, 404)
  }
  assert.equal(upstream.requests.length, 2)
})
