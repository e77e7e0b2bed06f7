import assert from 'node:assert/strict'
import { closeSync, openSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { processStartTime, spawnProcess } from './process.ts'
import { StrayReaper } from './stray-reaper.ts'
import { spawnDescriptor } from './unix-sockets.ts'

test('a dead child that nobody waits for is reaped', async () => {
  const opened = openSync('/dev/null', 'r+')
  const nothing = spawnDescriptor(opened)
  const descriptors = [nothing, nothing, nothing]
  const pid = spawnProcess({ file: '/bin/true', args: ['true'], env: [], descriptors })
  closeSync(opened)
  closeSync(nothing)
  using _reaper = new StrayReaper(5)
  const deadline = Date.now() + 10_000
  while (processStartTime(pid) !== undefined) {
    assert.ok(Date.now() < deadline, 'still there')
    await delay(2)
  }
})
