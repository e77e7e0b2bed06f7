import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { UpdateConfig } from '../spec/container-config.ts'
import { UpdateConfig as UpdateConfigSchema } from '../spec/container-config.ts'
import { EngineFixture, execOf, until } from './testing.ts'
import type { FakeWorld } from './testing-world.ts'

const noStart = { detachKeys: '' }
const quietStop = { signal: '', timeoutSeconds: null }
const live = () => new AbortController().signal
const always = { RestartPolicy: { Name: 'always' } }

/** Waits for a restart of the container to be scheduled, and lets its delay pass. */
async function passRestartDelay(world: FakeWorld, delayMs: number): Promise<void> {
  await until(() => world.clock.pendingMs().includes(delayMs), `a restart in ${delayMs} ms`)
  world.clock.advance(delayMs)
}

test('a restart policy starts again with doubling delays', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.run({}, always)
  for (const delayMs of [100, 200, 400]) {
    const before = world.task(id)
    before.end(1)
    await until(() => world.tasks.get(id) !== before, 'the task is forgotten')
    const { State } = await engine.inspect(id, { size: false })
    assert.equal(State.Status, 'restarting')
    assert.equal(State.Running, true)
    const [row] = await engine.list({ all: false, limit: 0, size: false, filters: new Map() })
    assert.match(row?.Status ?? '', /^Restarting \(1\) Less than a second ago$/)
    await passRestartDelay(world, delayMs)
    await until(() => world.tasks.get(id)?.running === true, 'it runs again')
  }
  const { RestartCount } = await engine.inspect(id, { size: false })
  assert.equal(RestartCount, 3)
})

test('a run of ten seconds resets the delay', async () => {
  await using fixture = await EngineFixture.make()
  const { world } = fixture
  const id = await fixture.run({}, always)
  for (const { ranMs, delayMs } of [
    { ranMs: 0, delayMs: 100 },
    { ranMs: 0, delayMs: 200 },
    { ranMs: 10_000, delayMs: 100 },
  ]) {
    await until(() => world.tasks.get(id)?.running === true, 'it runs')
    world.clock.advance(ranMs)
    world.task(id).end(0)
    await passRestartDelay(world, delayMs)
  }
})

test('on-failure:2 gives up after two restarts, and 0 is no failure', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const policy = { RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 2 } }
  const id = await fixture.run({}, policy)
  for (const delayMs of [100, 200]) {
    world.task(id).end(5)
    await passRestartDelay(world, delayMs)
    await until(() => world.tasks.get(id)?.running === true, 'it runs again')
  }
  world.task(id).end(5)
  await engine.idle()
  const { State, RestartCount } = await engine.inspect(id, { size: false })
  assert.deepEqual([State.Status, State.ExitCode, RestartCount], ['exited', 5, 2])
  const ok = await fixture.run({}, policy)
  world.task(ok).end(0)
  await engine.idle()
  assert.equal((await engine.inspect(ok, { size: false })).State.Status, 'exited')
})

test('a manual stop keeps the policy from restarting, also while it waits', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.run({}, always)
  await engine.stop(id, quietStop)
  await engine.idle()
  assert.equal((await engine.inspect(id, { size: false })).State.Status, 'exited')
  await engine.start(id, noStart)
  world.task(id).end(7)
  await until(() => world.clock.pendingMs().includes(100), 'a restart is scheduled')
  await engine.stop(id, quietStop)
  const { State } = await engine.inspect(id, { size: false })
  assert.deepEqual([State.Status, State.ExitCode], ['exited', 7])
  await engine.idle()
  assert.deepEqual(world.clock.pendingMs(), [])
})

test('which signals end the care of a restart policy', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const hangup = async (StopSignal: string, Name: string, signal = 'HUP') => {
    const id = await fixture.run({ StopSignal }, { RestartPolicy: { Name, MaximumRetryCount: 0 } })
    world.task(id).diesOf.add(1)
    await engine.kill(id, signal)
    await until(() => world.actions(id).includes('die'), 'its end is seen')
    return (await engine.inspect(id, { size: false })).State.Status
  }
  assert.equal(await hangup('', 'always'), 'exited')
  assert.equal(await hangup('SIGHUP', 'always'), 'exited')
  assert.equal(await hangup('SIGTERM', 'always', 'KILL'), 'exited')
  assert.equal(await hangup('SIGTERM', 'always'), 'restarting')
  assert.equal(await hangup('SIGTERM', 'on-failure'), 'restarting')
  assert.equal(await hangup('SIGTERM', 'unless-stopped'), 'exited')
})

test('wait() answers at every exit of a restarting container', async () => {
  await using fixture = await EngineFixture.make()
  const id = await fixture.run({}, always)
  const { result } = await fixture.engine.wait(id, 'not-running', live())
  fixture.world.task(id).end(9)
  assert.deepEqual(await result, { exitCode: 9, error: '' })
})

