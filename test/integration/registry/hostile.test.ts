/** Requests that no client sends: raw sockets, broken syntax, cut connections, many open uploads. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import {
  digestOf,
  imageManifest,
  pushBlob,
  pushManifest,
  startTestRegistry,
  type TestRegistry,
} from '../../fixtures/test-registry.ts'

const run = promisify(execFile)
let r: TestRegistry
before(async () => {
  r = await startTestRegistry()
})
after(() => r[Symbol.asyncDispose]())

/** Sends bytes as they are and reads until the server ends. */
async function raw(data: string | Buffer): Promise<string> {
  const socket = connect(r.registry.address.port, '127.0.0.1')
  await once(socket, 'connect')
  socket.end(data)
  return await text(socket)
}

const get = (path: string) => raw(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1])

test('paths that climb out or break are 4xx', async () => {
  const digest = digestOf('x')
  const paths = [
    '/v2/../../etc/passwd/blobs/x',
    '/v2/a/../b/manifests/x',
    '/v2/..%2f..%2f..%2fetc/manifests/passwd',
    '/v2/a%00b/manifests/x',
    '/v2/a/blobs/..%2f..%2f..%2fwharf%2findex.db',
    '/v2/a/blobs/uploads/..%2f..%2findex.db',
    '/v2/a/manifests/..%2f..%2fx',
    '/v2/a/manifests/%ff',
    '/v2/%E0%A4%A/manifests/x',
    `/v2/a/blobs/${digest}%0d%0aX-Injected:%201`,
    '/v2//manifests/x',
    '/v2/_catalog/x',
    `/v2/${'a/'.repeat(400)}a/manifests/x`,
    '/v2/__proto__/manifests/constructor',
    '/v2/_catalog?n=99999999999999999999',
    '/v2/_catalog?n=1e3',
    '/v2/a/referrers/sha256:..',
  ]
  for (const path of paths) {
    const answer = await get(path)
    assert.match(answer, /^HTTP\/1\.1 4\d\d /, `${path}: ${answer.slice(0, 100)}`)
    assert.ok(!answer.includes('\r\nX-Injected'))
  }
})

