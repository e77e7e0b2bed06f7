import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { EngineError } from '../../../src/spec/errors.ts'
import { readAll, runToEnd, RuntimeFixture, splitFrames, until, type StartChange } from './fixture.ts'

const fixture = new RuntimeFixture({ shimLimits: ['--stall', '2000', '--spill', '1048576'] })
after(() => fixture[Symbol.asyncDispose]())
const never = () => AbortSignal.timeout(60_000)
const all = { stdin: true, stdout: true, stderr: true }
const output = { stdin: false, stdout: true, stderr: true }
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex')

test('a container writes to both streams and ends with its code', async () => {
  const start = fixture.start(['sh', '-c', 'printf out; printf err >&2; exit 7'])
  const { stdout, stderr, exit, task } = await runToEnd(fixture, start)
  assert.equal(stdout.toString(), 'out')
  assert.equal(stderr.toString(), 'err')
  assert.equal(exit.exitCode, 7)
  assert.equal(exit.oomKilled, false)
  assert.match(exit.finishedAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/)
  assert.ok(task.startedAt <= exit.finishedAt)
})

test('50 MB of binary data go in and come out unchanged', async () => {
  const input = randomBytes(50_000_000)
  const start = fixture.start(['cat'], { config: { OpenStdin: true, StdinOnce: true } })
  const { stdout, stderr, exit } = await runToEnd(fixture, start, input)
  assert.equal(sha256(stdout), sha256(input))
  assert.equal(stderr.length, 0)
  assert.equal(exit.exitCode, 0)
})

test('without StdinOnce the end of one client is not the end of stdin', async () => {
  const start = fixture.start(['sh', '-c', 'read a; read b; echo "$a $b"'], { config: { OpenStdin: true } })
  const pending = await fixture.runtime.create(start, never())
  const first = await pending.attach(all)
  const task = await pending.start()
  first.end('one\n')
  const second = await task.attach(all)
  second.write('two\n')
  assert.equal(splitFrames(await readAll(first)).stdout.toString(), 'one two\n')
  assert.equal(splitFrames(await readAll(second)).stdout.toString(), 'one two\n')
  assert.equal((await task.exited).exitCode, 0)
})

test('a process without stdin reads an end at once', async () => {
  const { stdout } = await runToEnd(
    fixture,
    fixture.start(['sh', '-c', 'cat; echo done']),
    Buffer.from('lost'),
  )
  assert.equal(stdout.toString(), 'done\n')
})

test('a client gets the streams it asked for, and all clients get the same', async () => {
  const start = fixture.start(['sh', '-c', 'read x; seq 1 20000; echo oops >&2'], {
    config: { OpenStdin: true },
  })
  const pending = await fixture.runtime.create(start, never())
  const streams = await Promise.all([
    pending.attach(output),
    pending.attach(output),
    pending.attach({ stdin: false, stdout: true, stderr: false }),
    pending.attach({ stdin: false, stdout: false, stderr: true }),
  ])
  const task = await pending.start()
  const input = await task.attach({ stdin: true, stdout: false, stderr: false })
  input.end('go\n')
  const [one, two, three, four] = (await Promise.all(streams.map(readAll))).map(splitFrames)
  const text = Array.from({ length: 20000 }, (_, i) => `${i + 1}\n`).join('')
  assert.equal(one?.stdout.toString(), text)
  assert.equal(one?.stderr.toString(), 'oops\n')
  assert.deepEqual(two, one)
  assert.deepEqual([three?.stdout.toString(), three?.stderr.length], [text, 0])
  assert.deepEqual([four?.stderr.toString(), four?.stdout.length], ['oops\n', 0])
  await task.exited
})

