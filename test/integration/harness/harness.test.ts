import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { mount, mountFlags } from '../../../src/kernel/mount.ts'
import { leaked } from '../../fixtures/kernel-state.ts'
import { runCommand } from '../../fixtures/processes.ts'
import { Terminal } from '../../fixtures/terminal.ts'
import { startDaemon } from '../../fixtures/test-daemon.ts'

test('a test daemon answers, survives a crash, and leaves nothing', async () => {
  const before = { mounts: [], links: [], tables: [], cgroups: [], processes: [] }
  let root = ''
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
    assert.deepEqual(leaked(before, await daemon.kernelState()), { mounts: [join(root, 'mounted')] })
  }
  assert.equal(existsSync(root), false)
  assert.equal(readFileSync('/proc/self/mountinfo', 'utf8').includes(root), false)
})

test('commands give their output and exit code', async () => {
  const result = await runCommand('sh', ['-c', 'cat; echo err >&2; exit 3'], { input: 'typed' })
  assert.deepEqual(result, { code: 3, stdout: 'typed', stderr: 'err\n' })
  assert.equal((await runCommand('sh', ['-c', 'kill -9 $$'])).code, 137)
})

test('a terminal shows a program what a person would type, and its size', async () => {
  await using terminal = new Terminal('sh', [], { rows: 30, columns: 100 })
  await terminal.expect(/[$#] /)
  terminal.send('stty size\r')
  await terminal.expect(/30 100/)
  terminal.resize(40, 120)
  terminal.send('stty size\r')
  await terminal.expect(/40 120/)
  terminal.send('sleep 1000\r')
  await terminal.expect(/sleep 1000\r\n/)
  terminal.send('\u0003')
  await terminal.expect(/[$#] /)
  terminal.send('exit 7\r')
  assert.equal(await terminal.exited, 7)
})
