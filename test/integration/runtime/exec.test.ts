import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { EngineError } from '../../../src/spec/errors.ts'
import type { ExecTaskStart } from '../../../src/spec/task-types.ts'
import type { RunningContainerTask } from '../../../src/runtime/shim-container-task.ts'
import { readAll, runToEnd, RuntimeFixture, splitFrames, until } from './fixture.ts'

const fixture = new RuntimeFixture()
const never = () => AbortSignal.timeout(60_000)
const all = { stdin: true, stdout: true, stderr: true }
const output = { stdin: false, stdout: true, stderr: true }
const container = fixture.start(['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 1000 & wait $!; done'], {
  config: { Env: ['FROM=container'] },
})
let task: RunningContainerTask

before(async () => {
  const pending = await fixture.runtime.create(container, never())
  task = await pending.start()
})
after(() => fixture[Symbol.asyncDispose]())

async function execute(args: string[], change: Partial<ExecTaskStart> = {}, input = '') {
  const exec = await task.exec(fixture.exec(container.id, args, change), never())
  const stream = await exec.attach(change.openStdin === true ? all : output)
  stream.end(input)
  const raw = await readAll(stream)
  const exit = await exec.exited
  const frames = change.tty === true ? { stdout: raw, stderr: Buffer.alloc(0) } : splitFrames(raw)
  return { exitCode: exit.exitCode, stdout: frames.stdout.toString(), stderr: frames.stderr.toString() }
}

test('an exec runs beside the container, loses no output and has a code of its own', async () => {
  const result = await execute(['sh', '-c', 'echo out; echo err >&2; exit 42'])
  assert.deepEqual(result, { exitCode: 42, stdout: 'out\n', stderr: 'err\n' })
})

test('an exec has the container environment, its own on top, its user and directory', async () => {
  const script = 'echo "$FROM $OWN $(id -u):$(id -g) $(id -G) $(pwd) $HOME"'
  const result = await execute(['sh', '-c', script], { env: ['OWN=exec'], user: 'user', workingDir: '/tmp' })
  assert.equal(result.stdout, 'container exec 1000:1000 1000 2000 /tmp /home/user\n')
})

test('the end of stdin reaches an exec', async () => {
  const result = await execute(['sh', '-c', 'wc -c'], { openStdin: true }, 'x'.repeat(100_000))
  assert.deepEqual([result.stdout, result.exitCode], ['100000\n', 0])
})

test('an exec with a terminal has its size, also later', async () => {
  const start = fixture.exec(container.id, ['sh', '-c', 'stty size; read x; stty size'], {
    tty: true,
    openStdin: true,
    consoleSize: { rows: 12, columns: 34 },
  })
  const exec = await task.exec(start, never())
  const stream = await exec.attach(all)
  let text = ''
  stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  await until(() => text.includes('12 34'), 'first size')
  await exec.resize(56, 78)
  stream.write('\r')
  await exec.exited
  await until(() => stream.readableEnded, 'end')
  assert.match(text, /^12 34\r\n\r\n56 78\r\n$/)
})

test('what nobody waits for is dropped, and the exec goes on', async () => {
  const start = fixture.exec(container.id, ['sh', '-c', 'seq 1 100000; exit 3'], { attached: false })
  const exec = await task.exec(start, never())
  assert.equal((await exec.exited).exitCode, 3)
  const directory = join(fixture.directory, 'run/tasks', container.id, 'execs', start.id)
  await until(() => !existsSync(directory), 'directory removed')
})

test('kill() ends an exec, not its container', async () => {
  const exec = await task.exec(fixture.exec(container.id, ['sleep', '1000']), never())
  await exec.attach(output)
  assert.ok((await task.pids()).includes(exec.pid))
  await exec.kill(15)
  assert.equal((await exec.exited).exitCode, 143)
})

test('a command that is not there is refused in Docker words, and nothing is left', async () => {
  const refused = async (args: string[], text: RegExp) => {
    const start = fixture.exec(container.id, args)
    await assert.rejects(task.exec(start, never()), (error: EngineError) => {
      assert.equal(error.kind, 'invalid')
      assert.match(error.message, text)
      return true
    })
    assert.ok(!existsSync(join(fixture.directory, 'run/tasks', container.id, 'execs', start.id)))
  }
  const prefix = 'OCI runtime exec failed: exec failed: unable to start container process: exec: '
  await refused(['foo'], new RegExp(`^${prefix}"foo": executable file not found in \\$PATH: unknown$`))
  await refused(['/etc/plain'], new RegExp(`^${prefix}"/etc/plain": permission denied: unknown$`))
  await refused(['/etc'], new RegExp(`^${prefix}"/etc": is a directory: unknown$`))
})

test('many execs at once each get their own output', async () => {
  const results = await Promise.all(
    Array.from({ length: 12 }, (_, index) => execute(['sh', '-c', `echo ${index}; exit ${index}`])),
  )
  assert.deepEqual(
    results.map(({ stdout, exitCode }) => [stdout, exitCode]),
    results.map((_, index) => [`${index}\n`, index]),
  )
})

test('runc: terminals and execs work as with crun', async () => {
  const start = fixture.start(['sh', '-c', 'tty; read x; exit 3'], {
    config: { Tty: true, OpenStdin: true },
    hostConfig: { Runtime: 'runc' },
  })
  const pending = await fixture.runtime.create(start, never())
  const stream = await pending.attach(all)
  const main = await pending.start()
  const exec = await main.exec(fixture.exec(start.id, ['sh', '-c', 'echo in; exit 8']), never())
  assert.equal(splitFrames(await readAll(await exec.attach(output))).stdout.toString(), 'in\n')
  assert.equal((await exec.exited).exitCode, 8)
  const refused = main.exec(fixture.exec(start.id, ['foo']), never())
  await assert.rejects(
    refused,
    /^EngineError: OCI runtime exec failed: exec failed: .*executable file not found in \$PATH: unknown$/,
  )
  stream.write('\r')
  assert.match((await readAll(stream)).toString(), /^\/dev\/(pts\/0|console)\r\n/)
  assert.equal((await main.exited).exitCode, 3)
})

test('the end of the container is the end of its execs', async () => {
  const exec = await task.exec(fixture.exec(container.id, ['sleep', '1000'], { attached: false }), never())
  await task.kill(15)
  assert.equal((await task.exited).exitCode, 0)
  assert.equal((await exec.exited).exitCode, 137)
})

test('keepers reap all that was started under them, also when a start fails', async () => {
  const others = fixture.start(['sh', '-c', 'sleep 1000 & echo $!'], {
    hostConfig: { PidMode: 'host' },
  })
  const shared = { ...others, namespaces: { ...others.namespaces, pid: { kind: 'host' as const } } }
  const { stdout } = await runToEnd(fixture, shared)
  const left = Number(stdout.toString())
  assert.match(readFileSync(`/proc/${parentOf(left)}/comm`, 'utf8'), /^wharf-shim/)
  await fixture.runtime.remove(shared.id)
  const failing = Array.from({ length: 6 }, () =>
    task.exec(fixture.exec(container.id, ['nothing-of-that-name']), never()),
  )
  await Promise.allSettled(failing)
  await until(() => !existsSync(`/proc/${left}`), 'the process that was left is reaped')
  await until(() => deadChildren(process.pid).length === 0, 'nothing dead is handed up')
})

function parentOf(pid: number): string {
  return /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? ''
}

function deadChildren(pid: number): string[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean)
  return children.filter((child) => readFileSync(`/proc/${child}/stat`, 'latin1').includes(') Z '))
}