test('a client that reads nothing holds nobody up, and loses nothing within the bound', async () => {
  const start = fixture.start(
    ['sh', '-c', 'read x; head -c 800000 /dev/zero; read y; head -c 30000000 /dev/zero'],
    {
      config: { OpenStdin: true },
    },
  )
  const pending = await fixture.runtime.create(start, never())
  const task = await pending.start()
  const lazy = await task.attach(output)
  const within = await task.attach(output)
  const fast = await task.attach(all)
  fast.write('x\n')
  let seen = 0
  fast.on('data', (chunk: Buffer) => (seen += chunk.length))
  await until(() => seen >= 800_000, 'the fast client has everything')
  // Read only now, long after it was written.
  let late = 0
  within.on('data', (chunk: Buffer) => (late += chunk.length))
  await until(() => late >= 800_000, 'the late client has everything')
  within.destroy()
  fast.write('y\n')
  const exit = await task.exited
  assert.equal(exit.exitCode, 0)
  // It was cut off at its bound, in the middle of a frame.
  const rest = (await readAll(lazy)).length
  assert.ok(rest > 1_000_000 && rest < 10_000_000, `${rest} bytes`)
})

test('a slow client from before the start gets everything, however late it reads', async () => {
  const start = fixture.start(['head', '-c', '20000000', '/dev/zero'])
  const pending = await fixture.runtime.create(start, never())
  const stream = await pending.attach(output)
  const task = await pending.start()
  let bytes = 0
  for await (const chunk of stream) {
    bytes += (chunk as Buffer).length
    // Slower than the process writes, but never still.
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.ok(bytes > 20_000_000)
  assert.equal((await task.exited).exitCode, 0)
})

test('a client from before the start that stands still is cut off in the end', async () => {
  const start = fixture.start(['head', '-c', '20000000', '/dev/zero'])
  const pending = await fixture.runtime.create(start, never())
  await pending.attach(output)
  const task = await pending.start()
  assert.equal((await task.exited).exitCode, 0)
})

test('a terminal has its size from the start, follows resizes, and carries raw bytes', async () => {
  const change: StartChange = {
    config: { Tty: true, OpenStdin: true },
    consoleSize: { rows: 33, columns: 111 },
  }
  const start = fixture.start(['sh', '-c', 'stty size; read x; stty size; echo "[$x]"; exit 5'], change)
  const pending = await fixture.runtime.create(start, never())
  const stream = await pending.attach(all)
  const task = await pending.start()
  let text = ''
  stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  await until(() => text.includes('33 111'), 'first size')
  await task.resize(40, 100)
  stream.write('line\r')
  assert.equal((await task.exited).exitCode, 5)
  await until(() => stream.readableEnded, 'end')
  assert.equal(text, '33 111\r\nline\r\n40 100\r\n[line]\r\n')
})

test('^C at a terminal interrupts the foreground process', async () => {
  const start = fixture.start(
    ['sh', '-c', 'trap "echo caught; exit 9" INT; echo ready; while :; do sleep 1; done'],
    {
      config: { Tty: true, OpenStdin: true },
    },
  )
  const pending = await fixture.runtime.create(start, never())
  const stream = await pending.attach(all)
  const task = await pending.start()
  let text = ''
  stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  await until(() => text.includes('ready'), 'ready')
  stream.write('\u0003')
  assert.equal((await task.exited).exitCode, 9)
})

test('kill() sends the signal; an untrapped one is 128 and its number', async () => {
  const pending = await fixture.runtime.create(fixture.start(['sleep', '1000']), never())
  const task = await pending.start()
  assert.deepEqual(await task.pids(), [task.pid])
  await assert.rejects(task.resize(1, 1), /no terminal/)
  await task.kill(9)
  assert.equal((await task.exited).exitCode, 137)
  await assert.rejects(task.kill(9), (error: EngineError) => error.kind === 'notFound')
  assert.equal((await readAll(await task.attach(output))).length, 0)
})

test('a paused container stands still until it is resumed', async () => {
  const start = fixture.start(['sh', '-c', 'while read x; do echo "$x"; done'], {
    config: { OpenStdin: true, StdinOnce: true },
  })
  const pending = await fixture.runtime.create(start, never())
  const stream = await pending.attach(all)
  const task = await pending.start()
  await task.pause()
  stream.end('hello\n')
  const stats = await task.stats()
  assert.equal(stats.pids, 1n)
  assert.equal(stream.readableLength, 0)
  await task.resume()
  assert.equal(splitFrames(await readAll(stream)).stdout.toString(), 'hello\n')
  await task.exited
})

test('a memory hog is killed, and it shows', async () => {
  const start = fixture.start(['sh', '-c', 'tail /dev/zero'], {
    hostConfig: { Memory: 20 * 1024 * 1024, MemorySwap: 20 * 1024 * 1024 },
  })
  const { exit } = await runToEnd(fixture, start)
  assert.deepEqual([exit.exitCode, exit.oomKilled], [137, true])
})

const refusals: [string, string[], StartChange, RegExp][] = [
  ['a missing command', ['foo'], {}, /exec: "foo": executable file not found in \$PATH: unknown$/],
  [
    'a missing path',
    ['/no/file'],
    {},
    /exec: "\/no\/file": stat \/no\/file: no such file or directory: unknown$/,
  ],
  ['a plain file', ['/etc/plain'], {}, /exec: "\/etc\/plain": permission denied: unknown$/],
  ['a directory', ['/etc'], {}, /exec: "\/etc": (is a directory|permission denied): unknown$/],
]
for (const runtime of ['crun', 'runc']) {
  for (const [what, args, change, text] of refusals) {
    test(`${runtime}: ${what} is refused in Docker's words, and nothing is left`, async () => {
      const start = fixture.start(args, { ...change, hostConfig: { Runtime: runtime } })
      const pending = await fixture.runtime.create(start, never())
      const stream = await pending.attach(output)
      await assert.rejects(pending.start(), (error: EngineError) => {
        assert.equal(error.kind, 'invalid')
        assert.ok(error.message.startsWith('failed to create task for container: '), error.message)
        assert.match(error.message, text)
        return true
      })
      assert.equal((await readAll(stream)).length, 0)
      assert.deepEqual(
        await fixture.runtime.list(),
        (await fixture.runtime.list()).filter((id) => id !== start.id),
      )
      assert.ok(!(await fixture.cgroups.list()).includes(start.id))
      assert.deepEqual(
        (await readdir(join(fixture.directory, 'run/runtimes', runtime))).includes(start.id),
        false,
      )
    })
  }
}

test('runc runs containers too', async () => {
  const start = fixture.start(['sh', '-c', 'cat; exit 4'], {
    config: { OpenStdin: true, StdinOnce: true },
    hostConfig: { Runtime: 'runc' },
  })
  const { stdout, exit } = await runToEnd(fixture, start, Buffer.from('through'))
  assert.deepEqual([stdout.toString(), exit.exitCode], ['through', 4])
  await fixture.runtime.remove(start.id)
  assert.ok(!(await fixture.cgroups.list()).includes(start.id))
})

test('an unknown runtime is refused', async () => {
  const start = fixture.start(['true'], { hostConfig: { Runtime: 'other' } })
  await assert.rejects(fixture.runtime.create(start, never()), /unknown or invalid runtime name: other/)
})

test('an abandoned task leaves nothing, neither does a removed one', async () => {
  const start = fixture.start(['true'])
  const pending = await fixture.runtime.create(start, never())
  const stream = await pending.attach(output)
  await pending.abandon()
  assert.equal((await readAll(stream)).length, 0)
  assert.ok(!existsSync(join(fixture.directory, 'run/tasks', start.id)))
  const again = await runToEnd(fixture, start)
  assert.equal(again.exit.exitCode, 0)
  await fixture.runtime.remove(start.id)
  await fixture.runtime.remove(start.id)
  assert.ok(!existsSync(join(fixture.directory, 'run/tasks', start.id)))
  assert.ok(!(await fixture.cgroups.list()).includes(start.id))
})

test('removing a task whose process left others behind ends those', async () => {
  const start = fixture.start(['sh', '-c', 'sleep 1000 & exit 0'], {})
  start.namespaces.pid = { kind: 'host' }
  const pending = await fixture.runtime.create(start, never())
  const task = await pending.start()
  // The background process holds the output open; the end does not wait for it.
  assert.equal((await task.exited).exitCode, 0)
  assert.equal((await fixture.cgroups.pids(fixture.cgroups.pathFor(start.id, ''))).length, 1)
  await fixture.runtime.remove(start.id)
  assert.ok(!(await fixture.cgroups.list()).includes(start.id))
})
