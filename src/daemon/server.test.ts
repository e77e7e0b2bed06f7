import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { WebSocket } from 'ws'
import type { ContainerEngine } from '../containers/contract.ts'
import { silentLog } from '../lib/log.ts'
import { EngineError } from '../spec/errors.ts'
import { encodeFrame } from './frames.ts'
import { Router } from './router.ts'
import { absentRoutes } from './routes/absent.ts'
import { checkpointRoutes } from './routes/checkpoints.ts'
import { containerCreateRoutes } from './routes/container-create.ts'
import { containerStreamRoutes } from './routes/container-streams.ts'
import { containerRoutes } from './routes/containers.ts'
import { execRoutes } from './routes/exec.ts'
import { ApiServer } from './server.ts'

/** An echo as a container's stream: what is written comes back framed; the end of input ends the output. */
function echo(tty: boolean): Duplex {
  return new Duplex({
    allowHalfOpen: true,
    read: () => {},
    write(chunk: Buffer, _encoding, done) {
      this.push(tty ? chunk : encodeFrame(1, chunk))
      done()
    },
    final(done) {
      this.push(tty ? Buffer.from('bye') : encodeFrame(2, Buffer.from('bye')))
      this.push(null)
      done()
    },
  })
}

type Calls = { name: string; args: unknown[] }[]
const calls: Calls = []
/** Streams of containers that a test wants to hold. */
const special = new Map<string, Duplex>()
const engine = {
  attach: async (name: string, ...args: unknown[]) => {
    calls.push({ name: 'attach', args: [name, ...args] })
    if (name === 'gone') throw new EngineError('notFound', 'No such container: gone')
    return { stream: special.get(name) ?? echo(name === 'tty'), tty: name === 'tty' }
  },
  execCheck: (id: string) => {
    if (id === 'gone') throw new EngineError('notFound', 'No such exec instance: gone')
    if (id === 'halted') throw new EngineError('conflict', 'container halted is paused')
  },
  execStart: async (id: string, options: { detach: boolean; tty: boolean }) => {
    calls.push({ name: 'execStart', args: [id, options] })
    if (id === 'bad') throw new EngineError('invalid', 'OCI runtime exec failed: no such file')
    return options.detach ? undefined : { stream: echo(options.tty), tty: options.tty }
  },
  create: async (...args: unknown[]) => {
    calls.push({ name: 'create', args })
    return { id: 'f'.repeat(64), warnings: [] }
  },
  stop: async (name: string, ...args: unknown[]) => {
    calls.push({ name: 'stop', args: [name, ...args] })
    if (name === 'stopped') throw new EngineError('notModified', '')
    if (name === 'broken') throw new Error('secret details')
  },
  start: async () => {},
  paths: (name: string) => {
    if (name === 'gone') throw new EngineError('notFound', 'No such container: gone')
    return { running: name === 'up' }
  },
  wait: async () => {
    const { promise, resolve } = Promise.withResolvers<{ exitCode: number; error: string }>()
    release = () => resolve({ exitCode: 7, error: '' })
    return { result: promise }
  },
} as unknown as ContainerEngine
let release = () => {}
let experimental = false

const directory = mkdtempSync(join(tmpdir(), 'wharf-server-test-'))
const socketPath = join(directory, 's.sock')
let allowedOrigin = ''
const api = new ApiServer({
  router: new Router([
    // Before the containers' own, whose {id} takes any path.
    ...checkpointRoutes(engine, () => experimental),
    ...containerRoutes(engine),
    ...containerCreateRoutes(engine, { cgroupUnified: false }),
    ...execRoutes(engine),
    ...containerStreamRoutes({
      engine,
      logs: {
        readLogs: () => {
          throw new Error('unused')
        },
      },
      originAllowed: (origin) => origin === 'http://good',
    }),
    ...absentRoutes(),
  ]),
  log: silentLog,
  product: 'Wharf/test (linux)',
  experimental: () => false,
  corsOrigin: () => allowedOrigin,
  peer: () => undefined,
})
const server = api.listenerServer()

before(async () => {
  server.listen(socketPath)
  await once(server, 'listening')
})
after(async () => {
  api.closeConnections()
  server.close()
  await once(server, 'close')
  rmSync(directory, { recursive: true })
})

async function call(method: string, path: string, body?: string, headers: Record<string, string> = {}) {
  const request = httpRequest({
    socketPath,
    method,
    path,
    headers: body === undefined ? headers : { 'Content-Type': 'application/json', ...headers },
  })
  // A refusal may come before the body has been sent.
  request.on('error', () => {})
  request.end(body)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  return { status: response.statusCode, headers: response.headers, body: await text(response) }
}

