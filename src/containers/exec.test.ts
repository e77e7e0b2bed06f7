import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EngineFixture, execOf, until } from './testing.ts'

const live = () => new AbortController().signal

test('an exec runs, is shown while it does, and its end is kept', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.run()
  const exec = await engine.execCreate(id, execOf(['ls', '-l']))
  assert.deepEqual((await engine.inspect(id, { size: false })).ExecIDs, [exec])
  const options = { detach: false, tty: false, consoleSize: null }
  const attached = await engine.execStart(exec, options, live())
  const [started] = world.task(id).execs
  assert.equal(started?.start.attached, true)
  assert.equal(engine.execInspect(exec).Running, true)
  started?.task.stdio[0]?.emitOutput('total 0')
  started?.task.end(2)
  const chunks: Buffer[] = []
  for await (const chunk of attached?.stream ?? []) chunks.push(chunk)
  assert.equal(Buffer.concat(chunks).toString(), 'total 0')
  await until(() => engine.execInspect(exec).ExitCode === 2, 'the exit is recorded')
  assert.equal((await engine.inspect(id, { size: false })).ExecIDs, null)
  assert.deepEqual(world.actions(id).slice(-3), ['exec_create: ls -l', 'exec_start: ls -l', 'exec_die'])
  await assert.rejects(engine.execStart(exec, options, live()), {
    kind: 'conflict',
    message: `Error: Exec command ${exec} has already run`,
  })
  assert.throws(() => engine.execInspect('nope'), {
    kind: 'notFound',
    message: 'No such exec instance: nope',
  })
})

test('an exec that cannot start is over, with its code', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.run()
  const exec = await engine.execCreate(id, execOf(['nope']))
  world.failures.set('exec', new Error('exec: "nope": executable file not found in $PATH'))
  const options = { detach: false, tty: false, consoleSize: null }
  await assert.rejects(engine.execStart(exec, options, live()), /not found/)
  assert.equal(engine.execInspect(exec).ExitCode, 127)
})

test('an exec needs a running container', async () => {
  await using fixture = await EngineFixture.make()
  const id = await fixture.create()
  await assert.rejects(fixture.engine.execCreate(id, execOf(['ls'])), {
    kind: 'conflict',
    message: `container ${id} is not running`,
  })
})

test('the detach keys leave a terminal without ending it', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.run({ Tty: true, OpenStdin: true })
  const options = { stdin: true, stdout: true, stderr: true, detachKeys: '' }
  const { stream } = await engine.attach(id, options)
  const ended = new Promise((resolve) => stream.once('end', resolve))
  stream.resume()
  stream.write(Buffer.from([0x61, 0x10]))
  stream.write(Buffer.from([0x11]))
  await ended
  const [stdio] = world.task(id).stdio
  assert.equal(stdio?.input, 'a')
  assert.equal(world.task(id).running, true)
  assert.deepEqual(world.actions(id).slice(-2), ['attach', 'detach'])
  await assert.rejects(engine.attach(id, { ...options, detachKeys: 'ctrl-ä' }), {
    kind: 'invalid',
    message: 'Invalid detach keys (ctrl-ä) provided',
  })
})

test('a health check moves to healthy and unhealthy with its events', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const second = 1_000_000_000
  const id = await fixture.run({
    Healthcheck: { Test: ['CMD-SHELL', 'check'], Interval: 2 * second, Timeout: second, Retries: 2 },
  })
  const probe = async (exitCode: number, text: string) => {
    await until(() => world.clock.pendingMs().includes(2000), 'a probe is planned')
    const task = world.task(id)
    const before = task.execs.length
    world.clock.advance(2000)
    await until(() => (task.execs[before]?.task.stdio.length ?? 0) > 0, 'the probe is attached')
    const run = task.execs[before]
    const body = Buffer.from(text)
    const header = Buffer.from([1, 0, 0, 0, 0, 0, 0, body.length])
    run?.task.stdio[0]?.emitOutput(Buffer.concat([header, body]).toString('latin1'))
    run?.task.end(exitCode)
  }
  const status = async () => (await engine.inspect(id, { size: false })).State.Health
  assert.equal((await status())?.Status, 'starting')
  await probe(0, 'fine')
  await until(() => world.actions(id).includes('health_status: healthy'), 'healthy')
  assert.deepEqual(world.task(id).execs[0]?.start.args, ['/bin/sh', '-c', 'check'])
  assert.equal((await status())?.Log?.[0]?.Output, 'fine')
  await probe(1, 'bad')
  await probe(1, 'worse')
  await until(() => world.actions(id).includes('health_status: unhealthy'), 'unhealthy')
  assert.equal((await status())?.FailingStreak, 2)
  const [row] = await engine.list({ all: true, limit: 0, size: false, filters: new Map() })
  assert.match(row?.Status ?? '', /^Up .* \(unhealthy\)$/)
})

test('a container that nobody watches counts as unhealthy, and keeps its results over a restart', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.run({ Healthcheck: { Test: ['CMD', 'check'], Interval: 2_000_000_000 } })
  const health = async () => {
    const { State } = await engine.inspect(id, { size: false })
    return [State.Health?.Status, State.Health?.Log?.length]
  }
  const passes = async () => {
    await until(() => world.clock.pendingMs().includes(2000), 'a probe is planned')
    const task = world.task(id)
    const before = task.execs.length
    world.clock.advance(2000)
    await until(() => task.execs[before] !== undefined, 'the probe runs')
    task.execs[before]?.task.end(0)
    await until(() => engine.paths(id).running && world.clock.pendingMs().includes(2000), 'it has ended')
  }
  await passes()
  assert.deepEqual(await health(), ['healthy', 1])
  await engine.pause(id)
  assert.deepEqual(await health(), ['unhealthy', 1])
  await engine.unpause(id)
  await passes()
  assert.deepEqual(await health(), ['healthy', 2])
  world.task(id).end(0)
  await engine.idle()
  assert.deepEqual(await health(), ['unhealthy', 2])
  await engine.start(id, { detachKeys: '' })
  assert.deepEqual(await health(), ['starting', 2])
  const events = world.actions(id).filter((action) => action.startsWith('health_status'))
  assert.deepEqual(events, ['health_status: healthy', 'health_status: healthy'])
})

test('an exec that was made and never started goes with the run it was made for', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.run({})
  const exec = await engine.execCreate(id, execOf(['true']))
  world.task(id).end(0)
  await engine.idle()
  assert.throws(() => engine.execInspect(exec), { kind: 'notFound' })
})

test('a probe that takes too long is killed and counts as failed', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const second = 1_000_000_000
  const id = await fixture.run({
    Healthcheck: { Test: ['CMD', 'slow'], Interval: 3 * second, Timeout: second, Retries: 1 },
  })
  await until(() => world.clock.pendingMs().includes(3000), 'a probe is planned')
  world.clock.advance(3000)
  await until(() => world.clock.pendingMs().includes(1000), 'the timeout runs')
  world.clock.advance(1000)
  await until(() => world.actions(id).includes('health_status: unhealthy'), 'unhealthy')
  assert.deepEqual(world.task(id).execs[0]?.task.signals, [9])
  const { State } = await engine.inspect(id, { size: false })
  assert.equal(State.Health?.Log?.[0]?.Output, 'Health check exceeded timeout (1s)')
  assert.equal(State.Health?.Log?.[0]?.ExitCode, -1)
})
