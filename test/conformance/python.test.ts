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

test('python3-docker: networks are made, joined, looked at and pruned', async () => {
  const script = join(import.meta.dirname, 'python-networks.py')
  const { code, stdout, stderr } = await runCommand('/usr/bin/python3', [script], {
    env: daemon.clientEnvironment(),
  })
  assert.equal(code, 0, stderr)
  const config = {
    Subnet: '10.88.0.0/24',
    IPRange: '10.88.0.128/25',
    Gateway: '10.88.0.254',
    AuxiliaryAddresses: { one: '10.88.0.128' },
  }
  assert.deepEqual(JSON.parse(stdout), {
    created: [config, { made: 'here' }, { 'com.docker.network.driver.mtu': '1400' }, true],
    containers: ['python-db', 'python-web'],
    web: '10.88.0.129',
    db: ['bridge', 'python-net'],
    resolves: 0,
    listed: ['python-net'],
    twice: [403, 'endpoint with name python-db already exists in network python-net'],
    inUse: [403, true],
    taken: [409, 'network with name python-net already exists'],
    gone: 1,
    pruned: ['python-net'],
    notFound: 'network python-net not found',
  })
})
