import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { runCommand } from '../../fixtures/processes.ts'

test('the firewall is changed by a process with thousands of descriptors open', async () => {
  const child = join(import.meta.dirname, 'descriptor-child.ts')
  const { code, stdout, stderr } = await runCommand('unshare', ['--net', process.execPath, child])
  assert.equal(code, 0, stderr)
  assert.equal(stdout, 'table inet before\ntable inet after\n')
})
