import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { EngineClient, newestVersion } from './engine-client.ts'

/** An engine that speaks up to a version, and notes what it is asked. */
async function engine(version: string) {
  const directory = mkdtempSync(join(tmpdir(), 'wharf-client-'))
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    response.setHeader('Api-Version', version)
    const minor = Number(/^\/v1\.(\d+)\//.exec(request.url ?? '')?.[1] ?? 0)
    const refused = minor > Number(version.slice(2)) ? 'client version is too new' : undefined
    if (refused !== undefined || request.url?.endsWith('/bad') === true) response.statusCode = 400
    response.end(JSON.stringify({ message: refused ?? 'well' }))
  })
  const path = join(directory, 'socket')
  await once(server.listen(path), 'listening')
  const client = new EngineClient({ host: { kind: 'unix', text: path, path }, userAgent: 'test' })
  return {
    client,
    asked,
    [Symbol.dispose]: () => {
      client.close()
      server.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

test('a question goes out at once, in the newest version', async () => {
  using made = await engine(newestVersion)
  assert.deepEqual(await made.client.json('GET', '/containers/json'), { message: 'well' })
  assert.deepEqual(made.asked, [`GET /v${newestVersion}/containers/json`])
})

test('an older engine is asked again in its own version, and only once', async () => {
  using made = await engine('1.41')
  assert.deepEqual(await made.client.json('GET', '/info'), { message: 'well' })
  await made.client.send('POST', '/containers/x/start')
  await made.client.json('GET', '/info')
  const own = ['GET /v1.41/info', 'POST /v1.41/containers/x/start', 'GET /v1.41/info']
  assert.deepEqual(made.asked, [`GET /v${newestVersion}/info`, ...own])
})

test('what changes something goes out at once, too: an engine that does not speak its version changes nothing', async () => {
  using made = await engine('1.41')
  await made.client.send('POST', '/containers/create', { json: {} })
  const own = ['POST /v1.41/containers/create']
  assert.deepEqual(made.asked, [`POST /v${newestVersion}/containers/create`, ...own])
})

test('what cannot be sent twice is not sent before the version is known', async () => {
  using made = await engine('1.41')
  const body = (async function* () {
    yield Buffer.from('x')
  })()
  await made.client.send('POST', '/images/load', { body })
  assert.deepEqual(made.asked, ['HEAD /_ping', 'POST /v1.41/images/load'])
})

test('a question that is refused for another reason is not asked again', async () => {
  using made = await engine(newestVersion)
  await assert.rejects(made.client.json('GET', '/bad'), { message: 'well' })
  assert.equal(made.asked.length, 1)
})
