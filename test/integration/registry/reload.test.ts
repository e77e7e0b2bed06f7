/** SIGHUP: a registry process reads its configuration again, and no connection is lost over it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { Agent, request, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { eventually, runCommand } from '../../fixtures/processes.ts'
import { freePort, startConfiguredRegistry } from '../../fixtures/registry-process.ts'
import { digestOf, pushBlob } from '../../fixtures/test-registry.ts'

const program = new URL('../../../bin/wharf-registry', import.meta.url).pathname

test('an upload and an idle connection outlive new users and limits; a broken file changes nothing', async () => {
  const root = await mkdtemp(join(tmpdir(), 'wharf-registry-reload-'))
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  try {
    const data = join(root, 'data')
    const htpasswd = join(root, 'htpasswd')
    const port = await freePort()
    const write = (settings: object) =>
      writeFile(join(data, 'registry.yml'), JSON.stringify({ addr: `127.0.0.1:${port}`, data, ...settings }))
    const made = await runCommand(program, ['htpasswd', 'alice'], { input: 'secret\n' })
    assert.equal(made.code, 0, made.stderr)
    await writeFile(htpasswd, made.stdout)
    await using registry = await startConfiguredRegistry(data, port, {})
    const idle = async () => {
      const asked = request(`${registry.url}/v2/`, { agent })
      asked.end()
      const [response] = (await once(asked, 'response')) as [IncomingMessage]
      const { localPort } = response.socket
      await text(response)
      return { status: response.statusCode, port: localPort }
    }
    const first = await idle()
    const digest = digestOf('one half and another')
    const upload = request(`${registry.url}/v2/a/blobs/uploads/?digest=${digest}`, { method: 'POST' })
    upload.write('one half ')
    const answered = once(upload, 'response')

    await write({ users: { htpasswd } })
    registry.child.kill('SIGHUP')
    await eventually('the users are known', async () => (await fetch(`${registry.url}/v2/`)).status === 401)
    assert.deepEqual(await idle(), { status: 401, port: first.port })
    upload.end('and another')
    const [response] = (await answered) as [IncomingMessage]
    assert.equal(response.statusCode, 201, await text(response))
    const headers = { Authorization: `Basic ${Buffer.from('alice:secret').toString('base64')}` }
    await pushBlob(registry.url, 'a', 'with a name', headers)

    await writeFile(join(data, 'registry.yml'), 'users: {')
    registry.child.kill('SIGHUP')
    await write({ users: { htpasswd: '/no/such/file' } })
    registry.child.kill('SIGHUP')
    await write({ users: { htpasswd }, readOnly: true })
    registry.child.kill('SIGHUP')
    await eventually('nothing can be pushed', async () => {
      const answer = await fetch(`${registry.url}/v2/a/blobs/uploads/`, { method: 'POST', headers })
      return answer.status === 405
    })
    assert.deepEqual(await idle(), { status: 401, port: first.port })
    assert.match(await readFile(htpasswd, 'utf8'), /^alice:/)
  } finally {
    agent.destroy()
    await rm(root, { recursive: true, force: true })
  }
})
