/** The daemon is killed with SIGKILL at many points; another takes over in the same directories. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, test } from 'node:test'
import { RunningContainerTask } from '../../../src/runtime/shim-container-task.ts'
import { containerId } from '../../../src/spec/ids.ts'
import { readAll, RuntimeFixture, splitFrames, until } from './fixture.ts'

const fixture = new RuntimeFixture()
after(() => fixture[Symbol.asyncDispose]())
const all = { stdin: true, stdout: true, stderr: true }

/** Starts a daemon, waits for its lines up to `last`, and kills it. */
async function daemon(stage: string, script: string, killAfterMs?: number): Promise<string[]> {
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, 'daemon-child.ts'), fixture.directory, stage, script],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const exited = once(child, 'exit')
  const lines: string[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'ready') break
    lines.push(line)
    if (killAfterMs !== undefined) {
      await new Promise((resolve) => setTimeout(resolve, killAfterMs))
      break
    }
  }
  child.kill('SIGKILL')
  await exited
  return lines
}

/** Keepers whose task directory is this one. */
function keepers(id: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const args = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0')
        return (
          args[0] === 'wharf-shim' &&
          args[1]?.includes(id) === true &&
          readlinkSync(`/proc/${pid}/exe`) !== ''
        )
      } catch {
        return false
      }
    })
}

/** Whether a process has a handler for the signal. */
function catches(pid: number, signal: number): boolean {
  const caught = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? '0'
  return (BigInt(`0x${caught}`) & (1n << BigInt(signal - 1))) !== 0n
}

/** Waiting for a process's end keeps no event loop alive; a daemon has its server for that. */
function holdLoop(): Disposable {
  const timer = setInterval(() => {}, 1000)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

async function adopt(id: string): Promise<RunningContainerTask> {
  const task = await fixture.runtime.adopt(containerId(id))
  assert.ok(task instanceof RunningContainerTask)
  return task
}

test('a running container and its exec are taken over with their streams, and end as ever', async () => {
  const [id = '', exec = ''] = await daemon('started', 'echo early; read x; echo "got $x"; exit 6')
  const task = await adopt(id)
  const execs = await fixture.runtime.adoptExecs(containerId(id))
  assert.deepEqual([...execs.keys()], [exec])
  const execTask = execs.get(exec)!
  assert.ok((await task.pids()).includes(execTask.pid))
  await execTask.kill(9)
  assert.equal((await execTask.exited).exitCode, 137)
  const stream = await task.attach(all)
  stream.write('input\n')
  assert.equal(splitFrames(await readAll(stream)).stdout.toString(), 'got input\n')
  assert.equal((await task.exited).exitCode, 6)
  const log = readFileSync(join(fixture.directory, 'containers', id, 'log'), 'utf8')
  assert.deepEqual(
    log
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).log),
    ['early\n', 'got input\n'],
  )
  await fixture.runtime.remove(containerId(id))
  await until(() => keepers(id).length === 0, 'keepers gone')
})

test('a container that ended while nobody was there is known with its code and time', async () => {
  const [id = ''] = await daemon('started', 'sleep 0.3; exit 9')
  const directory = join(fixture.directory, 'run/tasks', id)
  await until(() => existsSync(join(directory, 'exit')), 'exit recorded')
  await until(() => keepers(id).length === 0, 'keeper gone')
  const exit = await fixture.runtime.adopt(containerId(id))
  assert.ok(exit !== undefined && 'exitCode' in exit)
  assert.equal(exit.exitCode, 9)
  assert.equal(exit.oomKilled, false)
  await fixture.runtime.remove(containerId(id))
  assert.equal(await fixture.runtime.adopt(containerId(id)), undefined)
})

test('a task that was only created ends with its daemon', async () => {
  const [id = ''] = await daemon('created', 'exit 0')
  await until(() => keepers(id).length === 0, 'keeper gone')
  assert.equal(await fixture.runtime.adopt(containerId(id)), undefined)
  await fixture.runtime.remove(containerId(id))
  assert.ok(!(await fixture.runtime.list()).includes(containerId(id)))
})

test('wherever in a start the daemon dies, the task runs, has ended or never was, and removing leaves nothing', async () => {
  const outcomes = new Set<string>()
  for (const delay of [0, 2, 4, 6, 8, 11, 14, 18, 25, 40]) {
    const [id = ''] = await daemon('starting', 'exec sleep 1000', delay)
    // Every second time nobody asks before it is removed.
    const task = delay % 4 === 0 ? undefined : await fixture.runtime.adopt(containerId(id))
    outcomes.add(task === undefined ? 'nothing' : task instanceof RunningContainerTask ? 'running' : 'ended')
    await fixture.runtime.remove(containerId(id))
    await until(() => keepers(id).length === 0, 'keeper gone')
    assert.ok(!(await fixture.cgroups.list()).includes(id))
    assert.ok(!(await fixture.runtime.list()).includes(containerId(id)))
    assert.ok(!existsSync(join(fixture.directory, 'run/runtimes/crun', id)))
  }
  assert.ok(!outcomes.has('ended'))
})

test('a container whose keeper was killed is still known, and its end is seen', async () => {
  const [id = ''] = await daemon('started', 'exec sleep 1000')
  const [keeper] = keepers(id).filter((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('--bundle'),
  )
  process.kill(keeper!, 'SIGKILL')
  await until(() => keepers(id).every((pid) => pid !== keeper), 'keeper gone')
  const task = await adopt(id)
  assert.deepEqual((await task.pids()).includes(task.pid), true)
  using _hold = holdLoop()
  await task.kill(9)
  // 137 where this process inherited it, as a descendant's orphan; else nobody can know.
  assert.ok([137, 255].includes((await task.exited).exitCode))
  await fixture.runtime.remove(containerId(id))
})

test('when only the keeper dies, its daemon inherits the process and learns its code', async () => {
  const start = fixture.start(['sh', '-c', 'trap "exit 21" TERM; while :; do sleep 1; done'])
  const pending = await fixture.runtime.create(start, AbortSignal.timeout(10_000))
  const task = await pending.start()
  for (const pid of keepers(start.id)) process.kill(pid, 'SIGKILL')
  using _hold = holdLoop()
  // The first process of a namespace never sees a signal that it has no handler for yet.
  await until(() => catches(task.pid, 15), 'the trap is set')
  await task.kill(15)
  assert.equal((await task.exited).exitCode, 21)
})