/** Sends bytes as they are, half-closes, and gives back everything until the end. */
async function raw(sent: string, options: { keepOpen?: boolean } = {}): Promise<string> {
  const socket: Socket = connect({ path: socketPath, allowHalfOpen: true })
  socket.write(sent)
  if (options.keepOpen !== true) socket.end()
  const answer = (await buffer(socket)).toString('latin1')
  socket.destroy()
  return answer
}

const head = (line: string, ...headers: string[]) => `${[line, 'Host: x', ...headers].join('\r\n')}\r\n\r\n`
const upgrade = ['Connection: Upgrade', 'Upgrade: tcp']
const framed = (piece: string, stream = 1) => encodeFrame(stream, Buffer.from(piece)).toString('latin1')

test('attach with Upgrade: 101, frames, and the half-close reaches the container', async () => {
  const answer = await raw(
    `${head('POST /v1.43/containers/c/attach?stream=1&stdin=1&stdout=1 HTTP/1.1', ...upgrade)}hello`,
  )
  const [top, rest] = answer.split('\r\n\r\n')
  assert.match(top ?? '', /^HTTP\/1.1 101 UPGRADED\r\n/)
  assert.match(top ?? '', /Content-Type: application\/vnd.docker.multiplexed-stream/)
  assert.match(top ?? '', /Connection: Upgrade\r\nUpgrade: tcp/)
  assert.equal(rest, framed('hello') + framed('bye', 2))
})

test('attach without Upgrade: 200, raw content type, bytes that came with the head are not lost', async () => {
  const answer = await raw(`${head('POST /containers/c/attach?stream=1&stdin=1&stdout=1 HTTP/1.1')}early`)
  assert.match(answer, /^HTTP\/1.1 200 OK\r\nContent-Type: application\/vnd.docker.raw-stream\r\n/)
  assert.ok(answer.endsWith(`\r\n\r\n${framed('early')}${framed('bye', 2)}`))
})

test('before 1.42 and with a terminal the content type is raw', async () => {
  const old = await raw(head('POST /v1.41/containers/c/attach?stream=1 HTTP/1.1', ...upgrade))
  assert.match(old, /vnd.docker.raw-stream/)
  const terminal = await raw(head('POST /v1.43/containers/tty/attach?stream=1 HTTP/1.1', ...upgrade))
  assert.match(terminal, /vnd.docker.raw-stream[^]*\r\n\r\nbye$/)
})

test('attach to what does not exist is an ordinary error', async () => {
  const answer = await raw(head('POST /containers/gone/attach?stream=1 HTTP/1.1', ...upgrade))
  assert.match(answer, /^HTTP\/1.1 404 Not Found/)
  assert.match(answer, /Connection: close/)
  assert.match(answer, /\{"message":"No such container: gone"\}/)
})

test('exec start takes its body off the stream, whole, split or chunked', async () => {
  const body = '{"Tty":false,"Detach":false}'
  const line = 'POST /v1.50/exec/e/start HTTP/1.1'
  const type = 'Content-Type: application/json'
  const whole = await raw(`${head(line, type, ...upgrade, `Content-Length: ${body.length}`)}${body}in`)
  assert.ok(whole.endsWith(framed('in') + framed('bye', 2)))
  const chunked = await raw(
    `${head(line, type, 'Transfer-Encoding: chunked')}5\r\n${body.slice(0, 5)}\r\n17\r\n${body.slice(5)}\r\n0\r\n\r\nin`,
  )
  assert.ok(chunked.endsWith(framed('in') + framed('bye', 2)), chunked)
  const socket = connect({ path: socketPath, allowHalfOpen: true })
  socket.write(`${head(line, type, ...upgrade, `Content-Length: ${body.length}`)}{"Tt`)
  await once(socket, 'connect')
  socket.end(`${body.slice(4)}in`)
  assert.ok((await buffer(socket)).toString('latin1').endsWith(framed('in') + framed('bye', 2)))
})

test('exec start: detached answers 200, an unknown exec 404, a command that fails tells so as output', async () => {
  const type = 'Content-Type: application/json'
  const send = (id: string, body: string) =>
    raw(`${head(`POST /exec/${id}/start HTTP/1.1`, type, `Content-Length: ${body.length}`)}${body}`)
  assert.match(await send('e', '{"Detach":true}'), /^HTTP\/1.1 200 OK\r\n/)
  assert.match(await send('gone', '{}'), /^HTTP\/1.1 404 [^]*No such exec instance: gone/)
  assert.match(await send('halted', '{}'), /^HTTP\/1.1 409 [^]*container halted is paused/)
  assert.ok((await send('bad', '{}')).endsWith(framed('OCI runtime exec failed: no such file\r\n')))
  assert.match(await send('e', '{'), /^HTTP\/1.1 400 [^]*invalid JSON: unexpected EOF/)
})

