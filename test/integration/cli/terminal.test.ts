/** What a person at a terminal has of `wharf run`, `attach` and `exec`. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Terminal } from '../../fixtures/terminal.ts'
import { projectRoot, startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'

const wharf = join(projectRoot, 'bin/wharf')
let daemon: TestDaemon

before(async () => {
  daemon = await startDaemon()
  await daemon.loadBusybox()
})
after(async () => {
  await daemon[Symbol.asyncDispose]()
})

const terminal = (args: readonly string[]) =>
  new Terminal(wharf, args, { rows: 24, columns: 80, env: daemon.clientEnvironment() })

test('a shell has its own terminal, window size and job control, and its code is ours', async () => {
  await using shell = terminal(['run', '-it', '--rm', 'busybox', 'sh'])
  await shell.expect(/\/ # /)
  shell.send('tty; stty size\n')
  await shell.expect(/\/dev\/pts\/0\r\n24 80\r\n/)
  shell.resize(40, 120)
  // The new size comes by a request of its own.
  shell.send('until stty size | grep "40 120"; do sleep 0.1; done\n')
  await shell.expect(/\r\n40 120\r\n/)
  // The shell reads ahead while it edits a line, so nothing is typed before its command runs and answers.
  shell.send('echo go; cat\n')
  await shell.expect(/\ngo\r\n/)
  shell.send('first\n')
  await shell.expect(/first\r\nfirst\r\n/)
  shell.send('\x1a')
  await shell.expect(/Stopped +cat[^]*\/ # /)
  shell.send('fg\n')
  await shell.expect(/\ncat\r\n/)
  shell.send('second\n')
  await shell.expect(/second\r\nsecond\r\n/)
  shell.send('\x03')
  await shell.expect(/\^C[^]*\/ # /)
  shell.send('exit 7\n')
  assert.equal(await shell.exited, 7)
})

test('detach keys leave it running; who attaches again sees it drawn anew', async () => {
  {
    await using shell = terminal(['run', '-it', '--name', 'left', 'busybox', 'sh'])
    await shell.expect(/\/ # /)
    shell.send('\x10\x11')
    assert.equal(await shell.exited, 0)
  }
  {
    await using again = terminal(['attach', '--detach-keys', 'ctrl-a,x', 'left'])
    // Nothing is typed: the prompt comes because the shell was asked to draw it.
    await again.expect(/\/ # /)
    again.send('\x10\x11\x01x')
    await again.expect(/read escape sequence/)
    assert.equal(await again.exited, 1)
  }
  await using last = terminal(['attach', 'left'])
  await last.expect(/\/ # /)
  last.send('\x03')
  last.send('stty size; exit 5\n')
  await last.expect(/24 80\r\n/)
  assert.equal(await last.exited, 5)
})

test('an exec has a terminal of the size of ours, and detach keys too', async () => {
  const { code, stderr } = await daemon.wharf(['run', '-d', '--name', 'host', 'busybox', 'sleep', '1000'])
  assert.equal(code, 0, stderr)
  await using shell = terminal(['exec', '-it', 'host', 'sh'])
  await shell.expect(/\/ # /)
  shell.send('stty size\n')
  await shell.expect(/\r\n24 80\r\n/)
  shell.send('\x10\x11')
  await shell.expect(/read escape sequence/)
  assert.equal(await shell.exited, 1)
})
