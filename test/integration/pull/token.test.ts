/** Authorization, certificates and trouble on the way: a registry over HTTPS with tokens. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import {
  buildImage,
  sha256,
  startDockerRegistry,
  uploadImage,
  type BuiltImage,
  type DockerRegistry,
} from '../../fixtures/docker-registry.ts'
import { eventually } from '../../fixtures/processes.ts'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'
import { startTokenRegistry, type TokenRegistry } from '../../fixtures/token-registry.ts'
import { tarOf } from './tars.ts'

let daemon: TestDaemon
let behind: DockerRegistry
let registry: TokenRegistry

before(async () => {
  behind = await startDockerRegistry()
  registry = await startTokenRegistry(behind.url)
  daemon = await startDaemon()
})

after(async () => {
  await daemon?.[Symbol.asyncDispose]()
  await registry?.[Symbol.asyncDispose]()
  await behind?.[Symbol.asyncDispose]()
})

afterEach(() => {
  registry.intercept = undefined
  registry.seen.length = 0
})

async function makeImage(name: string, bytes = 200_000): Promise<BuiltImage> {
  const image = buildImage([await tarOf({ [name]: randomBytes(bytes) })])
  await uploadImage(behind.url, name, 'v1', image)
  return image
}

async function pull(name: string): Promise<{ status: number; body: string }> {
  return daemon.api('POST', `/v1.44/images/create?fromImage=${registry.host}/${name}&tag=v1`)
}

test('anonymous pulls get what is open, and Docker words for what is not', async () => {
  const image = await makeImage('open')
  registry.open.add('open')
  const opened = await pull('open')
  assert.match(opened.body, new RegExp(image.digest))
  await makeImage('closed')
  const closed = await pull('closed')
  assert.equal(closed.status, 404)
  assert.equal(
    (JSON.parse(closed.body) as { message: string }).message,
    `pull access denied for ${registry.host}/closed, repository does not exist or may require 'docker login': denied: requested access to the resource is denied`,
  )
})

for (const cli of ['docker', 'wharf'] as const) {
  test(`${cli} login, pull, push, logout with a token server`, async () => {
    const image = await makeImage(`private-${cli}`)
    const name = `${registry.host}/private-${cli}`
    const wrong = await daemon[cli](['login', registry.host, '-u', 'bob', '--password-stdin'], {
      input: 'no',
    })
    assert.equal(wrong.code, 1)
    assert.match(wrong.stderr, /unauthorized: incorrect username or password/)
    const right = await daemon[cli](['login', registry.host, '-u', 'bob', '--password-stdin'], {
      input: 'secret\n',
    })
    assert.equal(right.code, 0, right.stderr)
    assert.equal(right.stdout.trim(), 'Login Succeeded')
    const config = JSON.parse(readFileSync(join(daemon.names.root, 'client/config.json'), 'utf8')) as object
    assert.deepEqual(config, {
      auths: { [registry.host]: { auth: Buffer.from('bob:secret').toString('base64') } },
    })
    const pulled = await daemon[cli](['pull', `${name}:v1`])
    assert.equal(pulled.code, 0, pulled.stderr)
    assert.ok(pulled.stdout.endsWith(`${name}:v1\n`), pulled.stdout)
    await daemon[cli](['tag', `${name}:v1`, `${name}:v2`])
    const pushed = await daemon[cli](['push', `${name}:v2`])
    assert.match(pushed.stdout, new RegExp(`v2: digest: ${image.digest} size: \\d+`), pushed.stderr)
    await daemon[cli](['logout', registry.host])
    const after_ = await daemon[cli](['pull', `${name}:v1`])
    assert.match(after_.stderr, /pull access denied/)
  })
}

test('a broken connection is gone on with where it broke', async () => {
  const image = await makeImage('broken', 3_000_000)
  registry.open.add('broken')
  const [, blob = Buffer.alloc(0)] = image.blobs
  let left = 2
  registry.intercept = (incoming, response) => {
    if (!(incoming.url ?? '').endsWith(sha256(blob)) || left-- <= 0) return false
    const from = Number(/bytes=(\d+)-/.exec(incoming.headers.range ?? '')?.[1] ?? 0)
    response.writeHead(from > 0 ? 206 : 200, {
      'content-length': blob.length - from,
      ...(from > 0 && { 'content-range': `bytes ${from}-${blob.length - 1}/${blob.length}` }),
    })
    response.write(blob.subarray(from, from + 1_000_000), () => response.destroy())
    return true
  }
  const answer = await pull('broken')
  assert.match(answer.body, /Status: Downloaded newer image/)
  const ranges = registry.seen.filter(({ path }) => path.endsWith(sha256(blob))).map(({ range }) => range)
  assert.equal(ranges.length, 3)
  assert.equal(ranges[0], '')
  const starts = ranges.slice(1).map((range) => Number(/^bytes=(\d+)-$/.exec(range)?.[1]))
  assert.ok((starts[0] ?? 0) > 0 && (starts[1] ?? 0) > (starts[0] ?? 0), ranges.join())
})

test('a daemon that was killed goes on with what is on disk', async () => {
  const image = await makeImage('killed', 3_000_000)
  registry.open.add('killed')
  const [, blob = Buffer.alloc(0)] = image.blobs
  const id = sha256(blob)
  registry.intercept = (incoming, response) => {
    if (!(incoming.url ?? '').endsWith(id)) return false
    // Half of it, and then silence.
    response.writeHead(200, { 'content-length': blob.length })
    response.write(blob.subarray(0, 1_500_000))
    return true
  }
  const pulling = pull('killed').catch(() => undefined)
  const partial = join(daemon.dataRoot, 'content/downloads', id.replace(':', '-'))
  await eventually('some of the blob is on disk', async () => {
    try {
      return readFileSync(partial).length >= 1_000_000
    } catch {
      return false
    }
  })
  await daemon.kill9()
  await pulling
  registry.intercept = undefined
  registry.seen.length = 0
  await daemon.start()
  const answer = await pull('killed')
  assert.match(answer.body, /Status: Downloaded newer image/)
  const [first] = registry.seen.filter(({ path }) => path.endsWith(id))
  assert.ok(Number(/^bytes=(\d+)-$/.exec(first?.range ?? '')?.[1]) >= 1_000_000, first?.range)
  assert.deepEqual(readdirSync(join(daemon.dataRoot, 'content/downloads')), [])
})

test('wrong bytes are refused, nothing of them stays, and the next pull fetches anew', async () => {
  const image = await makeImage('wrong')
  registry.open.add('wrong')
  const [, blob = Buffer.alloc(0)] = image.blobs
  registry.intercept = (incoming, response) => {
    if (!(incoming.url ?? '').endsWith(sha256(blob))) return false
    const bad = Buffer.from(blob)
    bad[bad.length - 1] = (bad.at(-1) ?? 0) ^ 1
    response.writeHead(200, { 'content-length': bad.length })
    response.end(bad)
    return true
  }
  const refused = await pull('wrong')
  assert.match(refused.body, new RegExp(`filesystem layer verification failed for digest ${sha256(blob)}`))
  assert.equal((await daemon.api('GET', `/v1.44/images/${registry.host}/wrong:v1/json`)).status, 404)
  registry.intercept = undefined
  assert.match((await pull('wrong')).body, /Status: Downloaded newer image/)
})

test('what a failed pull has fetched is not fetched again', async () => {
  const layers = await Promise.all(['f1', 'f2'].map(async (name) => tarOf({ [name]: randomBytes(100_000) })))
  const image = buildImage(layers)
  await uploadImage(behind.url, 'failed', 'v1', image)
  registry.open.add('failed')
  const [, good = Buffer.alloc(0), bad = Buffer.alloc(0)] = image.blobs
  const fetched = Promise.withResolvers<void>()
  registry.intercept = (incoming, response) => {
    const path = incoming.url ?? ''
    if (path.endsWith(sha256(good))) response.once('finish', () => fetched.resolve())
    if (!path.endsWith(sha256(bad))) return false
    void fetched.promise.then(() => response.writeHead(403).end('{"errors":[{"code":"DENIED"}]}'))
    return true
  }
  assert.match((await pull('failed')).body, /denied/)
  registry.intercept = undefined
  registry.seen.length = 0
  assert.match((await pull('failed')).body, /Status: Downloaded newer image/)
  assert.equal(registry.seen.filter(({ path }) => path.endsWith(sha256(good))).length, 0)
  assert.deepEqual(readdirSync(join(daemon.dataRoot, 'content/downloads')), [])
})

test('an answer 429 is obeyed', async () => {
  await makeImage('busy')
  registry.open.add('busy')
  let refusals = 0
  registry.intercept = (incoming, response) => {
    if (!(incoming.url ?? '').includes('/manifests/') || refusals > 0) return false
    refusals += 1
    response.writeHead(429, { 'retry-after': '1' })
    response.end()
    return true
  }
  assert.match((await pull('busy')).body, /Status: Downloaded newer image/)
  assert.equal(refusals, 1)
})

test('a redirect takes no credentials to another host', async () => {
  const image = await makeImage('moved')
  registry.open.add('moved')
  const [, blob = Buffer.alloc(0)] = image.blobs
  const came: IncomingMessage['headers'][] = []
  const elsewhere: Server = createServer((incoming: IncomingMessage, response: ServerResponse) => {
    came.push(incoming.headers)
    response.end(blob)
  }).listen(0, '127.0.0.1')
  await once(elsewhere, 'listening')
  const address = elsewhere.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  registry.intercept = (incoming, response) => {
    if (!(incoming.url ?? '').endsWith(sha256(blob))) return false
    response.writeHead(307, { location: `http://127.0.0.1:${port}/blob?signature=x` })
    response.end()
    return true
  }
  try {
    assert.match((await pull('moved')).body, /Status: Downloaded newer image/)
    assert.equal(came.length, 1)
    assert.equal(came[0]?.authorization, undefined)
  } finally {
    elsewhere.closeAllConnections()
    elsewhere.close()
  }
})

test('pulls of one image at the same time fetch it once', async () => {
  const image = await makeImage('twice', 2_000_000)
  registry.open.add('twice')
  const [, blob = Buffer.alloc(0)] = image.blobs
  const answers = await Promise.all([pull('twice'), pull('twice'), pull('twice')])
  for (const { body } of answers) assert.match(body, new RegExp(`Digest: ${image.digest}`))
  assert.equal(registry.seen.filter(({ path }) => path.endsWith(sha256(blob))).length, 1)
})

test('a client that goes away ends the download', async () => {
  const image = await makeImage('left', 1_000_000)
  registry.open.add('left')
  const [, blob = Buffer.alloc(0)] = image.blobs
  const began = Promise.withResolvers<ServerResponse>()
  registry.intercept = (incoming, response) => {
    if (!(incoming.url ?? '').endsWith(sha256(blob))) return false
    response.writeHead(200, { 'content-length': blob.length })
    response.write(blob.subarray(0, 1000))
    began.resolve(response)
    return true
  }
  const path = `/v1.44/images/create?fromImage=${registry.host}/left&tag=v1`
  const client = request({ socketPath: daemon.socketPath, method: 'POST', path })
  client.on('error', () => {})
  client.end()
  const response = await began.promise
  const closed = once(response, 'close')
  client.destroy()
  await closed
  registry.intercept = undefined
  assert.match((await pull('left')).body, /Status: Downloaded newer image/)
})
