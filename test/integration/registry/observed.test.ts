/** What those who run a registry see of it: one line a request, and counters. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createLog } from '../../../src/lib/log.ts'
import { checkConfig } from '../../../src/registry/config.ts'
import { startRegistry } from '../../../src/registry/registry.ts'
import { eventually } from '../../fixtures/processes.ts'
import { digestOf, imageManifest, pushBlob, pushManifest } from '../../fixtures/test-registry.ts'

type Line = Record<string, unknown>

/** A registry that logs to memory. */
async function startLogged(data: string, settings: object = {}) {
  const lines: Line[] = []
  const write = (line: string) => void lines.push(JSON.parse(line) as Line)
  const log = createLog({ level: 'info', format: 'json', write })
  const config = checkConfig({ addr: '127.0.0.1:0', data, ...settings })
  const registry = await startRegistry({ config, log })
  const { port } = registry.address
  const requests = () => lines.filter(({ route }) => route !== undefined)
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose](),
  }
}

test('each request is a line with who, what, how long and how much; a client that left is none that was served', async () => {
  const data = await mkdtemp(join(tmpdir(), 'wharf-registry-observed-'))
  try {
    await using r = await startLogged(data)
    const digest = await pushBlob(r.url, 'a/b', 'some bytes')
    await (await fetch(`${r.url}/v2/a/b/blobs/${digest}`, { headers: { 'User-Agent': 'tester/1' } })).text()
    await (await fetch(`${r.url}/v2/a/b/manifests/none`)).text()
    const begun = await fetch(`${r.url}/v2/a/b/blobs/uploads/`, { method: 'POST' })
    const { pathname } = new URL(begun.headers.get('location') ?? '')
    const socket = connect(r.port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write(`PATCH ${pathname} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nonly this`)
    await eventually('it has come', async () => {
      return (await fetch(`${r.url}${pathname}`)).headers.get('range') === '0-8'
    })
    socket.destroy()
    const patch = await eventually('the line is there', () =>
      r.requests().find(({ method }) => method === 'PATCH'),
    )
    assert.equal(patch['status'], 499)
    const [push, pull, missing] = r.requests() as [Line, Line, Line]
    assert.deepEqual(
      [push, pull, missing].map(({ method, route, status }) => [method, route, status]),
      [
        ['POST', 'uploads', 201],
        ['GET', 'blob', 200],
        ['GET', 'manifest', 404],
      ],
    )
    assert.equal(pull['path'], `/v2/a/b/blobs/${digest}`)
    assert.equal(pull['userAgent'], 'tester/1')
    assert.equal(pull['address'], '127.0.0.1')
    assert.ok(Number(pull['bytes']) > 'some bytes'.length && Number(pull['ms']) > 0)
    assert.notEqual(push['id'], pull['id'])
    const text = await (await fetch(`${r.url}/metrics`)).text()
    for (const line of text.trim().split('\n')) {
      assert.match(
        line,
        /^(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"]*",?)+\})? [0-9.e+-]+|\w+(\{.*le="\+Inf".*\})? \d+)$/,
      )
    }
    const names = new Set([...text.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name))
    assert.ok(names.size > 0)
    for (const [, name = ''] of text.matchAll(/^(\w+)/gm)) {
      assert.ok(
        [...names].some((known) => name.startsWith(known ?? '-')),
        name,
      )
    }
  } finally {
    await rm(data, { recursive: true, force: true })
  }
})

test('the access log can be left out', async () => {
  const data = await mkdtemp(join(tmpdir(), 'wharf-registry-observed-'))
  try {
    await using r = await startLogged(data, { log: { access: false } })
    const config = await pushBlob(r.url, 'a', '{}')
    const text = imageManifest(config, [])
    assert.equal(
      (await pushManifest(r.url, { repository: 'a', reference: digestOf(text) }, text)).status,
      201,
    )
    assert.deepEqual(r.requests(), [])
  } finally {
    await rm(data, { recursive: true, force: true })
  }
})