test('a client that goes away destroys its stream', async () => {
  const stream = echo(false)
  special.set('watched', stream)
  const socket = connect(socketPath)
  socket.write(head('POST /containers/watched/attach?stream=1&stdin=1 HTTP/1.1', ...upgrade))
  await once(socket, 'data')
  const closed = once(stream, 'close')
  socket.destroy()
  await closed
})

test('attach over a websocket echoes without frame headers; foreign origins may not', async () => {
  const client = new WebSocket(
    `ws+unix://${socketPath}:/v1.50/containers/c/attach/ws?stream=1&stdin=1&stdout=1`,
  )
  await once(client, 'open')
  client.send(Buffer.from('hi'))
  const [data] = (await once(client, 'message')) as [Buffer]
  assert.equal(data.toString(), 'hi')
  client.close()
  await once(client, 'close')
  const foreign = new WebSocket(`ws+unix://${socketPath}:/containers/c/attach/ws`, { origin: 'http://evil' })
  const [error] = (await once(foreign, 'error')) as [Error]
  assert.match(error.message, /403/)
})

test('refusals have Docker bodies and statuses', async () => {
  const cases: [string, string, number, string][] = [
    ['GET', '/v1.43/nothing', 404, 'page not found'],
    ['PUT', '/containers/json', 404, 'page not found'],
    [
      'GET',
      '/v1.99/containers/json',
      400,
      'client version 1.99 is too new. Maximum supported API version is 1.55',
    ],
    [
      'GET',
      '/v1.10/containers/json',
      400,
      'client version 1.10 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version',
    ],
    ['POST', '/containers/x/stop?t=soon', 400, 'strconv.Atoi: parsing "soon": invalid syntax'],
    ['POST', '/containers/x/wait?condition=never', 400, 'invalid condition: "never"'],
    [
      'GET',
      '/services',
      503,
      'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    ],
    ['POST', '/containers/broken/stop', 500, 'secret details'],
  ]
  for (const [method, path, status, message] of cases) {
    const answer = await call(method, path)
    assert.deepEqual([answer.status, answer.body], [status, `${JSON.stringify({ message })}\n`], path)
    assert.equal(answer.headers['content-type'], 'application/json')
    assert.equal(answer.headers['api-version'], '1.55')
  }
  assert.deepEqual([(await call('POST', '/containers/stopped/stop')).status], [304])
})

test('a client hears of a refusal though nobody read its body, small or large', async () => {
  // The small one comes after its head: a connection that was closed by then would fail the client's write.
  const socket: Socket = connect({ path: socketPath })
  socket.write(head('POST /swarm/init HTTP/1.1', 'Content-Type: application/json', 'Content-Length: 2'))
  await new Promise((resolve) => setImmediate(resolve))
  socket.write('{}')
  const [first] = (await once(socket, 'data')) as [Buffer]
  assert.match(String(first), /^HTTP\/1\.1 501[^]*not supported by this engine/)
  socket.write(head('GET /services HTTP/1.1', 'Connection: close'))
  assert.match(String(await buffer(socket)), /^HTTP\/1\.1 503/)

  const body = Buffer.alloc(8 << 20, ' ')
  const large = httpRequest({ socketPath, method: 'POST', path: '/swarm/init' })
  const failed = once(large, 'error').then(([error]) => error as Error)
  large.end(body)
  const outcome = await Promise.race([once(large, 'response'), failed])
  assert.ok(Array.isArray(outcome), String(outcome))
  const [response] = outcome as [IncomingMessage]
  assert.equal(response.statusCode, 501)
  assert.match(await text(response), /not supported/)
  large.destroy()
})

test('checkpoints: switched off unless experimental, then as without CRIU', async () => {
  const off = await call('GET', '/containers/up/checkpoints')
  assert.equal(off.status, 501)
  assert.match(off.body, /experimental feature is disabled by default/)
  experimental = true
  const path = '/containers/up/checkpoints'
  const ask = async (method: string, at: string, body?: string) => {
    const answer = await call(method, at, body)
    return [answer.status, answer.body.trim()]
  }
  const message = (text: string) => JSON.stringify({ message: text })
  assert.deepEqual(await ask('GET', path), [200, 'null'])
  assert.deepEqual(await ask('GET', '/containers/gone/checkpoints'), [
    404,
    message('No such container: gone'),
  ])
  assert.deepEqual(await ask('POST', '/containers/down/checkpoints', '{"CheckpointID":"c1"}'), [
    500,
    message('Container down not running'),
  ])
  assert.deepEqual(await ask('POST', path, '{"CheckpointID":"../x"}'), [
    500,
    message('Invalid checkpoint ID (../x), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed'),
  ])
  assert.match(
    String(await ask('POST', path, '{"CheckpointID":"c1"}')),
    /^500.*Cannot checkpoint container up: .*criu/,
  )
  assert.deepEqual(await ask('DELETE', `${path}/c1`), [
    500,
    message('checkpoint c1 does not exist for container up'),
  ])
  experimental = false
})

test('what a query lacks or garbles is told before the container is looked for', async () => {
  const ask = async (path: string) => {
    const answer = await call('GET', `/containers/nosuch/${path}`)
    return [answer.status, (JSON.parse(answer.body) as { message?: string }).message]
  }
  assert.deepEqual(await ask('logs'), [400, 'Bad parameters: you must choose at least one stream'])
  assert.deepEqual(await ask('top?ps_args=a;b'), [400, 'invalid semicolon separator in query'])
})

test('create: what a body lacks, has too much of, or has of the wrong kind', async () => {
  const create = async (body: string, headers: Record<string, string> = {}) => {
    const answer = await call('POST', '/v1.50/containers/create?name=n', body, headers)
    return [answer.status, (JSON.parse(answer.body) as { message?: string }).message]
  }
  assert.deepEqual(await create(''), [400, 'invalid JSON: got EOF while reading request body'])
  assert.deepEqual(await create('{}'), [400, 'config cannot be empty in order to create a container'])
  assert.deepEqual(await create('{"Tty":1}'), [
    400,
    'invalid JSON: json: cannot unmarshal number into Go struct field CreateRequest.Tty of type bool',
  ])
  assert.deepEqual(await create('{"Image":"a"} x'), [400, 'unexpected content after JSON'])
  assert.deepEqual(await create('{"Image":"a"}', { 'Content-Type': 'text/plain' }), [
    400,
    "unsupported Content-Type header (text/plain): must be 'application/json'",
  ])
  assert.deepEqual(await create('{"image":"a","hostconfig":{"memory":5}}'), [201, undefined])
  const last = calls.findLast((entry) => entry.name === 'create')
  const request = last?.args[0] as {
    config: { Image: string }
    hostConfig: { Memory: number; NetworkMode: string }
  }
  assert.deepEqual(
    [request.config.Image, request.hostConfig.Memory, request.hostConfig.NetworkMode],
    ['a', 5, 'bridge'],
  )
  const large = `{"Image":"${'a'.repeat(5 * 1024 * 1024)}"}`
  assert.deepEqual(await create(large, { 'Content-Length': String(large.length) }), [
    413,
    'http: request body too large',
  ])
})

test('wait sends its head before there is a result', async () => {
  const request = httpRequest({ socketPath, method: 'POST', path: '/v1.43/containers/c/wait' })
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  assert.equal(response.statusCode, 200)
  release()
  assert.equal(await text(response), '{"StatusCode":7}\n')
})

test('start refuses a body with a HostConfig', async () => {
  assert.equal((await call('POST', '/containers/c/start', '{"Memory": 5}')).status, 400)
  assert.equal((await call('POST', '/containers/c/start', '{}')).status, 204)
})

test('pages of the origin that the setting names may call the API, and no other', async (t) => {
  assert.equal((await call('OPTIONS', '/containers/json')).headers['access-control-allow-origin'], undefined)
  allowedOrigin = 'http://page.test'
  t.after(() => {
    allowedOrigin = ''
  })
  const { status, headers } = await call('OPTIONS', '/v1.41/containers/json')
  assert.equal(status, 200)
  assert.equal(headers['access-control-allow-origin'], 'http://page.test')
  assert.match(headers['access-control-allow-headers'] ?? '', /X-Registry-Auth/)
  assert.match(headers['access-control-allow-methods'] ?? '', /DELETE/)
  const refused = await call('GET', '/nope')
  assert.equal(refused.headers['access-control-allow-origin'], 'http://page.test')
})

test('a broken request is answered and the server lives on', async () => {
  assert.match(await raw('NONSENSE\r\n\r\n'), /^HTTP\/1.1 400 Bad Request/)
  assert.equal((await call('GET', '/plugins')).body, '[]\n')
})
