import assert from 'node:assert/strict'
import { closeSync, openSync } from 'node:fs'
import { test } from 'node:test'
import {
  exitCodeOf,
  isAlive,
  parseProcessStat,
  processStartTime,
  reap,
  signalProcess,
  spawnProcess,
} from './process.ts'
import { socketPair, spawnDescriptor } from './unix-sockets.ts'

test('parseProcessStat is not misled by a command name with brackets and blanks', () => {
  const tail = 'S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3'
  assert.deepEqual(parseProcessStat(`12 (a) b) (c) ${tail}`), { state: 'S', startTime: 98765n })
  assert.equal(parseProcessStat('12 (a) S 1'), undefined)
})

test('spawnProcess gives a process exactly the descriptors it was told', async () => {
  const nothing = openSync('/dev/null', 'r+')
  const { socket, peer } = socketPair()
  const high = spawnDescriptor(nothing)
  const pid = spawnProcess({
    file: '/bin/sh',
    args: ['sh', '-c', 'echo "$A" >&3; ls /proc/self/fd | tr "\\n" " " >&3'],
    env: ['A=value', 'PATH=/usr/bin:/bin'],
    descriptors: [high, high, high, peer],
  })
  for (const fd of [nothing, high, peer]) closeSync(fd)
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk)
  // ls has one more open: the directory it lists.
  assert.match(Buffer.concat(chunks).toString(), /^value\n0 1 2 3 4 $/)
  reap(pid)
})

test('a process is signalled by identity, and its end is seen', async () => {
  const nothing = spawnDescriptor(openSync('/dev/null', 'r+'))
  const pid = spawnProcess({
    file: '/bin/sleep',
    args: ['sleep', '60'],
    env: [],
    descriptors: [nothing, nothing, nothing],
  })
  closeSync(nothing)
  const identity = { pid, startTime: processStartTime(pid) ?? 0n }
  assert.ok(isAlive(identity))
  assert.equal(signalProcess({ pid, startTime: identity.startTime + 1n }, 9), false)
  assert.ok(isAlive(identity))
  const hold = setInterval(() => {}, 1000)
  const end = exitCodeOf(identity)
  assert.equal(signalProcess(identity, 9), true)
  assert.equal(await end, 137)
  clearInterval(hold)
  assert.equal(isAlive(identity), false)
  assert.equal(signalProcess(identity, 9), false)
  assert.equal(await exitCodeOf(identity), undefined)
})
