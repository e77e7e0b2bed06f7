/** Clients that make the registry wait: how long it does, what they are told, and that nobody else notices. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import { test } from 'node:test'
import { loadConfig } from '../../../src/registry/config.ts'
import { eventually } from '../../fixtures/processes.ts'
import { digestOf, pushBlob, startTestRegistry, type TestRegistry } from '../../fixtures/test-registry.ts'

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
