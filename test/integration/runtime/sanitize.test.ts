/** The keeper built with the address and undefined behaviour sanitizers: fuzzed, then put under stress. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { connectUnix, descriptorOf, socketPair } from '../../../src/kernel/unix-sockets.ts'
import type { ShimTask } from '../../../src/runtime/shim-task.ts'
import { readAll, repository, runToEnd, RuntimeFixture, splitFrames, until } from './fixture.ts'

const directory = mkdtempSync(join(tmpdir(), 'wharf-sanitize-'))
const fixture = new RuntimeFixture({
  shimProgram: join(directory, 'shim'),
  shimLimits: ['--spill', '300000', '--stall', '200'],
})
after(async () => {
  await fixture[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true, force: true })
})

const flags = ['-std=gnu11', '-g', '-O1', '-Wall', '-Wextra', '-Werror', '-fsanitize=address,undefined']
const strict = ['-fno-sanitize-recover=all', '-fno-omit-frame-pointer']
const native = (name: string) => join(repository, 'native', name)
const shared = ['clients.c', 'log.c', 'log-file.c'].map(native)
const own = ['main.c', 'process.c', 'sweep.c', 'namespaces.c'].map(native)

test('parsers and formatters stand generated input', () => {
  const program = join(directory, 'fuzz')
  execFileSync('gcc', [...flags, ...strict, '-o', program, native('fuzz.c'), ...shared])
  const seed = String(randomInt(2 ** 47))
  const { status, stderr } = spawnSync(program, [seed, '100000', join(directory, 'fuzz.log')], {
    encoding: 'utf8',
  })
  assert.equal(status, 0, `seed ${seed}: ${stderr}`)
})

/** Gives the task a connection, to a client that comes, says something or not, reads or not, and goes. */
async function giveAway(task: Pick<ShimTask, 'serve'>, round: number): Promise<void> {
  const { socket: ours, peer } = socketPair()
  const client = new Socket({ fd: peer, readable: true, writable: true })
  client.on('error', () => {})
  const offered = { descriptor: descriptorOf(ours), first: randomBytes(round), input: Buffer.alloc(0) }
  const wants = { stdin: round % 2 === 0, stdout: round % 3 > 0, stderr: true }
  const before = await task.serve(wants, offered)
  ours.destroy()
  before?.on('error', () => {})
  if (round % 4 < 2) before?.end('x\n')
  else before?.destroy()
  if (round % 7 < 3) client.resume()
  client.write('x\n')
  if (round % 5 < 3) client.end()
  else client.destroy()
}

test('a keeper under stress neither misuses memory nor loses bytes', async () => {
  const program = join(directory, 'sanitized')
  execFileSync('gcc', [...flags, ...strict, '-o', program, ...own, ...shared])
  const report = join(directory, 'report')
  const wrapper = `#!/bin/sh\nexport ASAN_OPTIONS=log_path=${report} UBSAN_OPTIONS=log_path=${report}\nexec ${program} "$@"\n`
  writeFileSync(join(directory, 'shim'), wrapper, { mode: 0o755 })
  const log = { format: 'json-file', maxSizeBytes: 50_000, maxFiles: 4 } as const
  const input = randomBytes(2_000_000)
  const start = fixture.start(['sh', '-c', 'tee /dev/stderr'], {
    config: { OpenStdin: true, StdinOnce: true },
    log,
  })
  const { stdout, stderr } = await runToEnd(fixture, start, input)
  assert.ok(stdout.equals(input) && stderr.equals(input))

  const busy = fixture.start(['sh', '-c', 'while read x; do seq 1 3000; done'], {
    config: { OpenStdin: true },
    log,
  })
  const pending = await fixture.runtime.create(busy, AbortSignal.timeout(30_000))
  const first = await pending.attach({ stdin: true, stdout: true, stderr: true })
  const task = await pending.start()
  const place = join(fixture.directory, 'run/tasks', busy.id)
  const output = readAll(first)
  for (let round = 0; round < 60; round++) {
    first.write('x\n')
    // Clients that come, say something or nonsense, and go without a word.
    const line =
      ['attach o', 'attach io', 'take oe', 'watch', 'resize 1 1', 'close2', '\0\xff', ''][round % 8] ?? ''
    const socket = await connectUnix(place, 'socket')
    socket.on('error', () => {})
    socket.write(`${line}${round % 3 === 0 ? '' : '\n'}`)
    if (round % 2 === 0) socket.once('data', () => socket.destroy())
    if (round % 5 === 0) socket.destroy()
    await giveAway(task, round)
  }
  await until(
    () => statSync(join(busy.directory, 'log.1'), { throwIfNoEntry: false }) !== undefined,
    'much output',
  )
  const idle = connect({ path: join(place, 'socket') })
  idle.on('error', () => {})
  await task.kill(9)
  assert.equal((await task.exited).exitCode, 137)
  const { stdout: text } = splitFrames(await output)
  assert.ok(text.toString().startsWith('1\n2\n3\n'))
  const reports = readdirSync(directory).filter((name) => name.startsWith('report'))
  assert.equal(
    reports.length,
    0,
    reports.map((name) => readFileSync(join(directory, name), 'utf8')).join('\n'),
  )
})
