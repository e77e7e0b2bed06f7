/** `import` of an archive that a web server has: as it is, through a proxy, and all that goes wrong. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'
import { tarOf } from './tars.ts'

type Server = AsyncDisposable & { host: string; seen: IncomingMessage[] }

let daemon: TestDaemon
let web: Server
let tar: Buffer
let answer: (request: IncomingMessage, response: ServerResponse) => void

before(async () => {
  tar = await tarOf({ file: randomBytes(300_000) })
  web = await serve((request, response) => answer(request, response))
  daemon = await startDaemon({ config: { 'http-proxy': `http://${web.host}` } })
})

after(async () => {
  await daemon?.[Symbol.asyncDispose]()
  await web?.[Symbol.asyncDispose]()
})

beforeEach(() => {
  web.seen.length = 0
  answer = (_, response) => response.end(tar)
})

async function serve(handle: typeof answer): Promise<Server> {
  const seen: IncomingMessage[] = []
  const server = createServer((request, response) => {
    seen.push(request)
    handle(request, response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    host: `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`,
    seen,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function importFrom(source: string, more = ''): Promise<{ status: number; body: string }> {
  return daemon.api('POST', `/images/create?fromSrc=${encodeURIComponent(source)}&repo=made${more}`)
}

async function inspect(format: string): Promise<string> {
  const { stdout, stderr } = await daemon.docker(['image', 'inspect', '--format', format, 'made'])
  assert.equal(stderr, '')
  return stdout.trim()
}

for (const cli of ['docker', 'wharf'] as const) {
  test(`${cli} import takes an address`, async () => {
    const address = `http://${web.host}/tree.tar`
    const { code, stdout, stderr } = await daemon[cli](['import', '--change', 'CMD ["/x"]', address, 'made'])
    assert.equal(code, 0, stderr)
    assert.match(stdout, new RegExp(`^Downloading from ${address}\n(Importing.*\n)?sha256:[0-9a-f]{64}\n$`))
    assert.equal(
      await inspect('{{.Comment}} {{.Config.Cmd}} {{.Size}}'),
      `Imported from ${address} [/x] 300000`,
    )
  })
}

test('without a scheme it is HTTP; compressed archives and a message of its own are fine', async () => {
  answer = (_, response) => response.end(gzipSync(tar))
  const { body } = await importFrom(`${web.host}/tree.tar.gz`, '&message=words')
  assert.match(body, /"status":"sha256:/)
  assert.match(body, /"progressDetail":\{"current":\d+/)
  assert.equal(await inspect('{{.Comment}} {{.Size}}'), 'words 300000')
})

test('what is not on this machine is asked for through the proxy', async () => {
  const { body } = await importFrom('http://archive.invalid/tree.tar')
  assert.match(body, /"status":"sha256:/)
  assert.deepEqual(
    web.seen.map(({ url }) => url),
    ['http://archive.invalid/tree.tar'],
  )
})

test('redirects are followed, and take no credentials along', async () => {
  await using other = await serve((_, response) => response.end(tar))
  answer = (request, response) => {
    const to = request.url === '/a' ? '/b' : `http://${other.host}/c`
    response.writeHead(302, { location: to }).end()
  }
  const { body } = await importFrom(`http://user:secret@${web.host}/a`)
  assert.match(body, /"status":"sha256:/)
  const basic = `Basic ${Buffer.from('user:secret').toString('base64')}`
  assert.equal(web.seen[0]?.headers.authorization, basic)
  assert.equal(other.seen[0]?.headers.authorization, undefined)
  assert.ok(!body.includes('secret'), body)
  assert.equal(await inspect('{{.Comment}}'), `Imported from http://user:xxxxx@${web.host}/a`)
})

test('what goes wrong is said in the words of Docker, and leaves nothing', async () => {
  await daemon.docker(['rmi', '-f', 'made'])
  await daemon.docker(['image', 'prune', '-af'])
  const failures: [typeof answer, number, RegExp][] = [
    [
      (_, response) => response.writeHead(404).end('nothing here\n'),
      404,
      /^failed to GET http:\/\/\S+\/x with status 404 Not Found: nothing here$/,
    ],
    [(_, response) => response.writeHead(403).end(), 403, /with status 403 Forbidden: $/],
    [(_, response) => response.writeHead(502).end('no'), 500, /with status 502 Bad Gateway: no$/],
    [(_, response) => response.writeHead(302, { location: '/x' }).end(), 500, /stopped after 10 redirects$/],
    [(request) => request.destroy(), 500, /^Get "http:\/\/\S+\/x": /],
  ]
  for (const [how, status, text] of failures) {
    answer = how
    const failed = await importFrom(`http://${web.host}/x`)
    assert.equal(failed.status, status, failed.body)
    assert.match((JSON.parse(failed.body) as { message: string }).message, text)
  }
  // In the middle of it the answer has begun.
  const broken: [typeof answer, RegExp][] = [
    [(_, response) => response.end('no archive at all'), /invalid|tar|EOF/i],
    [
      (_, response) => {
        response.writeHead(200, { 'content-length': tar.length })
        response.write(tar.subarray(0, 100_000), () => response.destroy())
      },
      /EOF|aborted|reset/i,
    ],
  ]
  for (const [how, text] of broken) {
    answer = how
    const failed = await importFrom(`http://${web.host}/x`)
    assert.equal(failed.status, 200)
    const last = failed.body.trim().split('\r\n').at(-1) ?? ''
    assert.match((JSON.parse(last) as { error: string }).error, text)
  }
  assert.match((await importFrom('ftp://archive.invalid/x')).body, /unsupported protocol scheme \\"ftp\\"/)
  assert.match((await importFrom('http://[/x')).body, /invalid URL/)
  assert.match((await importFrom(`http://${web.host}/x`, '&tag=a:b')).body, /invalid tag format/)
  assert.equal((await daemon.docker(['images', '-aq'])).stdout, '')
  assert.deepEqual(readdirSync(join(daemon.dataRoot, 'content/ingest')), [])
  assert.deepEqual(readdirSync(join(daemon.dataRoot, 'content/sha256')), [])
})

test('an upload that is refused in the middle is answered, however much of it is left', async () => {
  for (const bytes of [100, 200_000, 250_000, 20_000_000]) {
    const broken = Buffer.concat([Buffer.from('1f8b0800', 'hex'), randomBytes(bytes)])
    for (const path of ['/images/create?fromSrc=-', '/images/load']) {
      const { status, body } = await daemon.api('POST', path, broken)
      assert.ok(status >= 400 || body.includes('"error"'), `${path} of ${bytes}: ${status} ${body}`)
    }
  }
  assert.deepEqual(readdirSync(join(daemon.dataRoot, 'content/ingest')), [])
})
