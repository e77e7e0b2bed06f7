/** The stock docker CLI through our daemon against our registry, open and with users and tokens. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { hash } from 'bcryptjs'
import { startDaemon } from '../fixtures/test-daemon.ts'
import { startTestRegistry } from '../fixtures/test-registry.ts'

test('docker pushes, removes, pulls and searches', async () => {
  await using r = await startTestRegistry()
  await using daemon = await startDaemon()
  await daemon.loadBusybox()
  const name = `${r.host}/team/box:1`
  const docker = async (...args: string[]) => {
    const result = await daemon.docker(args)
    assert.equal(result.code, 0, `docker ${args.join(' ')}: ${result.stderr}`)
    return result.stdout
  }
  await docker('tag', 'busybox:latest', name)
  const pushed = /digest: (sha256:[0-9a-f]{64})/.exec(await docker('push', name))?.[1]
  assert.ok(pushed !== undefined)
  const stored = await fetch(`${r.url}/v2/team/box/manifests/1`, { method: 'HEAD' })
  assert.equal(stored.headers.get('docker-content-digest'), pushed)
  await docker('rmi', name, 'busybox:latest')
  assert.match(await docker('pull', name), new RegExp(`Digest: ${pushed}`))
  assert.match(await docker('search', `${r.host}/box`), /^team\/box /m)
})

test('docker is refused without login, and served with it', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'wharf-registry-docker-'))
  try {
    const htpasswd = join(directory, 'htpasswd')
    await writeFile(htpasswd, `alice:${await hash('secret', 4)}\n`)
    await using r = await startTestRegistry({ users: { htpasswd }, tokens: {} })
    await using daemon = await startDaemon()
    await daemon.loadBusybox()
    const name = `${r.host}/team/box:1`
    await daemon.docker(['tag', 'busybox:latest', name])
    const refused = await daemon.docker(['push', name])
    assert.notEqual(refused.code, 0)
    const wrong = await daemon.docker(['login', '-u', 'alice', '-p', 'wrong', r.host])
    assert.match(wrong.stderr, /unauthorized/)
    const login = await daemon.docker(['login', '-u', 'alice', '-p', 'secret', r.host])
    assert.match(login.stdout, /Login Succeeded/)
    const pushed = await daemon.docker(['push', name])
    assert.equal(pushed.code, 0, pushed.stderr)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})
