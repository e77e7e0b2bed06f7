/** Clients' connections that are given to a container's keeper. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { descriptorOf } from '../../../src/kernel/unix-sockets.ts'
import type { AttachOptions } from '../../../src/spec/task-types.ts'
import { readAll, RuntimeFixture, splitFrames } from './fixture.ts'

const fixture = new RuntimeFixture({ shimLimits: ['--stall', '100'] })
const server = createServer({ allowHalfOpen: true, pauseOnConnect: true })
const path = join(fixture.directory, 'clients')
after(async () => {
  server.close()
  await fixture[Symbol.asyncDispose]()
})
const never = () => AbortSignal.timeout(60_000)
const all: AttachOptions = { stdin: true, stdout: true, stderr: true }
const none = Buffer.alloc(0)

/** A connection: a client's end, and ours, to be given away. */
async function connection(): Promise<{ client: Socket; ours: Socket }> {
  if (!server.listening) await once(server.listen(path), 'listening')
  const accepted = once(server, 'connection')
  const client = connect({ path, allowHalfOpen: true })
  const [ours]: Socket[] = await accepted
  if (ours === undefined) throw new Error('no connection')
  return { client, ours }
}

test('a client that was given away gets its head first, and its input comes after what was read of it', async () => {
  const start = fixture.start(['sh', '-c', 'cat; echo done >&2'], {
    config: { OpenStdin: true, StdinOnce: true },
  })
  const pending = await fixture.runtime.create(start, never())
  const { client, ours } = await connection()
  const offered = { descriptor: descriptorOf(ours), first: Buffer.from('head'), input: none }
  const before = await pending.serve(all, offered)
  assert.ok(before !== undefined)
  ours.destroy()
  const input = randomBytes(3_000_000)
  client.end(input.subarray(1_000_000))
  const output = readAll(client)
  const task = await pending.start()
  before.end(input.subarray(0, 1_000_000))
  const raw = await output
  assert.equal(raw.subarray(0, 4).toString(), 'head')
  const { stdout, stderr } = splitFrames(raw.subarray(4))
  assert.ok(stdout.equals(input))
  assert.equal(stderr.toString(), 'done\n')
  assert.equal((await task.exited).exitCode, 0)
})

test('what was read of a client that has gone still arrives, and is the end of stdin', async () => {
  const start = fixture.start(['sh', '-c', 'read go; cat >/dev/null; exit 5'], {
    config: { OpenStdin: true, StdinOnce: true },
  })
  const pending = await fixture.runtime.create(start, never())
  const { client, ours } = await connection()
  const before = await pending.serve(all, { descriptor: descriptorOf(ours), first: none, input: none })
  assert.ok(before !== undefined)
  ours.destroy()
  client.destroy()
  const task = await pending.start()
  before.end('go\n')
  assert.equal((await task.exited).exitCode, 5)
})

test('a client that only sends is not cut off for taking nothing', async () => {
  // It waits much longer than the keeper's patience with clients that stand still.
  const script = 'read a; sleep 0.5; echo slept; read b; echo "$a $b"'
  const start = fixture.start(['sh', '-c', script], { config: { OpenStdin: true } })
  const pending = await fixture.runtime.create(start, never())
  const reads = await pending.attach({ stdin: false, stdout: true, stderr: true })
  const sends = await pending.attach({ stdin: true, stdout: false, stderr: false })
  const task = await pending.start()
  sends.write('one\n')
  const output = readAll(reads)
  await once(reads, 'data')
  sends.write('two\n')
  assert.equal(splitFrames(await output).stdout.toString(), 'slept\none two\n')
  await task.exited
})

test('a task that is over takes no connection', async () => {
  const pending = await fixture.runtime.create(fixture.start(['true']), never())
  const task = await pending.start()
  await task.exited
  const { client, ours } = await connection()
  const offered = { descriptor: descriptorOf(ours), first: none, input: none }
  assert.equal(await task.serve(all, offered), undefined)
  ours.write('still ours')
  const [data]: Buffer[] = await once(client, 'data')
  assert.equal(data?.toString(), 'still ours')
  ours.destroy()
  client.destroy()
})
