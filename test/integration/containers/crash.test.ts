/** `kill -9` of the daemon at named points of every operation: what the next daemon makes of it, and what leaks. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../../fixtures/processes.ts'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'

type Step = {
  point: string
  /** What is there before, and what is done that never gets its answer. */
  before: (daemon: TestDaemon) => Promise<void>
  during: (daemon: TestDaemon) => Promise<unknown>
  /** State of the container `box` for the next daemon, or `gone`. */
  after: string
  exitCode?: number
}

const sleeper = { Image: 'busybox', Cmd: ['sleep', '1000'], StopSignal: 'SIGKILL' }
const withVolume = { ...sleeper, Volumes: { '/data': {} } }

async function ask(daemon: TestDaemon, method: string, path: string, body?: unknown): Promise<unknown> {
  const answer = await daemon.api(method, path, body)
  assert.ok(answer.status < 400, `${method} ${path}: ${answer.body}`)
  return answer.json
}

const nothing = async () => {}
const create = (config: object) => async (daemon: TestDaemon) => {
  await ask(daemon, 'POST', '/containers/create?name=box', config)
}
const start = (daemon: TestDaemon) => ask(daemon, 'POST', '/containers/box/start')
const running = async (daemon: TestDaemon) => {
  await create(sleeper)(daemon)
  await start(daemon)
}
const exec = async (daemon: TestDaemon) => {
  const body = { Cmd: ['sleep', '1000'], AttachStdout: true }
  const made = (await ask(daemon, 'POST', '/containers/box/exec', body)) as { Id: string }
  await ask(daemon, 'POST', `/exec/${made.Id}/start`, { Detach: true })
}
const stop = (daemon: TestDaemon) => ask(daemon, 'POST', '/containers/box/stop')
const remove = (daemon: TestDaemon) => ask(daemon, 'DELETE', '/containers/box?force=1&v=1')

const steps: Step[] = [
  { point: 'create:after-files', before: nothing, during: create(withVolume), after: 'gone' },
  { point: 'create:after-row', before: nothing, during: create(withVolume), after: 'created' },
  ...['begin', 'after-network', 'after-create', 'before-run'].map((point) => {
    return { point: `start:${point}`, before: create(withVolume), during: start, after: 'created' }
  }),
  { point: 'start:after-run', before: create(sleeper), during: start, after: 'running' },
  { point: 'exec:begin', before: running, during: exec, after: 'running' },
  { point: 'exec:after-run', before: running, during: exec, after: 'running' },
  { point: 'stop:after-signal', before: running, during: stop, after: 'exited', exitCode: 137 },
  { point: 'exit:begin', before: running, during: stop, after: 'exited', exitCode: 137 },
  { point: 'exit:after-record', before: running, during: stop, after: 'exited', exitCode: 137 },
  { point: 'rm:after-intent', before: create(withVolume), during: remove, after: 'gone' },
  { point: 'rm:before-row', before: create(sleeper), during: remove, after: 'created' },
  { point: 'rm:after-row', before: create(withVolume), during: remove, after: 'gone' },
]

/** How much there is of each kind, beside namespaces kept ready. */
async function amounts(daemon: TestDaemon): Promise<Record<string, number>> {
  const { mounts, links, tables, cgroups, processes } = await daemon.kernelState()
  const own = mounts.filter((path) => !path.includes('/netns/'))
  const disk = (path: string) => {
    const directory = join(daemon.dataRoot, path)
    return existsSync(directory) ? readdirSync(directory).length : 0
  }
  return {
    mounts: own.length,
    // Each namespace kept ready has one link outside.
    links: links.length - (mounts.length - own.length),
    tables: tables.length,
    cgroups: cgroups.length,
    processes: processes.length,
    containers: disk('containers'),
    writable: disk('layers/overlay2/writable'),
    volumes: disk('volumes'),
  }
}

test('a daemon killed anywhere is followed by one that knows and leaks nothing', async (t) => {
  await using daemon = await startDaemon()
  await daemon.loadBusybox()
  // Once, so that everything that is made only once is there.
  await running(daemon)
  await remove(daemon)
  await daemon.restart()
  const rest = await amounts(daemon)
  for (const step of steps) {
    await t.test(`killed at ${step.point}: the container is ${step.after}`, () => killAt(daemon, step, rest))
  }
})

async function killAt(daemon: TestDaemon, step: Step, rest: Record<string, number>): Promise<void> {
  await step.before(daemon)
  await daemon.stop()
  await daemon.start({ WHARF_TEST_DIE_AT: step.point })
  await assert.rejects(step.during(daemon))
  await daemon.ended()
  await daemon.start()
  const { status, json } = await daemon.api('GET', '/containers/box/json')
  const state = (json as { State?: { Status: string; ExitCode: number } }).State
  assert.equal(status === 404 ? 'gone' : state?.Status, step.after)
  if (step.exitCode !== undefined) assert.equal(state?.ExitCode, step.exitCode)
  if (step.after === 'created' || step.after === 'exited') await start(daemon)
  if (step.after !== 'gone') {
    await exec(daemon)
    await remove(daemon)
  }
  let now: Record<string, number> = {}
  await eventually('nothing is left', async () => {
    now = await amounts(daemon)
    return Object.keys(rest).every((kind) => (now[kind] ?? 0) <= (rest[kind] ?? 0))
  }).catch(() => assert.deepEqual(now, rest))
}