test('wait(): an aborted client is let go, others are told', async () => {
  await using fixture = await EngineFixture.make()
  const id = await fixture.run()
  const controller = new AbortController()
  const first = await fixture.engine.wait(id, 'not-running', controller.signal)
  const second = await fixture.engine.wait(id, 'not-running', live())
  controller.abort(new Error('hung up'))
  await assert.rejects(first.result, /hung up/)
  fixture.world.task(id).end(0)
  assert.equal((await second.result).exitCode, 0)
})

test('restart() keeps an auto-remove container', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.run({}, { AutoRemove: true })
  await engine.restart(id, quietStop)
  assert.equal((await engine.inspect(id, { size: false })).State.Status, 'running')
  assert.equal(world.actions(id).at(-1), 'restart')
})

test('a start that fails removes an auto-remove container and tells who waits', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.create({}, { AutoRemove: true })
  const { result } = await engine.wait(id, 'removed', live())
  world.failures.set('runtime.create', new Error('exec: "nope": executable file not found in $PATH'))
  await assert.rejects(engine.start(id, noStart))
  const { exitCode, error } = await result
  assert.equal(exitCode, 127)
  // A removal that worked tells no error: clients would report it a second time.
  assert.equal(error, '')
  assert.throws(() => engine.paths(id), { kind: 'notFound' })
})

test('an OOM kill is recorded and told before the death', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.run()
  world.task(id).end(137, true)
  await engine.idle()
  const { State } = await engine.inspect(id, { size: false })
  assert.deepEqual([State.OOMKilled, State.ExitCode], [true, 137])
  assert.deepEqual(world.actions(id).slice(-2), ['oom', 'die'])
})

test('an OOM kill in a container that lives on is told at once, and at its end no more', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.run()
  world.task(id).oom()
  const { State } = await engine.inspect(id, { size: false })
  assert.deepEqual([State.OOMKilled, State.Running], [true, true])
  assert.equal(world.actions(id).at(-1), 'oom')
  world.task(id).end(0, true)
  await engine.idle()
  assert.deepEqual(world.actions(id).slice(-2), ['oom', 'die'])
  await engine.start(id, noStart)
  assert.equal((await engine.inspect(id, { size: false })).State.OOMKilled, false)
})

test('pause() and unpause() freeze once', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.run()
  const exec = await engine.execCreate(id, execOf(['ls']))
  engine.execCheck(exec)
  await engine.pause(id)
  assert.equal(world.task(id).paused, true)
  const paused = `container ${id} is paused, unpause the container before exec`
  assert.throws(() => engine.execCheck(exec), { kind: 'conflict', message: paused })
  const { State } = await engine.inspect(id, { size: false })
  assert.deepEqual([State.Status, State.Running, State.Paused], ['paused', true, true])
  await assert.rejects(engine.pause(id), { kind: 'conflict', message: `container ${id} is already paused` })
  await assert.rejects(engine.execCreate(id, execOf(['ls'])), {
    kind: 'conflict',
    message: paused,
  })
  await engine.unpause(id)
  assert.equal(world.task(id).paused, false)
  assert.deepEqual(world.actions(id).slice(-2), ['pause', 'unpause'])
})

test('stop() of a paused container thaws it', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.run()
  const task = world.task(id)
  await engine.pause(id)
  await engine.stop(id, quietStop)
  assert.equal(task.paused, false)
  assert.equal((await engine.inspect(id, { size: false })).State.Status, 'exited')
})

test('a stop and a start of one container do not overlap; ps does not wait for either', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.run()
  world.task(id).diesOf.clear()
  const stopping = engine.stop(id, { signal: '', timeoutSeconds: -1 })
  await until(() => world.task(id).signals.length === 1, 'the signal is sent')
  const [row] = await engine.list({ all: false, limit: 0, size: false, filters: new Map() })
  assert.equal(row?.State, 'running')
  world.task(id).end(0)
  await stopping
})

test('two removals: the second is refused', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.run()
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  fixture.pauseAt = async (point) => (point === 'rm:before-row' ? gate : undefined)
  const options = { force: true, volumes: false, link: false }
  const first = engine.remove(id, options)
  await until(() => world.calls.includes('runtime.remove'), 'it was killed')
  await assert.rejects(engine.remove(id, options), {
    kind: 'conflict',
    message: `removal of container ${id} is already in progress`,
  })
  open()
  await first
})

test('update() merges limits and a policy, and tells the kernel', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.run({}, { Memory: 64_000_000, MemorySwap: 128_000_000 })
  const update: UpdateConfig = UpdateConfigSchema.parse({
    CpuShares: 512,
    RestartPolicy: { Name: 'unless-stopped' },
  })
  await engine.update(id, update)
  const { HostConfig } = await engine.inspect(id, { size: false })
  assert.equal(HostConfig.CpuShares, 512)
  assert.equal(HostConfig.Memory, 64_000_000)
  assert.equal(HostConfig.MemorySwap, 128_000_000)
  assert.equal(HostConfig.RestartPolicy?.Name, 'unless-stopped')
  assert.equal(world.task(id).updates.length, 1)
  await assert.rejects(engine.update(id, UpdateConfigSchema.parse({ Memory: 256_000_000 })), {
    message: `Cannot update container ${id}: Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time`,
  })
})