test('random paths, queries and headers never make a 5xx', async () => {
  const pieces = [
    'v2',
    'a',
    '_catalog',
    'blobs',
    'uploads',
    'manifests',
    'tags',
    'list',
    'referrers',
    '..',
    '%2f',
    '%',
    ':',
    '?n=',
    'sha256:',
    digestOf('x'),
    '&last=',
    '',
    '*',
    '\u00ff',
  ]
  for (let round = 0; round < 400; round++) {
    const pick = () => pieces[randomBytes(1)[0]! % pieces.length]!
    const path = `/v2/${Array.from({ length: 1 + (round % 6) }, pick).join('/')}`
    const method = ['GET', 'PUT', 'POST', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'][round % 7]!
    const answer = await raw(
      Buffer.from(
        `${method} ${path} HTTP/1.1\r\nHost: x\r\nRange: bytes=${pick()}-${pick()}\r\nContent-Range: ${pick()}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
        'latin1',
      ),
    )
    assert.ok(statusOf(answer) < 500, `${method} ${path}: ${answer.slice(0, 200)}`)
  }
})

test('random and mutated manifests are refused or stored whole, never a 5xx', async () => {
  const config = await pushBlob(r.url, 'fuzz', '{}')
  const good = imageManifest(config, [config], {
    annotations: { a: 'b' },
    subject: { mediaType: 'x', digest: config, size: 1 },
  })
  const type = 'application/vnd.oci.image.manifest.v1+json'
  for (let round = 0; round < 300; round++) {
    const bytes = Buffer.from(good)
    for (let change = 0; change <= round % 4; change++) {
      bytes[randomBytes(4).readUInt32LE() % bytes.length] = randomBytes(1)[0]!
    }
    const answer = await fetch(`${r.url}/v2/fuzz/manifests/t${round}`, {
      method: 'PUT',
      body: bytes,
      headers: { 'Content-Type': type },
    })
    const said = await answer.text()
    assert.ok([201, 400, 404].includes(answer.status), `${answer.status} ${said} for ${bytes.toString()}`)
    if (answer.status !== 201) continue
    const back = Buffer.from(await (await fetch(`${r.url}/v2/fuzz/manifests/t${round}`)).arrayBuffer())
    assert.ok(back.equals(bytes))
  }
  for (const odd of ['[]', '1', '"x"', '{"schemaVersion":2,"layers":[null]}', '['.repeat(100_000)]) {
    const answer = await pushManifest(r.url, { repository: 'fuzz', reference: 'odd' }, odd)
    assert.equal(answer.status, 400)
  }
})

test('a body that is cut off stores nothing whole, and the upload goes on from what came', async () => {
  const started = await fetch(`${r.url}/v2/cut/blobs/uploads/`, { method: 'POST' })
  const location = started.headers.get('location')!
  const { pathname } = new URL(location)
  const socket = connect(r.registry.address.port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(`PATCH ${pathname} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nonly this`)
  const reaches = async (wanted: string) => {
    const deadline = Date.now() + 10_000
    let range = ''
    while (range !== wanted && Date.now() < deadline)
      range = (await fetch(location)).headers.get('range') ?? ''
    assert.equal(range, wanted)
  }
  await reaches('0-8')
  const closed = once(socket, 'close')
  socket.end()
  socket.resume()
  await closed
  await reaches('0-8')
  const rest = await fetch(location, {
    method: 'PATCH',
    body: ' and that',
    headers: { 'Content-Range': '9-17' },
  })
  assert.equal(rest.status, 202)
  const digest = digestOf('only this and that')
  assert.equal((await fetch(`${location}?digest=${digest}`, { method: 'PUT' })).status, 201)
  // A manifest that is cut off is not there.
  await raw('PUT /v2/cut/manifests/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"schemaVersion":2')
  assert.equal((await fetch(`${r.url}/v2/cut/manifests/x`)).status, 404)
})

test('two pieces at the same offset: one is taken, the other is told', async () => {
  const started = await fetch(`${r.url}/v2/twice/blobs/uploads/`, { method: 'POST' })
  const location = started.headers.get('location')!
  const patch = () => fetch(location, { method: 'PATCH', body: 'abc', headers: { 'Content-Range': '0-2' } })
  const statuses = (await Promise.all([patch(), patch(), patch()])).map(({ status }) => status)
  assert.deepEqual(
    statuses.toSorted((left, right) => left - right),
    [202, 416, 416],
  )
})

test('the same blob pushed by many at once is stored once and given to all', async () => {
  const data = randomBytes(200_000)
  const digests = await Promise.all(
    Array.from({ length: 16 }, (_, index) => pushBlob(r.url, `same/r${index % 4}`, data)),
  )
  assert.equal(new Set(digests).size, 1)
  for (let index = 0; index < 4; index++) {
    const answer = await fetch(`${r.url}/v2/same/r${index}/blobs/${digests[0]}`)
    assert.ok(Buffer.from(await answer.arrayBuffer()).equals(data))
  }
})

test('too large headers and what is no HTTP are refused', async () => {
  const large = `GET /v2/ HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(17_000)}\r\n\r\n`
  assert.equal(statusOf(await raw(large)), 431)
  assert.equal(statusOf(await raw('nonsense\r\n\r\n')), 400)
})

test('clients that send their headers by the byte, or a body without an end, hold up nobody', async () => {
  const slow = Array.from({ length: 300 }, (_, n) => {
    const socket = connect(r.registry.address.port, '127.0.0.1')
    const upload = `POST /v2/slow/blobs/uploads/?digest=${digestOf('x')} HTTP/1.1\r\nHost: x\r\n`
    socket.on('error', () => {})
    socket.write(n % 2 === 0 ? 'GET /v2/ HTTP/1.1\r\nHo' : `${upload}Content-Length: 1000000\r\n\r\nabc`)
    return socket
  })
  try {
    await Promise.all(slow.filter(({ connecting }) => connecting).map((socket) => once(socket, 'connect')))
    const digest = await pushBlob(r.url, 'quick', 'served all the same')
    assert.equal((await fetch(`${r.url}/v2/quick/blobs/${digest}`)).status, 200)
  } finally {
    for (const socket of slow) socket.destroy()
  }
})

test('a full disk refuses pushes with a clear error, stores nothing, and serves on', async () => {
  const data = await mkdtemp(join(tmpdir(), 'wharf-registry-full-'))
  await run('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', data])
  try {
    await using full = await startTestRegistry({}, { data })
    const config = await pushBlob(full.url, 'a', '{}')
    const text = imageManifest(config, [config])
    await pushManifest(full.url, { repository: 'a', reference: 'v1' }, text)
    const large = randomBytes(16 << 20)
    const digest = digestOf(large)
    const push = () =>
      fetch(`${full.url}/v2/a/blobs/uploads/?digest=${digest}`, { method: 'POST', body: large })
    const refused = await push()
    assert.equal(refused.status, 507)
    assert.match(await refused.text(), /"code":"UNAVAILABLE","message":"no space left on the registry"/)
    assert.equal((await fetch(`${full.url}/v2/a/blobs/${digest}`, { method: 'HEAD' })).status, 404)
    assert.deepEqual(await readdir(join(data, 'wharf/uploads')), [])
    // Full to the last page: the index cannot grow either.
    await writeFile(join(data, 'filler'), Buffer.alloc(16 << 20)).catch(() => {})
    const statuses = new Set<number>()
    for (let n = 0; n < 60; n++) {
      const answer = await pushManifest(
        full.url,
        { repository: 'a', reference: `t${n}` },
        `${text}${' '.repeat(n * 400)}`,
      )
      statuses.add(answer.status)
      if (answer.status !== 201) assert.match(answer.body, /"code":"UNAVAILABLE"/)
    }
    assert.deepEqual(
      [...statuses].filter((status) => status !== 201),
      [507],
    )
    assert.equal(await (await fetch(`${full.url}/v2/a/manifests/v1`)).text(), text)
    await rm(join(data, 'filler'))
    assert.equal((await pushManifest(full.url, { repository: 'a', reference: 'v2' }, text)).status, 201)
  } finally {
    await run('umount', ['-l', data])
    await rm(data, { recursive: true, force: true })
  }
})
