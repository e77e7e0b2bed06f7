/** How many layers go over the wire at a time, and how often one that fails is tried. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, request as send, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { buildImage, sha256, startDockerRegistry, uploadImage } from '../../fixtures/docker-registry.ts'
import { eventually } from '../../fixtures/processes.ts'
import { startDaemon } from '../../fixtures/test-daemon.ts'
import { tarOf } from './tars.ts'

const layerCount = 6

type Gate = AsyncDisposable & {
  host: string
  /** Most transfers of layers at the same time so far, and how many there were. */
  most: number
  count: number
  /** Transfers wait until so many are under way, or the last ones are. */
  together: number
  /** The connection of this blob is broken instead. */
  broken: string
}

/** A server in front of a registry that holds transfers of layers back until enough are under way. */
async function startGate(behind: string): Promise<Gate> {
  const waiting: (() => void)[] = []
  let active = 0
  const server = createServer((incoming, response) => {
    handle(incoming, response).catch(() => response.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const gate: Gate = {
    host: `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`,
    most: 0,
    count: 0,
    together: 1,
    broken: '-',
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  const handle = async (incoming: IncomingMessage, response: ServerResponse) => {
    const { method = '', url = '', headers } = incoming
    const isDown = method === 'GET' && url.includes('/blobs/sha256:')
    if (url.endsWith(gate.broken)) {
      gate.count += 1
      response.destroy()
      return
    }
    const isUp = method === 'PUT' && url.includes('/blobs/uploads/')
    if (isDown || isUp) {
      gate.count += 1
      active += 1
      gate.most = Math.max(gate.most, active)
      response.once('close', () => (active -= 1))
      const { promise, resolve } = Promise.withResolvers<void>()
      waiting.push(resolve)
      // The configuration is the one transfer more, and comes by itself.
      const isLast = gate.count > layerCount - gate.together
      if (waiting.length >= gate.together || isLast) for (const go of waiting.splice(0)) go()
      await promise
    }
    const outgoing = send(`${behind}${url}`, { method, headers: { ...headers, host: gate.host } })
    const answered = once(outgoing, 'response')
    await pipeline(incoming, outgoing)
    const [answer] = (await answered) as [IncomingMessage]
    response.writeHead(answer.statusCode ?? 500, answer.headers)
    await pipeline(answer, response)
  }
  return gate
}

test('layers come and go at most as many at a time as the configuration says, changed at once', async () => {
  await using registry = await startDockerRegistry()
  await using gate = await startGate(registry.url)
  await using daemon = await startDaemon({
    config: { 'max-concurrent-downloads': 2, 'max-concurrent-uploads': 1 },
  })
  const pullNew = async (name: string) => {
    const layers = Array.from({ length: layerCount }, () => tarOf({ layer: randomBytes(10_000) }))
    await uploadImage(registry.url, name, 'v1', buildImage(await Promise.all(layers)))
    Object.assign(gate, { most: 0, count: 0 })
    const { body } = await daemon.api('POST', `/images/create?fromImage=${gate.host}/${name}&tag=v1`)
    assert.match(body, /Status: Downloaded/)
    return gate.most
  }
  const push = async (name: string, copy: string) => {
    await daemon.api('POST', `/images/${gate.host}%2f${name}:v1/tag?repo=${gate.host}/${copy}&tag=v1`)
    Object.assign(gate, { most: 0, count: 0, together: 1 })
    const { body } = await daemon.api('POST', `/images/${gate.host}%2f${copy}/push?tag=v1`)
    assert.match(body, /digest: sha256/)
    return gate.most
  }
  gate.together = 2
  // The configuration is no layer: it comes beside them.
  assert.ok((await pullNew('two')) <= 3)
  assert.ok(gate.most >= 2)
  assert.ok((await push('two', 'other/two')) <= 2)
  const config = { 'max-concurrent-downloads': 5, 'max-concurrent-uploads': 5 }
  writeFileSync(join(daemon.names.root, 'daemon.json'), JSON.stringify(config))
  process.kill(daemon.pid, 'SIGHUP')
  await eventually('the new configuration holds', () => daemon.log.includes('reload'))
  gate.together = 5
  assert.ok((await pullNew('five')) >= 5)
  assert.ok(gate.most <= 6)
})

test('a layer that never comes is asked for as often as the configuration says', async () => {
  await using registry = await startDockerRegistry()
  await using gate = await startGate(registry.url)
  await using daemon = await startDaemon({ config: { 'max-download-attempts': 2 } })
  const image = buildImage([await tarOf({ layer: randomBytes(10_000) })])
  await uploadImage(registry.url, 'broken', 'v1', image)
  gate.broken = sha256(image.blobs[1] ?? Buffer.alloc(0))
  const failed = await daemon.api('POST', `/images/create?fromImage=${gate.host}/broken&tag=v1`)
  assert.match(failed.body, /"errorDetail"/)
  assert.match(failed.body, /Retrying in 1 second"/)
  assert.equal(gate.count, 3, 'two for the layer, and one for the configuration')
  assert.equal((await daemon.api('GET', `/images/${gate.host}/broken:v1/json`)).status, 404)
})
