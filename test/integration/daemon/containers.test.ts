import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { WebSocket } from 'ws'
import { eventually } from '../../fixtures/processes.ts'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'

let daemon: TestDaemon

before(async () => {
  daemon = await startDaemon()
  await daemon.loadBusybox()
})
after(async () => {
  await daemon[Symbol.asyncDispose]()
})

type Json = Record<string, unknown>

async function create(config: Json): Promise<string> {
  const answer = await daemon.api('POST', '/v1.50/containers/create', { Image: 'busybox', ...config })
  assert.equal(answer.status, 201, answer.body)
  return (answer.json as { Id: string }).Id
}

async function expect(status: number, method: string, path: string, body?: unknown) {
  const answer = await daemon.api(method, path, body)
  assert.equal(answer.status, status, `${path}: ${answer.body}`)
  return answer
}

const start = (id: string) => expect(204, 'POST', `/containers/${id}/start`)
const remove = (id: string) => expect(204, 'DELETE', `/containers/${id}?force=1`)

/** Opens a hijacked connection; what is read from it comes after the head. */
async function hijack(
  path: string,
  body = '',
  options: { upgrade?: boolean } = {},
): Promise<{ socket: Socket; head: string }> {
  const socket = connect({ path: daemon.socketPath, allowHalfOpen: true })
  const headers = ['Host: x', 'Content-Type: application/json', `Content-Length: ${body.length}`]
  if (options.upgrade !== false) headers.push('Connection: Upgrade', 'Upgrade: tcp')
  socket.write(`POST ${path} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n${body}`)
  let read = Buffer.alloc(0)
  for (;;) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    read = Buffer.concat([read, chunk])
    const end = read.indexOf('\r\n\r\n')
    if (end < 0) continue
    socket.pause()
    if (end + 4 < read.length) socket.unshift(read.subarray(end + 4))
    return { socket, head: read.subarray(0, end).toString() }
  }
}

/** Takes the frames of a hijacked stream apart. */
function unframe(data: Buffer): [number, string][] {
  const frames: [number, string][] = []
  for (let at = 0; at < data.length;) {
    const length = data.readUInt32BE(at + 4)
    frames.push([data[at] ?? -1, data.subarray(at + 8, at + 8 + length).toString()])
    at += 8 + length
  }
  return frames
}

const joined = (frames: [number, string][], stream: number) =>
  frames
    .filter(([kind]) => kind === stream)
    .map(([, piece]) => piece)
    .join('')

test('attach before start misses nothing; the end of input reaches the process; wait tells its code', async () => {
  const id = await create({
    Cmd: ['sh', '-c', 'cat; echo done >&2; exit 4'],
    OpenStdin: true,
    StdinOnce: true,
  })
  const { socket, head } = await hijack(`/v1.50/containers/${id}/attach?stream=1&stdin=1&stdout=1&stderr=1`)
  assert.match(head, /^HTTP\/1.1 101 UPGRADED/)
  assert.match(head, /multiplexed-stream/)
  const waiting = request({
    socketPath: daemon.socketPath,
    method: 'POST',
    path: `/v1.50/containers/${id}/wait?condition=next-exit`,
  })
  waiting.end()
  const [waited] = (await once(waiting, 'response')) as [IncomingMessage]
  await start(id)
  socket.end('some input\n')
  const frames = unframe(await buffer(socket))
  assert.equal(joined(frames, 1), 'some input\n')
  assert.equal(joined(frames, 2), 'done\n')
  assert.equal(await text(waited), '{"StatusCode":4}\n')
  await remove(id)
})

test('the older hijack without Upgrade carries a terminal raw, and resize reaches it', async () => {
  const id = await create({ Cmd: ['sh', '-c', 'read line; stty size'], Tty: true, OpenStdin: true })
  const { socket, head } = await hijack(`/v1.50/containers/${id}/attach?stream=1&stdin=1&stdout=1`, '', {
    upgrade: false,
  })
  assert.match(head, /^HTTP\/1.1 200 OK\r\nContent-Type: application\/vnd.docker.raw-stream/)
  await start(id)
  await expect(200, 'POST', `/containers/${id}/resize?h=33&w=99`)
  socket.write('go\n')
  assert.match((await buffer(socket)).toString(), /33 99\r\n$/)
  await remove(id)
})

