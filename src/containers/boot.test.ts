import assert from 'node:assert/strict'
import { existsSync, mkdirSync } from 'node:fs'
import { test } from 'node:test'
import { EngineFixture } from './testing.ts'
import { FakeTask } from './testing-task.ts'

const quietStop = { signal: '', timeoutSeconds: null }
const list = { all: true, limit: 0, size: false, filters: new Map<string, string[]>() }
const crash = new Error('killed here')

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let turn = 0; turn < 5000; turn++) {
    if (condition()) return
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.fail(`never happened: ${what}`)
}

async function statusOf(fixture: EngineFixture, id: string): Promise<string> {
  return (await fixture.engine.inspect(id, { size: false })).State.Status
}

test('a running container is adopted: its network, its log and its exit', async () => {
  await using fixture = await EngineFixture.make()
  const id = await fixture.run({}, {}, 'web')
  const { world } = fixture
  const { pid } = world.task(id)
  world.calls.length = 0
  await fixture.reboot()
  const { State, NetworkSettings } = await fixture.engine.inspect('web', { size: false })
  assert.deepEqual([State.Status, State.Pid], ['running', pid])
  assert.equal(NetworkSettings.IPAddress, '172.17.0.2')
  assert.deepEqual(world.calls, ['networking.adopt', 'logs.started'])
  world.task(id).end(6)
  await fixture.engine.idle()
  assert.equal((await fixture.engine.inspect(id, { size: false })).State.ExitCode, 6)
})

test('a paused container is still paused', async () => {
  await using fixture = await EngineFixture.make()
  const id = await fixture.run()
  await fixture.engine.pause(id)
  await fixture.reboot()
  assert.equal(await statusOf(fixture, id), 'paused')
})

test('one that exited while nobody looked has its code and time, and holds nothing', async () => {
  await using fixture = await EngineFixture.make()
  const id = await fixture.run()
  const { world } = fixture
  await fixture.engine.shutdown({ liveRestore: true })
  world.tasks.delete(id)
  world.exits.set(id, { exitCode: 9, oomKilled: true, finishedAt: '2026-01-01T00:00:05Z' })
  await fixture.reboot()
  const { State } = await fixture.engine.inspect(id, { size: false })
  assert.deepEqual(
    [State.Status, State.ExitCode, State.OOMKilled, State.FinishedAt],
    ['exited', 9, true, '2026-01-01T00:00:05Z'],
  )
  assert.equal(world.mounted.size + world.sandboxes.size, 0)
})

test('one of which nothing is known, as after a power cut, exited with 255', async () => {
  await using fixture = await EngineFixture.make()
  const id = await fixture.run()
  await fixture.engine.shutdown({ liveRestore: true })
  fixture.world.tasks.clear()
  await fixture.reboot()
  const { State } = await fixture.engine.inspect(id, { size: false })
  assert.deepEqual([State.Status, State.ExitCode], ['exited', 255])
})

test('policies after a reboot: always and unless-stopped run, a stopped unless-stopped does not', async () => {
  await using fixture = await EngineFixture.make()
  const { world } = fixture
  const policy = (Name: string) => ({ RestartPolicy: { Name } })
  const always = await fixture.run({}, policy('always'))
  const unless = await fixture.run({}, policy('unless-stopped'))
  const stopped = await fixture.run({}, policy('unless-stopped'))
  const never = await fixture.run()
  const created = await fixture.create({}, policy('always'))
  await fixture.engine.stop(stopped, quietStop)
  await fixture.engine.shutdown({ liveRestore: true })
  world.tasks.clear()
  await fixture.reboot()
  await until(() => world.tasks.get(always)?.running === true, 'always runs')
  await until(() => world.tasks.get(unless)?.running === true, 'unless-stopped runs')
  assert.equal(await statusOf(fixture, stopped), 'exited')
  assert.equal(await statusOf(fixture, never), 'exited')
  assert.equal(await statusOf(fixture, created), 'created')
})

test('a container that waits for its restart is started by the next daemon', async () => {
  await using fixture = await EngineFixture.make()
  const { world } = fixture
  const id = await fixture.run({}, { RestartPolicy: { Name: 'always' } })
  world.task(id).end(1)
  await until(() => world.clock.pendingMs().includes(100), 'a restart is scheduled')
  await fixture.reboot()
  await until(() => world.tasks.get(id)?.running === true, 'it runs')
})

test('a joined container starts before the one that joins it', async () => {
  await using fixture = await EngineFixture.make()
  const { world } = fixture
  const policy = { RestartPolicy: { Name: 'always' } }
  const server = await fixture.run({}, policy, 'server')
  const side = await fixture.run({}, { ...policy, NetworkMode: 'container:server' })
  await fixture.engine.rename('server', 'renamed')
  await fixture.engine.shutdown({ liveRestore: true })
  world.tasks.clear()
  await fixture.reboot()
  await until(() => world.tasks.get(side)?.running === true, 'the second runs')
  assert.ok(world.task(server).pid < world.task(side).pid)
})

test('an auto-remove container that ended is gone', async () => {
  await using fixture = await EngineFixture.make()
  await fixture.run({}, { AutoRemove: true })
  await fixture.engine.shutdown({ liveRestore: true })
  fixture.world.tasks.clear()
  await fixture.reboot()
  assert.deepEqual(await fixture.engine.list(list), [])
  assert.equal(fixture.world.layers.size, 0)
})

