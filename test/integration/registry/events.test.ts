/** Webhooks tell of the same operations in the same words as the reference registry's. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { test } from 'node:test'
import { eventually } from '../../fixtures/processes.ts'
import { freePort, startRegistryProcess } from '../../fixtures/registry-process.ts'
import { digestOf, imageManifest, pushManifest, startTestRegistry } from '../../fixtures/test-registry.ts'

const reference = '/usr/bin/docker-registry'
const type = 'application/vnd.docker.distribution.manifest.v2+json'

type Event = {
  action: string
  target: Record<string, unknown>
  request: Record<string, unknown>
  [key: string]: unknown
}

/** Takes events of a registry; disposing stops it. */
async function receive() {
  const events: Event[] = []
  const server = createServer((request, response) => {
    void (async () => {
      events.push(...((await json(request)) as { events: Event[] }).events)
      response.end()
    })()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    events,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    [Symbol.dispose]: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

async function pushBlob(url: string, repository: string, data: string): Promise<string> {
  const begun = await fetch(`${url}/v2/${repository}/blobs/uploads/`, { method: 'POST' })
  const location = new URL(begun.headers.get('location') ?? '')
  location.searchParams.set('digest', digestOf(data))
  assert.equal((await fetch(location, { method: 'PUT', body: data })).status, 201)
  return digestOf(data)
}

/** Does all that registries tell of; answers how many events there should be. */
async function operate(url: string): Promise<number> {
  const config = await pushBlob(url, 'a/b', '{}')
  const layer = await pushBlob(url, 'a/b', 'a layer')
  const sized = (digest: string, size: number) => ({ digest, size })
  const text = imageManifest(config, [layer], {
    mediaType: type,
    config: { mediaType: 'application/vnd.docker.container.image.v1+json', ...sized(config, 2) },
    layers: [{ mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip', ...sized(layer, 7) }],
  })
  const pushed = await pushManifest(url, { repository: 'a/b', reference: 'v1', type }, text)
  assert.equal(pushed.status, 201, pushed.body)
  const accept = { headers: { Accept: type } }
  await (await fetch(`${url}/v2/a/b/manifests/v1`, accept)).text()
  await (await fetch(`${url}/v2/a/b/manifests/${digestOf(text)}`, accept)).text()
  await (await fetch(`${url}/v2/a/b/blobs/${layer}`)).text()
  const mount = `mount=${layer}&from=a/b`
  assert.equal((await fetch(`${url}/v2/c/blobs/uploads/?${mount}`, { method: 'POST' })).status, 201)
  const gone = await fetch(`${url}/v2/a/b/manifests/${digestOf(text)}`, { method: 'DELETE' })
  assert.equal(gone.status, 202)
  return 9
}

/** Without what differs from run to run: names, times, ports. */
function comparable(events: readonly Event[], port: number): unknown[] {
  return events.map(({ id, timestamp, source, request, ...event }) => {
    assert.match(String(id), /^[0-9a-f-]{36}$/)
    assert.ok(Date.parse(String(timestamp)) > 0)
    assert.deepEqual(Object.keys(source as object).sort(), ['addr', 'instanceID'])
    const { id: requestId, addr, ...asked } = request
    assert.match(`${String(requestId)} ${String(addr)}`, /^[0-9a-f-]{36} 127\.0\.0\.1:\d+$/)
    return JSON.parse(
      JSON.stringify({ ...event, request: asked }).replaceAll(String(port), 'PORT'),
    ) as unknown
  })
}

test("events are the reference registry's", { skip: !existsSync(reference) }, async () => {
  const root = await mkdtemp(join(tmpdir(), 'wharf-registry-events-'))
  try {
    using theirs = await receive()
    using ours = await receive()
    const port = await freePort()
    const config = join(root, 'reference.yml')
    await writeFile(
      config,
      `version: 0.1
log: { level: error }
storage: { filesystem: { rootdirectory: ${root}/data }, delete: { enabled: true } }
http: { addr: "127.0.0.1:${port}" }
notifications: { endpoints: [{ name: test, url: "${theirs.url}", timeout: 5s, threshold: 5, backoff: 1s }] }
`,
    )
    {
      await using registry = await startRegistryProcess(root, port, [reference, 'serve', config])
      const wanted = await operate(registry.url)
      await eventually('all events have come', () => theirs.events.length >= wanted)
    }
    await using r = await startTestRegistry({ webhooks: [{ name: 'test', url: ours.url }] })
    const wanted = await operate(r.url)
    await eventually('all events have come', () => ours.events.length >= wanted)
    assert.deepEqual(comparable(ours.events, r.registry.address.port), comparable(theirs.events, port))
  } finally {
    await rm(root, { recursive: true, force: true })
  }
})
