import assert from 'node:assert/strict'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { mount, mountFlags } from '../../../src/kernel/mount.ts'
import { kernelState, leaked } from '../../fixtures/kernel-state.ts'
import type { KernelNames } from '../../fixtures/kernel-state.ts'
import { eventually, runCommand } from '../../fixtures/processes.ts'
import { Terminal } from '../../fixtures/terminal.ts'
import { startDaemon } from '../../fixtures/test-daemon.ts'

test('a test daemon answers, survives a crash, and leaves nothing', async () => {
  let root = ''
  let names: KernelNames | undefined
  {
    await using daemon = await startDaemon()
    root = daemon.names.root
    assert.equal((await daemon.api('GET', '/_ping')).body, 'OK')
    const id = (await daemon.api('GET', '/info')).json
    await daemon.kill9()
    await daemon.start()
    assert.deepEqual(Object(await daemon.api('GET', '/info').then((answer) => answer.json)).ID, Object(id).ID)
    await daemon.stop()
    // As a container might.
    mkdirSync(join(root, 'mounted'))
    mount({ source: root, target: join(root, 'mounted'), flags: mountFlags.bind })
    writeFileSync(join(root, 'mounted/kept'), '')
    const state = await daemon.kernelState()
    names = daemon.names
    assert.deepEqual([state.mounts, state.processes], [[join(root, 'mounted')], []])
  }
  assert.equal(existsSync(root), false)
  const nothing = { mounts: [], links: [], tables: [], cgroups: [], processes: [] }
  assert.deepEqual(names && (await kernelState(names)), nothing)
})

test('containers that are gone leave nothing in the kernel, not even after a crash', async () => {
  await using daemon = await startDaemon()
  await daemon.loadBusybox()
  // Bridge and firewall table stay when a daemon stops, as Docker's do.
  await daemon.stop()
  const before = await daemon.kernelState()
  await daemon.start()
  const flags = ['--name', 'done', '-p', '127.0.0.1::80', '-v', 'data:/data']
  const done = await daemon.docker(['run', ...flags, 'busybox', 'true'])
  assert.deepEqual(done, { code: 0, stdout: '', stderr: '' })
  await daemon.docker(['run', '-d', '--name', 'running', '--tmpfs', '/scratch', 'busybox', 'sleep', '1000'])
  assert.equal((await daemon.docker(['exec', 'running', 'ls', '/scratch'])).code, 0)
  const during = leaked(before, await daemon.kernelState())
  assert.deepEqual(Object.keys(during).sort(), ['cgroups', 'links', 'mounts', 'processes'])
  await daemon.kill9()
  await daemon.start()
  assert.equal((await daemon.docker(['rm', '-f', 'done', 'running'])).code, 0)
  await daemon.stop()
  // The kernel takes a namespace's links away some time after its last user has gone.
  let left: object = {}
  await eventually('nothing is left', async () => {
    left = leaked(before, await daemon.kernelState())
    return Object.keys(left).length === 0
  }).catch(() => assert.deepEqual(left, {}))
})

test('docker run -it: a shell with job control, a window size, and a way out that leaves it running', async () => {
  await using daemon = await startDaemon()
  await daemon.loadBusybox()
  const env = daemon.clientEnvironment()
  await using terminal = new Terminal('docker', ['run', '-it', '--name', 'shell', 'busybox'], {
    rows: 33,
    columns: 77,
    env,
  })
  await terminal.expect(/# /)
  terminal.send('stty size\r')
  await terminal.expect(/33 77/)
  terminal.resize(44, 99)
  await eventually('the new size', async () => {
    const { stdout } = await daemon.docker(['exec', 'shell', 'stty', '-F', '/dev/pts/0', 'size'])
    return stdout.trim() === '44 99'
  })
  // The shell reads ahead while it edits a line: nothing is typed before it runs something, nor ^C before cat answers.
  terminal.send('echo go; cat\r')
  await terminal.expect(/\ngo\r\n/)
  terminal.send('typed\r')
  await terminal.expect(/typed\r\ntyped\r\n/)
  terminal.send('\u0003')
  await terminal.expect(/# /)
  terminal.send('sleep 1000 & jobs\r')
  await terminal.expect(/Running\s+sleep 1000/)
  terminal.send('\u0010\u0011')
  assert.equal(await terminal.exited, 0)
  await using again = new Terminal('docker', ['attach', 'shell'], { env })
  again.send('echo still $((40 + 2))\r')
  await again.expect(/still 42/)
  again.send('exit 9\r')
  assert.equal(await again.exited, 9)
})

test('commands give their output and exit code', async () => {
  const result = await runCommand('sh', ['-c', 'cat; echo err >&2; exit 3'], { input: 'typed' })
  assert.deepEqual(result, { code: 3, stdout: 'typed', stderr: 'err\n' })
  assert.equal((await runCommand('sh', ['-c', 'kill -9 $$'])).code, 137)
})