test('attach with logs gives what was written before, then what comes', async () => {
  const id = await create({
    Cmd: ['sh', '-c', 'echo before; echo seen >&2; cat'],
    OpenStdin: true,
    StdinOnce: true,
  })
  await start(id)
  await eventually('the output is in the log', async () => {
    const { body } = await daemon.api('GET', `/containers/${id}/logs?stdout=1&stderr=1`)
    return body.includes('before') && body.includes('seen')
  })
  const past = await hijack(`/v1.41/containers/${id}/attach?logs=1&stdout=1`)
  assert.match(past.head, /^HTTP\/1.1 101 UPGRADED/)
  assert.deepEqual(unframe(await buffer(past.socket)), [[1, 'before\n']])
  const client = new WebSocket(
    `ws+unix://${daemon.socketPath}:/v1.50/containers/${id}/attach/ws?logs=1&stream=1&stdout=1`,
  )
  const [first] = (await once(client, 'message')) as [Buffer]
  assert.equal(first.toString(), 'before\n')
  client.close()
  const both = await hijack(`/v1.50/containers/${id}/attach?logs=1&stream=1&stdin=1&stdout=1&stderr=1`)
  both.socket.end('after\n')
  const frames = unframe(await buffer(both.socket))
  assert.equal(joined(frames, 1), 'before\nafter\n')
  assert.equal(joined(frames, 2), 'seen\n')
  const ended = await hijack(`/v1.50/containers/${id}/attach?logs=1&stdout=1&stderr=1`)
  assert.equal(joined(unframe(await buffer(ended.socket)), 1), 'before\nafter\n')
  await remove(id)
})

test('attach to a paused container names it as the client did', async () => {
  const id = await create({ Cmd: ['sleep', '1000'] })
  await start(id)
  await expect(204, 'POST', `/containers/${id}/pause`)
  const { socket, head } = await hijack(`/v1.50/containers/${id.slice(0, 12)}/attach?stream=1&stdout=1`)
  assert.match(head, /^HTTP\/1.1 409 Conflict/)
  const message = `container ${id.slice(0, 12)} is paused, unpause the container before attach`
  assert.equal((JSON.parse(await text(socket)) as { message: string }).message, message)
  await remove(id)
})

test('the websocket carries both directions', async () => {
  const id = await create({ Cmd: ['cat'], OpenStdin: true })
  await start(id)
  const client = new WebSocket(
    `ws+unix://${daemon.socketPath}:/v1.50/containers/${id}/attach/ws?stream=1&stdin=1&stdout=1`,
  )
  await once(client, 'open')
  client.send('over the socket')
  const [data] = (await once(client, 'message')) as [Buffer]
  assert.equal(data.toString(), 'over the socket')
  client.close()
  await remove(id)
})

test('a websocket of before 1.42 has all streams, whatever it asks for', async () => {
  const id = await create({ Cmd: ['sh', '-c', 'read line; echo "$line"; echo "$line" >&2'], OpenStdin: true })
  await start(id)
  const client = new WebSocket(`ws+unix://${daemon.socketPath}:/v1.41/containers/${id}/attach/ws?stream=1`)
  let got = ''
  client.on('message', (data: Buffer) => {
    got += data.toString()
  })
  await once(client, 'open')
  client.send('line\n')
  await once(client, 'close')
  assert.equal(got, 'line\nline\n')
  await remove(id)
})

