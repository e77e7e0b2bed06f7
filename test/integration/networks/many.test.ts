import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { runCommand } from '../../fixtures/processes.ts'

test('five hundred endpoints outlive restart and crash, and leave links, rules, routes, namespaces and parameters as they were', async () => {
  const child = join(import.meta.dirname, 'many-child.ts')
  const { code, stdout, stderr } = await runCommand('unshare', ['--net', process.execPath, child], {
    timeoutMs: 280_000,
  })
  assert.equal(code, 0, stderr.slice(-4000))
  assert.equal(stdout, 'nothing is left\n')
})
