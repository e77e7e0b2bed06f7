/** A hundred thousand uploads that nobody goes on with: others are served, there is an end to them, and they expire. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { textColumn } from '../../../src/store/database.ts'
import { eventually } from '../../fixtures/processes.ts'
import {
  digestOf,
  imageManifest,
  pushBlob,
  pushManifest,
  startTestRegistry,
  type TestRegistry,
} from '../../fixtures/test-registry.ts'

const many = 100_000
const connections = 8
const atOnce = 200
const start = 'POST /v2/many/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n'

/** Starts uploads over one connection, without waiting for each answer; answers how many were accepted. */
async function startUploads(r: TestRegistry, wanted: number): Promise<number> {
  const socket = connect(r.registry.address.port, '127.0.0.1')
  await once(socket, 'connect')
  let accepted = 0
  let rest = ''
  for (let sent = 0; sent < wanted;) {
    const some = Math.min(atOnce, wanted - sent)
    socket.write(start.repeat(some))
    sent += some
    for (let answers = 0; answers < some;) {
      const [chunk] = (await once(socket, 'data')) as [Buffer]
      const heads = `${rest}${chunk.toString()}`.split('\r\n\r\n')
      rest = heads.pop() ?? ''
      answers += heads.length
      accepted += heads.filter((head) => head.startsWith('HTTP/1.1 202 ')).length
    }
  }
  socket.destroy()
  return accepted
}

async function pushImage(r: TestRegistry, tag: string): Promise<void> {
  const config = await pushBlob(r.url, 'others', '{}')
  const text = imageManifest(config, [await pushBlob(r.url, 'others', `layer of ${tag}`)])
  const { status, body } = await pushManifest(r.url, { repository: 'others', reference: tag }, text)
  assert.equal(status, 201, body)
  assert.equal(await (await fetch(`${r.url}/v2/others/manifests/${tag}`)).text(), text)
}

test('a hundred thousand open uploads hold up nobody, and expire', async () => {
  const clock = { ms: Date.now(), nowMs: () => clock.ms, nowNs: () => BigInt(clock.ms) * 1_000_000n }
  const limits = { uploads: { expiry: '1h' } }
  await using r = await startTestRegistry(limits, { clock })
  const before = process.memoryUsage().rss
  const started = Array.from({ length: connections }, () => startUploads(r, many / connections))
  // Meanwhile, and afterwards.
  await pushImage(r, 'meanwhile')
  const accepted = (await Promise.all(started)).reduce((sum, some) => sum + some, 0)
  assert.equal(accepted, many)
  await pushImage(r, 'afterwards')
  assert.ok(process.memoryUsage().rss - before < 300 << 20)
  const { uploads, index } = r.registry.store
  const open = () => Number(index.database.get('SELECT count(*) AS open FROM uploads')?.['open'])
  assert.equal(open(), many)

  // Any of them can be gone on with, and those that are do not expire with the others.
  clock.ms += 30 * 60_000
  const id = textColumn(index.database.get('SELECT id FROM uploads LIMIT 1 OFFSET 50000'), 'id')
  const path = `${r.url}/v2/many/blobs/uploads/${id}`
  assert.equal((await fetch(path, { method: 'PATCH', body: 'going on' })).status, 202)

  // There is an end to it: then no more can be pushed, and all is still served.
  for (let number = open(); number < 2 * many; number++) uploads.create('many', 'sha256')
  const refused = await fetch(`${r.url}/v2/others/blobs/uploads/`, { method: 'POST' })
  assert.equal(refused.status, 429)
  assert.ok(Number(refused.headers.get('retry-after')) > 0)
  assert.match(await refused.text(), /"code":"TOOMANYREQUESTS","message":"too many open uploads"/)
  assert.equal((await fetch(`${r.url}/v2/others/manifests/afterwards`)).status, 200)

  clock.ms += 31 * 60_000
  // The registry's own chores may be at it too.
  await uploads.expire()
  await eventually('the old ones have expired', () => open() === many + 1)
  clock.ms += 29 * 60_000 - 1
  assert.equal((await fetch(`${path}?digest=${digestOf('going on')}`, { method: 'PUT' })).status, 201)
  clock.ms += 60_000
  await uploads.expire()
  await eventually('all have expired', () => open() === 0)
  await pushImage(r, 'in-the-end')
})
