import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { Agent, request, type RequestOptions } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'

let daemon: TestDaemon
let work: string
let archive: Buffer
const content = 'some text of the file, again and again. '.repeat(20_000)

before(async () => {
  daemon = await startDaemon()
  await daemon.loadBusybox()
  work = join(daemon.names.root, 'work')
  mkdirSync(work)
  writeFileSync(join(work, 'file'), content)
  writeFileSync(join(work, 'empty'), '')
  archive = execFileSync('tar', ['-C', work, '-cf', '-', 'file'], { maxBuffer: 1 << 30 })
  await docker('create', '--network', 'none', '--name', 'box', 'busybox')
})
after(async () => {
  await daemon[Symbol.asyncDispose]()
})

async function docker(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.docker(args)
  assert.equal(code, 0, `docker ${args.join(' ')}: ${stderr}`)
  return stdout
}

const putPath = '/containers/box/archive?path=/tmp'

async function call(options: RequestOptions, body?: Buffer) {
  const outgoing = request({ socketPath: daemon.socketPath, ...options })
  outgoing.end(body)
  const [answer] = await once(outgoing, 'response')
  return { status: Number(answer.statusCode), headers: answer.headers, body: await buffer(answer) }
}

/** The file that an archive should have put there; it is emptied for the next one. */
async function checkFile(): Promise<void> {
  const { status, body } = await call({ path: '/containers/box/archive?path=/tmp/file' })
  assert.equal(status, 200)
  const out = execFileSync('tar', ['-xOf', '-', 'file'], { input: body, maxBuffer: 1 << 30 })
  assert.equal(out.toString(), content)
  await docker('cp', '-q', join(work, 'empty'), 'box:/tmp/file')
}

async function put(body: Buffer, headers: Record<string, string> = {}): Promise<void> {
  const answer = await call({ method: 'PUT', path: putPath, headers }, body)
  assert.equal(answer.status, 200, answer.body.toString())
}

/** A connection of bytes, for what no HTTP client sends. */
async function raw(): Promise<Socket> {
  const socket = connect({ path: daemon.socketPath, allowHalfOpen: true })
  await once(socket, 'connect')
  return socket
}

function open(): string[] {
  return readdirSync(`/proc/${daemon.pid}/fd`)
}

