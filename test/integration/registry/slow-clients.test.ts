/** Clients that make the registry wait: how long it does, what they are told, and that nobody else notices. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { promisify } from 'node:util'
import { loadConfig } from '../../../src/registry/config.ts'
import { eventually } from '../../fixtures/processes.ts'
import { digestOf, pushBlob, startTestRegistry, type TestRegistry } from '../../fixtures/test-registry.ts'

const run = promisify(execFile)

async function open(r: TestRegistry, start: string): Promise<Socket> {
  const socket = connect(r.registry.address.port, '127.0.0.1')
  await once(socket, 'connect')
  socket.on('error', () => {})
  socket.write(start)
  return socket
}

const upload = (r: TestRegistry) =>
  fetch(`${r.url}/v2/slow/blobs/uploads/`, { method: 'POST' }).then(
    (answer) => new URL(answer.headers.get('location') ?? '').pathname,
  )

function checkLate(answer: string): void {
  assert.match(answer, /^HTTP\/1\.1 408 /)
  assert.match(answer, /\{"errors":\[\{"code":"UNSUPPORTED","message":"the request took too long"\}\]\}/)
}

test('headers that do not come in time are refused, by the byte or not at all', async () => {
  await using r = await startTestRegistry({ timeouts: { header: '1s' } })
  const silent = await open(r, 'GET /v2/ HTTP/1.1\r\nHo')
  const dripping = await open(r, 'GET /v2/ HTTP/1.1\r\nX: ')
  const ended = new AbortController()
  const drip = (async () => {
    while (!ended.signal.aborted) {
      dripping.write('x')
      await setTimeout(50)
    }
  })()
  try {
    for (const socket of [silent, dripping]) checkLate(await text(socket))
  } finally {
    ended.abort()
    await drip
  }
})

test('a body that stops is refused, its upload goes on from what came, a slow one is taken', async () => {
  await using r = await startTestRegistry({ timeouts: { idle: '3s' } })
  const [stopping, slow] = [await upload(r), await upload(r)]
  const patch = (path: string) => `PATCH ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n`
  const stopped = await open(r, `${patch(stopping)}0123456789`)
  const dripping = await open(r, patch(slow))
  const answer = text(dripping)
  // Twice as long as nothing may come.
  for (let byte = 0; byte < 30; byte++) {
    dripping.write('x')
    await setTimeout(200)
  }
  dripping.end()
  checkLate(await text(stopped))
  assert.match(await answer, /^HTTP\/1\.1 202 /)
  await eventually('what came is kept', async () => {
    return (await fetch(`${r.url}${stopping}`)).headers.get('range') === '0-9'
  })
  await pushBlob(r.url, 'slow', 'served all the same')
})

test('a request that takes too long as a whole is refused, however often its bytes come', async () => {
  await using r = await startTestRegistry({ timeouts: { request: '2s' } })
  const digest = digestOf('x')
  const start = `POST /v2/slow/blobs/uploads/?digest=${digest} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n`
  const socket = await open(r, start)
  const ended = new AbortController()
  const drip = (async () => {
    while (!ended.signal.aborted) {
      socket.write('x')
      await setTimeout(50)
    }
  })()
  try {
    checkLate(await text(socket))
  } finally {
    ended.abort()
    await drip
  }
  assert.equal((await fetch(`${r.url}/v2/slow/blobs/${digest}`)).status, 404)
})

test('who takes nothing of an answer is cut off, who takes it slowly gets it whole', async () => {
  await using r = await startTestRegistry({ timeouts: { idle: '3s' } })
  const data = Buffer.alloc(24 << 20, 'large')
  const digest = await pushBlob(r.url, 'slow', data)
  const get = `GET /v2/slow/blobs/${digest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`
  const deaf = await open(r, get)
  const slow = await open(r, get)
  await eventually('both are served', () => isServed(r, deaf) && isServed(r, slow))
  let received = 0
  for await (const chunk of slow) {
    received += (chunk as Buffer).length
    if (received < 6 << 20) await setTimeout(10)
  }
  assert.ok(received > data.length)
  const closed = once(deaf, 'close')
  await eventually('the registry lets go of who takes nothing', () => !isServed(r, deaf))
  deaf.destroy()
  await closed
})

/** Whether the registry's end of a client's connection is open. */
function isServed(r: TestRegistry, client: Socket): boolean {
  const hex = (port: number | undefined) => (port ?? 0).toString(16).toUpperCase().padStart(4, '0')
  const ends = new RegExp(`:${hex(r.registry.address.port)} \\S+:${hex(client.localPort)} 01 `)
  return ends.test(readFileSync('/proc/net/tcp', 'utf8'))
}

test('with TLS it is the same, and a handshake has to come as soon as headers', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'wharf-registry-slow-'))
  try {
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    const request = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost
      -addext subjectAltName=IP:127.0.0.1 -keyout ${key} -out ${certificate}`
    await run('openssl', request.split(/\s+/))
    await using r = await startTestRegistry({
      tls: { certificate, key },
      timeouts: { header: '1s', idle: '3s' },
    })
    const ca = await readFile(certificate)
    const { port } = r.registry.address
    const secure = async (start: string) => {
      const socket = connectTls({ port, host: '127.0.0.1', ca })
      await once(socket, 'secureConnect')
      socket.write(start)
      return await text(socket)
    }
    const body = 'POST /v2/slow/blobs/uploads/?digest=x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab'
    const silent = await open(r, '')
    const closed = once(silent, 'close')
    silent.resume()
    const [headers, upload] = await Promise.all([
      secure('GET /v2/ HTTP/1.1\r\nHo'),
      secure(body.replace('digest=x', `digest=${digestOf('x')}`)),
    ])
    checkLate(headers)
    checkLate(upload)
    await closed
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('the registry ends after the requests that are under way, where it is told to wait for them', async () => {
  const r = await startTestRegistry({ timeouts: { drain: '60s' } })
  const path = await upload(r)
  const socket = await open(r, `PATCH ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab`)
  await eventually('the request has begun', async () => {
    return (await fetch(`${r.url}${path}`)).headers.get('range') === '0-1'
  })
  const ended = r[Symbol.asyncDispose]()
  await assert.rejects(
    eventually('no new connection is taken', async () => {
      await fetch(`${r.url}/v2/`, { headers: { Connection: 'close' } })
      return false
    }),
    /fetch failed/,
  )
  socket.write('cd')
  assert.match(await text(socket), /^HTTP\/1\.1 202 /)
  await ended
})

test('timeouts come from the file and from the reference registry variable, and can be read again', async () => {
  const config = await loadConfig({
    file: undefined,
    environment: { REGISTRY_HTTP_DRAINTIMEOUT: '45s' },
    flags: {},
  })
  assert.deepEqual(config.timeouts, { header: 30_000, idle: 60_000, request: 0, drain: 45_000 })
  await using r = await startTestRegistry()
  await r.registry.reload({
    ...config,
    addr: '127.0.0.1:0',
    data: r.data,
    timeouts: { ...config.timeouts, header: 1_000, drain: 0 },
  })
  checkLate(await text(await open(r, 'GET /v2/ HTTP/1.1\r\nHo')))
})