test('exec runs beside the container, with code, output and refusals', async () => {
  const id = await create({ Cmd: ['sleep', '1000'] })
  await start(id)
  const prepare = async (Cmd: string[]) => {
    const answer = await expect(201, 'POST', `/containers/${id}/exec`, {
      Cmd,
      AttachStdout: true,
      AttachStderr: true,
    })
    return (answer.json as { Id: string }).Id
  }
  const exec = await prepare(['sh', '-c', 'echo out; echo err >&2; exit 9'])
  const { socket } = await hijack(`/v1.50/exec/${exec}/start`, '{"Detach":false,"Tty":false}')
  const frames = unframe(await buffer(socket))
  assert.deepEqual([joined(frames, 1), joined(frames, 2)], ['out\n', 'err\n'])
  const inspected = (await expect(200, 'GET', `/exec/${exec}/json`)).json as {
    ExitCode: number
    Running: boolean
  }
  assert.deepEqual([inspected.ExitCode, inspected.Running], [9, false])
  const missing = await prepare(['/no/such/program'])
  const failed = await hijack(`/v1.50/exec/${missing}/start`, '{}')
  assert.match((await buffer(failed.socket)).toString(), /no such file or directory/)
  await expect(400, 'POST', `/containers/${id}/exec`, { Cmd: [] })
  await remove(id)
  await expect(404, 'POST', `/exec/${exec}/start`, {})
})

test('logs come framed or raw, cut by tail, and follow to the end', async () => {
  const id = await create({
    Cmd: ['sh', '-c', 'for i in 1 2 3; do echo $i; done; echo bad >&2; read x; echo last'],
    OpenStdin: true,
  })
  await start(id)
  const following = request({
    socketPath: daemon.socketPath,
    path: `/v1.50/containers/${id}/logs?follow=1&stdout=1&stderr=1`,
  })
  following.end()
  const [response] = (await once(following, 'response')) as [IncomingMessage]
  assert.equal(response.headers['content-type'], 'application/vnd.docker.multiplexed-stream')
  const { socket } = await hijack(`/containers/${id}/attach?stream=1&stdin=1`)
  socket.write('\n')
  const frames = unframe(await buffer(response))
  assert.deepEqual([joined(frames, 1), joined(frames, 2)], ['1\n2\n3\nlast\n', 'bad\n'])
  socket.destroy()
  const tail = unframe(Buffer.from((await expect(200, 'GET', `/containers/${id}/logs?stdout=1&tail=1`)).body))
  assert.deepEqual(tail, [[1, 'last\n']])
  await expect(400, 'GET', `/containers/${id}/logs`)
  await remove(id)
})

test('events of a container come in order, by filter, from the journal and live', async () => {
  const since = Math.floor(Date.now() / 1000)
  const filters = encodeURIComponent(
    JSON.stringify({ type: { container: true }, label: { 'wharf.test=events': true } }),
  )
  const live = request({ socketPath: daemon.socketPath, path: `/v1.50/events?filters=${filters}` })
  live.end()
  const [stream] = (await once(live, 'response')) as [IncomingMessage]
  const id = await create({ Cmd: ['true'], Labels: { 'wharf.test': 'events' } })
  await start(id)
  await expect(200, 'POST', `/containers/${id}/wait`)
  await remove(id)
  const wanted = ['create', 'start', 'die', 'destroy']
  const seen: string[] = []
  let rest = ''
  for await (const chunk of stream) {
    rest += String(chunk)
    const lines = rest.split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) seen.push((JSON.parse(line) as { status: string }).status)
    if (seen.includes('destroy')) break
  }
  assert.deepEqual(
    seen.filter((action) => wanted.includes(action)),
    wanted,
  )
  const until = (Date.now() / 1000).toFixed(3)
  const past = await expect(200, 'GET', `/v1.52/events?since=${since}&until=${until}&filters=${filters}`)
  const kept = past.body
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { Action: string; status?: string })
  assert.deepEqual(
    kept.map(({ Action }) => Action).filter((action) => wanted.includes(action)),
    wanted,
  )
  // Since 1.52 the old fields are gone.
  assert.equal(kept[0]?.status, undefined)
})