test('what no row names is swept', async () => {
  await using fixture = await EngineFixture.make()
  const { world } = fixture
  const orphan = 'a'.repeat(64)
  world.layers.add(orphan)
  world.tasks.set(orphan, new FakeTask(world, 1))
  mkdirSync(`${fixture.root}/${orphan}`)
  await fixture.reboot()
  assert.equal(world.layers.size + world.tasks.size, 0)
  assert.equal(existsSync(`${fixture.root}/${orphan}`), false)
})

test('a removal cut short is finished, with its volumes', async () => {
  await using fixture = await EngineFixture.make()
  fixture.world.storedMounts = [
    {
      point: { Type: 'volume', Source: '', Destination: '/v', Mode: '', RW: true, Propagation: '' },
      anonymous: true,
      options: [],
      noCopy: false,
      subpath: '',
      createSource: false,
    },
  ]
  const id = await fixture.create()
  fixture.pauseAt = async (point) => {
    if (point === 'rm:after-intent') throw crash
  }
  await assert.rejects(fixture.engine.remove(id, { force: false, volumes: true, link: false }), crash)
  fixture.pauseAt = async () => {}
  await fixture.reboot()
  assert.deepEqual(await fixture.engine.list(list), [])
  assert.deepEqual(fixture.world.releasedMounts, [{ id, removeAnonymous: true }])
})

for (const point of ['start:begin', 'start:after-network', 'start:after-create', 'start:before-run']) {
  test(`a daemon that dies at ${point} leaves a container that can be started`, async () => {
    await using fixture = await EngineFixture.make()
    const { world } = fixture
    const id = await fixture.create()
    // A crash undoes nothing: the operation stops there for good.
    fixture.pauseAt = (at) => (at === point ? new Promise(() => {}) : Promise.resolve())
    let settled = false
    void fixture.engine.start(id, { detachKeys: '' }).finally(() => {
      settled = true
    })
    await until(() => world.calls.includes('networking.create') || point === 'start:begin', 'it is under way')
    await new Promise((resolve) => setImmediate(resolve))
    fixture.pauseAt = async () => {}
    await fixture.reboot()
    assert.equal(settled, false)
    assert.equal(await statusOf(fixture, id), 'created')
    assert.equal(world.mounted.size + world.sandboxes.size + world.tasks.size, 0)
    await fixture.engine.start(id, { detachKeys: '' })
    assert.equal(await statusOf(fixture, id), 'running')
  })
}

test('a daemon that dies just after the process began adopts it', async () => {
  await using fixture = await EngineFixture.make()
  const id = await fixture.create()
  fixture.pauseAt = (at) => (at === 'start:after-run' ? new Promise(() => {}) : Promise.resolve())
  void fixture.engine.start(id, { detachKeys: '' })
  await until(() => fixture.world.tasks.get(id)?.running === true, 'the process runs')
  fixture.pauseAt = async () => {}
  await fixture.reboot()
  assert.equal(await statusOf(fixture, id), 'running')
})

test('shutdown without live restore waits for each as long as it says, and for the most patient one a little longer', async () => {
  await using fixture = await EngineFixture.make()
  const { world } = fixture
  const stubborn = world.task(await fixture.run({ StopTimeout: 3 }))
  const stuck = world.task(await fixture.run({ StopTimeout: 20 }))
  stubborn.diesOf.clear()
  stuck.kill = async (signal) => void stuck.signals.push(signal)
  const ending = fixture.engine.shutdown({ liveRestore: false, timeoutSeconds: 4 })
  await until(() => world.clock.pendingMs().length === 3, 'all is waited for')
  assert.deepEqual(world.clock.pendingMs(), [3000, 20_000, 25_000])
  world.clock.advance(3000)
  await until(() => stubborn.signals.length === 2, 'the stubborn one is killed')
  world.clock.advance(17_000)
  await until(() => stuck.signals.length === 2, 'the stuck one is killed')
  world.clock.advance(5000)
  await ending
  assert.deepEqual(
    [stubborn.signals, stuck.signals],
    [
      [15, 9],
      [15, 9],
    ],
  )
  assert.deepEqual([stubborn.running, stuck.running], [false, true])
  assert.deepEqual(world.clock.pendingMs(), [])
})

test('shutdown without live restore has no limit where a container or the setting says so', async () => {
  for (const [StopTimeout, timeoutSeconds] of [
    [-1, 4],
    [3, -1],
  ] as const) {
    await using fixture = await EngineFixture.make()
    const task = fixture.world.task(await fixture.run({ StopTimeout }))
    task.diesOf.clear()
    const ending = fixture.engine.shutdown({ liveRestore: false, timeoutSeconds })
    await until(() => task.signals.length === 1, 'it is told to stop')
    assert.deepEqual(fixture.world.clock.pendingMs(), StopTimeout < 0 ? [] : [3000])
    task.end(0)
    await ending
  }
})

test('shutdown without live restore stops containers; their policy starts them at the next boot', async () => {
  await using fixture = await EngineFixture.make()
  const { world } = fixture
  const id = await fixture.run({}, { RestartPolicy: { Name: 'unless-stopped' } })
  const task = world.task(id)
  await fixture.engine.shutdown({ liveRestore: false })
  assert.deepEqual(task.signals, [15])
  assert.equal(world.sandboxes.size, 0)
  await fixture.reboot()
  await until(() => world.tasks.get(id)?.running === true, 'it runs again')
})