/** Waits until as many descriptors are open as before. */
async function settled(before: number): Promise<void> {
  for (let tries = 0; open().length > before; tries++) {
    assert.ok(tries < 200, `descriptors stay open: ${open().length} of ${before}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const compressions: [name: string, bytes: () => Buffer][] = [
  ['not compressed', () => archive],
  ['gzip', () => gzipSync(archive)],
  ['zstd', () => zstdCompressSync(archive)],
  ['xz', () => execFileSync('xz', ['-c'], { input: archive })],
  ['bzip2', () => execFileSync('bzip2', ['-c'], { input: archive })],
]

for (const [name, bytes] of compressions) {
  test(`an archive, ${name}, with its length, in chunks, and from clients that wait or are old`, async () => {
    const body = bytes()
    await put(body, { 'Content-Length': String(body.length) })
    await checkFile()
    await put(body, { 'Transfer-Encoding': 'chunked' })
    await checkFile()
    await put(body, { 'Content-Length': String(body.length), Expect: '100-continue' })
    await checkFile()
    const socket = await raw()
    socket.write(`PUT ${putPath} HTTP/1.0\r\nContent-Length: ${body.length}\r\n\r\n`)
    socket.write(body)
    assert.match((await buffer(socket)).toString(), /^HTTP\/1\.1 200 /)
    await checkFile()
  })
}

test('chunks may be cut anywhere, and have extensions and trailers', async () => {
  const socket = await raw()
  const parts: Uint8Array[] = [
    Buffer.from(`PUT ${putPath} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`),
  ]
  for (let at = 0, size = 1; at < archive.length; at += size, size = (size * 7 + 3) % 40_000) {
    const piece = archive.subarray(at, at + size)
    parts.push(Buffer.from(`${piece.length.toString(16)};a=b\r\n`), piece, Buffer.from('\r\n'))
  }
  parts.push(Buffer.from('0\r\nTrailer: x\r\n\r\n'))
  const bytes = Buffer.concat(parts)
  for (let at = 0, size = 1; at < bytes.length; at += size, size = (size * 5 + 1) % 9000) {
    socket.write(bytes.subarray(at, at + size))
    if (at % 3 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  assert.match((await buffer(socket)).toString(), /^HTTP\/1\.1 200 /)
  await checkFile()
})

test('a tool that decompresses is the host’s, never one of the container’s', async () => {
  const evil = join(work, 'evil')
  mkdirSync(join(evil, 'usr/bin'), { recursive: true })
  for (const name of ['usr/bin/xz', 'bin-xz']) {
    writeFileSync(join(evil, name), '#!/bin/sh\ntouch /ran\nexec cat\n', { mode: 0o755 })
  }
  await docker('cp', `${evil}/usr`, 'box:/')
  await docker('cp', join(evil, 'bin-xz'), 'box:/bin/xz')
  await put(execFileSync('xz', ['-c'], { input: archive }))
  await checkFile()
  assert.equal((await call({ method: 'HEAD', path: '/containers/box/archive?path=/ran' })).status, 404)
})

test('a client that sends less than it said, or nonsense, is told or gone; nothing stays open', async () => {
  const before = open().length
  for (const [head, body] of [
    ['Content-Length: 100000', archive.subarray(0, 1000)],
    ['Transfer-Encoding: chunked', Buffer.from('zz\r\n')],
    ['Transfer-Encoding: chunked', Buffer.from('5\r\nabc')],
  ] as const) {
    const socket = await raw()
    socket.write(`PUT ${putPath} HTTP/1.1\r\nHost: x\r\n${head}\r\n\r\n`)
    socket.end(body)
    assert.match((await buffer(socket)).toString(), /^HTTP\/1\.1 500 [^]*"message":/)
  }
  const leaves = await raw()
  leaves.write(`PUT ${putPath} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n`)
  leaves.write(archive.subarray(0, 100_000), () => leaves.destroy())
  const reader = await raw()
  reader.write('GET /containers/box/export HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(reader, 'readable')
  reader.destroy()
  await settled(before)
  // Nobody holds the container.
  await docker('create', '--network', 'none', '--name', 'other', 'busybox')
  await docker('rm', 'other')
  await put(archive)
  await checkFile()
})

test('what fails in the middle leaves no descriptor open, and reads nothing of the next client', async () => {
  const compressed = execFileSync('xz', ['-c'], { input: archive })
  const nowhere = '/containers/box/archive?path=/no/such'
  const attempt = async () => {
    const missing = await call({ method: 'PUT', path: nowhere }, compressed)
    assert.equal(missing.status, 404)
    // On a connection whose number is the one that was just given back.
    assert.equal((await call({ path: '/_ping' })).body.toString(), 'OK')
    const socket = await raw()
    socket.write(`PUT ${putPath} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n`)
    socket.end(archive.subarray(0, 2000))
    assert.match((await buffer(socket)).toString(), /^HTTP\/1\.1 500 /)
  }
  await attempt()
  const before = open().length
  for (let turn = 0; turn < 10; turn++) await attempt()
  await settled(before + 3)
})

test('a refusal does not wait for the body, and the connection ends with it', async () => {
  const socket = await raw()
  const path = '/containers/none/archive?path=/'
  socket.write(`PUT ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nfirst bytes`)
  const answer = (await buffer(socket)).toString()
  assert.match(answer, /^HTTP\/1\.1 404 [^]*No such container: none/)
  socket.destroy()
})

test('a client that keeps connections gets its next answer on another one', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  try {
    for (let turn = 0; turn < 3; turn++) {
      const got = await call({ path: '/containers/box/archive?path=/tmp/file', agent })
      assert.deepEqual([got.status, got.headers.connection], [200, 'close'])
      assert.equal((await call({ path: '/_ping', agent })).body.toString(), 'OK')
    }
  } finally {
    agent.destroy()
  }
})

test('a slow reader holds up neither the others nor the end of the daemon', async () => {
  await docker('cp', join(work, 'file'), 'box:/tmp/file')
  const slow = await raw()
  slow.pause()
  slow.write('GET /containers/box/export HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal((await call({ path: '/_ping' })).body.toString(), 'OK')
  await checkFile()
  await daemon.stop()
  await daemon.start()
  assert.equal((await call({ path: '/_ping' })).body.toString(), 'OK')
  slow.destroy()
})