test('files go in and out, and stat tells of them', async () => {
  const id = await create({ Cmd: ['sleep', '1000'] })
  const answer = await expect(200, 'HEAD', `/containers/${id}/archive?path=/etc/passwd`)
  const stat = JSON.parse(
    Buffer.from(String(answer.headers['x-docker-container-path-stat']), 'base64').toString(),
  ) as Json
  assert.deepEqual([stat['name'], stat['linkTarget']], ['passwd', ''])
  const tar = await expect(200, 'GET', `/containers/${id}/archive?path=/etc/passwd`)
  assert.match(tar.body, /^passwd\0[^]*root:x:0:0/)
  await expect(404, 'GET', `/containers/${id}/archive?path=/no/such`)
  await expect(400, 'GET', `/containers/${id}/archive`)
  await remove(id)
})

test('a daemon that was killed finds its containers again, running and ended', async () => {
  const lives = await create({ Cmd: ['sleep', '1000'] })
  const ends = await create({ Cmd: ['sh', '-c', 'sleep 0.3; exit 6'] })
  await start(lives)
  await start(ends)
  await daemon.kill9()
  await daemon.start()
  await expect(200, 'POST', `/containers/${ends}/wait`)
  const state = async (id: string) =>
    (
      (await expect(200, 'GET', `/containers/${id}/json`)).json as {
        State: { Status: string; ExitCode: number }
      }
    ).State
  assert.equal((await state(lives)).Status, 'running')
  assert.deepEqual([(await state(ends)).Status, (await state(ends)).ExitCode], ['exited', 6])
  const run = await daemon.docker(['exec', lives, 'echo', 'still here'])
  assert.equal(run.stdout, 'still here\n')
  await remove(lives)
  await remove(ends)
})

test('an attached client goes on while no daemon runs, in and out, and gets all there is', async () => {
  const id = await create({ Cmd: ['sh', '-c', 'cat; seq 100000'], OpenStdin: true, StdinOnce: true })
  const { socket } = await hijack(`/containers/${id}/attach?stream=1&stdin=1&stdout=1&stderr=1`)
  socket.write('before, ')
  await start(id)
  socket.write('meanwhile, ')
  const late = await hijack(`/containers/${id}/attach?stream=1&stdout=1`)
  await daemon.kill9()
  socket.end('after\n')
  const expected = `before, meanwhile, after\n${Array.from({ length: 100_000 }, (_, n) => `${n + 1}\n`).join('')}`
  assert.equal(joined(unframe(await buffer(socket)), 1), expected)
  assert.ok(expected.endsWith(joined(unframe(await buffer(late.socket)), 1)))
  await daemon.start()
  await remove(id)
})

test('an exec goes on with its client while no daemon runs', async () => {
  const id = await create({ Cmd: ['sleep', '1000'] })
  await start(id)
  const made = await expect(201, 'POST', `/containers/${id}/exec`, {
    Cmd: ['cat'],
    AttachStdin: true,
    AttachStdout: true,
  })
  const body = JSON.stringify({ Detach: false })
  const { socket } = await hijack(`/exec/${(made.json as { Id: string }).Id}/start`, body)
  socket.write('before, ')
  await once(socket, 'readable')
  await daemon.kill9()
  socket.end('after')
  assert.equal(joined(unframe(await buffer(socket)), 1), 'before, after')
  await daemon.start()
  await remove(id)
})

test('the docker command runs a container to its end', async () => {
  const run = await daemon.docker(['run', '--rm', 'busybox', 'echo', 'hi'])
  assert.deepEqual([run.code, run.stdout, run.stderr], [0, 'hi\n', ''])
  const piped = await daemon.docker(['run', '--rm', '-i', 'busybox', 'sh', '-c', 'cat; exit 3'], {
    input: 'from stdin\n',
  })
  assert.deepEqual([piped.code, piped.stdout], [3, 'from stdin\n'])
  const missing = await daemon.docker(['run', '--rm', 'busybox', 'nosuch'])
  assert.equal(missing.code, 127)
  assert.match(missing.stderr, /exec: "nosuch": executable file not found in \$PATH/)
})
