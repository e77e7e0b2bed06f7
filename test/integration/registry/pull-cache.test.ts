/** A registry in front of another: what is fetched once, what is remembered, what happens without the other. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { hash } from 'bcryptjs'
import { loadConfig } from '../../../src/registry/config.ts'
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
    const first = imageManifest(config, [layer])
    await pushManifest(url, { repository: 'lib/app', reference: 'v1' }, first, headers)
    const upstreams = [{ prefix: 'hub', url, username: 'puller', password: 'secret', ttl: '0s' }]
    await using cache = await startTestRegistry({ upstreams })
    assert.equal((await get(`${cache.url}/v2/hub/lib/app/manifests/v1`)).text, first)
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

test('of an index the platforms that are wanted alone are fetched', async () => {
  await using upstream = await startTestRegistry()
  const platforms = ['linux/amd64', 'linux/arm/v7', 'linux/s390x', 'unknown/unknown']
  const children = new Map<string, string>()
  const config = await pushBlob(upstream.url, 'lib/app', '{}')
  for (const platform of platforms) {
    const child = imageManifest(config, [], { annotations: { platform } })
    const reference = digestOf(child)
    assert.equal((await pushManifest(upstream.url, { repository: 'lib/app', reference }, child)).status, 201)
    children.set(platform, reference)
  }
  const manifests = [...children].map(([platform, digest]) => {
    const [os, architecture, variant] = platform.split('/')
    const mediaType = 'application/vnd.oci.image.manifest.v1+json'
    return { mediaType, digest, size: 1, platform: { os, architecture, variant } }
  })
  const type = 'application/vnd.oci.image.index.v1+json'
  const index = JSON.stringify({ schemaVersion: 2, mediaType: type, manifests })
  await pushManifest(upstream.url, { repository: 'lib/app', reference: 'v1', type }, index)
  const upstreams = [{ prefix: 'hub', url: upstream.url, platforms: ['linux/amd64', 'linux/arm'] }]
  await using cache = await startTestRegistry({ upstreams })
  const manifest = (reference: string) => get(`${cache.url}/v2/hub/lib/app/manifests/${reference}`)
  // The index itself is as it is upstream: its digest is what people pin.
  assert.equal((await manifest('v1')).text, index)
  const statuses = new Map<string, number>()
  for (const [platform, digest] of children) statuses.set(platform, (await manifest(digest)).status)
  assert.deepEqual([...statuses.values()], [200, 200, 404, 200])
  assert.match(
    (await manifest(children.get('linux/s390x') ?? '')).text,
    /images for linux\/s390x are not cached/,
  )
})

test('upstreams are chosen by the longest prefix, by the name of the registry, and by a mirror parameter', async () => {
  const answerAs = (name: string) =>
    fakeUpstream((_request, response) => {
      response.writeHead(200, { 'Content-Type': 'application/vnd.oci.image.manifest.v1+json' })
      response.end(imageManifest(digestOf(name), []))
    })
  using hub = await answerAs('hub')
  using team = await answerAs('team')
  const upstreams = [
    { prefix: 'hub', url: hub.url, hosts: ['hub.local:5000', 'docker.io'] },
    { prefix: 'hub/team', url: team.url },
  ]
  await using cache = await startTestRegistry({ upstreams })
  const from = async (path: string, host?: string) => {
    const request = httpRequest(`${cache.url}/v2/${path}`, host === undefined ? {} : { headers: { host } })
    request.end()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    const manifest = JSON.parse(await text(response)) as { config?: { digest: string } }
    return ['hub', 'team'].find((name) => manifest.config?.digest === digestOf(name))
  }
  assert.equal(await from('hub/lib/app/manifests/v1'), 'hub')
  assert.equal(await from('hub/team/app/manifests/v1'), 'team')
  assert.equal(await from('lib/app/manifests/v2', 'hub.local:5000'), 'hub')
  assert.equal(await from('lib/app/manifests/v3?ns=docker.io'), 'hub')
  assert.equal(await from('lib/app/manifests/v4', 'elsewhere.local'), undefined)
  assert.deepEqual(
    hub.requests,
    ['v1', 'v2', 'v3'].map((tag) => `GET /v2/lib/app/manifests/${tag}`),
  )
  assert.deepEqual(team.requests, ['GET /v2/app/manifests/v1'])
})

test('tags are the upstream’s, by pages; without it those that are here', async () => {
  const upstream = await startTestRegistry()
  const config = await pushBlob(upstream.url, 'lib/app', '{}')
  for (const tag of ['v1', 'v2', 'v3']) {
    await pushManifest(upstream.url, { repository: 'lib/app', reference: tag }, imageManifest(config, []))
  }
  await using cache = await startTestRegistry({ upstreams: [{ prefix: 'hub', url: upstream.url }] })
  const list = async (query: string) => {
    const answer = await fetch(`${cache.url}/v2/hub/lib/app/tags/list${query}`)
    const body = (await answer.json()) as { name: string; tags: string[] }
    return { status: answer.status, link: answer.headers.get('link'), name: body.name, tags: body.tags }
  }
  const first = await list('?n=2')
  assert.deepEqual([first.name, first.tags], ['hub/lib/app', ['v1', 'v2']])
  const next = /^<([^>]+)>; rel="next"$/.exec(first.link ?? '')?.[1] ?? ''
  const second = await fetch(`${cache.url}${next}`)
  assert.deepEqual(((await second.json()) as { tags: string[] }).tags, ['v3'])
  assert.equal(second.headers.get('link'), null)
  assert.equal((await fetch(`${cache.url}/v2/hub/none/tags/list`)).status, 404)
  await get(`${cache.url}/v2/hub/lib/app/manifests/v2`)
  await upstream[Symbol.asyncDispose]()
  assert.deepEqual((await list('')).tags, ['v2'])
})

test('the reference registry variables make a cache of everything', async () => {
  await using upstream = await startTestRegistry()
  const layer = await pushBlob(upstream.url, 'lib/app', 'a layer')
  const environment = { REGISTRY_PROXY_REMOTEURL: upstream.url }
  const { upstreams } = await loadConfig({ file: undefined, environment, flags: {} })
  await using cache = await startTestRegistry({ upstreams: [{ url: upstreams[0]?.url }] })
  assert.equal((await get(`${cache.url}/v2/lib/app/blobs/${layer}`)).text, 'a layer')
})
