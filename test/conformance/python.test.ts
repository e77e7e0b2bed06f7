import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { runCommand } from '../fixtures/processes.ts'
import { startDaemon } from '../fixtures/test-daemon.ts'
import type { TestDaemon } from '../fixtures/test-daemon.ts'

let daemon: TestDaemon

before(async () => {
  daemon = await startDaemon()
  await daemon.loadBusybox()
})
after(async () => {
  await daemon[Symbol.asyncDispose]()
})

test('python3-docker: containers, logs, exec, archives, volumes, mounts and errors', async () => {
  const script = join(import.meta.dirname, 'python-client.py')
  const { code, stdout, stderr } = await runCommand('/usr/bin/python3', [script], {
    env: daemon.clientEnvironment(),
  })
  assert.equal(code, 0, stderr)
  assert.deepEqual(JSON.parse(stdout), {
    ping: true,
    version: 'linux',
    run: 'hello\n',
    error: [5, 'bad\n'],
    follow: ['one\n', 'two\n'],
    tail: 'two\n',
    exec: [2, 'in\n'],
    demux: ['o\n', 'e\n'],
    top: 'UID',
    stats: '/python-box',
    put: true,
    get: ['note', 4, 'text'],
    paused: 'paused',
    names: ['python-renamed'],
    wait: 137,
    notFound: 'No such container: python-renamed',
    volume: ['py-data', 'local', { kind: 'test' }],
    mounts: '1\n750\n/plain\n',
    points: [
      ['volume', '/anonymous', true],
      ['volume', '/data', true],
    ],
    inUse: [409, true],
    listed: ['py-data'],
    pruned: [],
    noVolume: 'get py-data: no such volume',
  })
})
