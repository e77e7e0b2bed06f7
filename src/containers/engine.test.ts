import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { test } from 'node:test'
import { EngineError } from '../spec/errors.ts'
import { EngineFixture } from './testing.ts'

const noStart = { detachKeys: '' }
const quietStop = { signal: '', timeoutSeconds: null }
const noFilters = { all: true, limit: 0, size: false, filters: new Map<string, string[]>() }
const live = () => new AbortController().signal

test('create() merges the image and shows the container as created', async () => {
  await using fixture = await EngineFixture.make()
  const id = await fixture.create({ Env: ['A=1'] }, {}, 'web')
  const inspect = await fixture.engine.inspect('web', { size: false })
  assert.equal(inspect.Id, id)
  assert.equal(inspect.Name, '/web')
  assert.deepEqual(inspect.Config.Env, ['A=1', 'PATH=/bin'])
  assert.equal(inspect.Path, 'sh')
  assert.equal(inspect.Config.Hostname, id.slice(0, 12))
  assert.equal(inspect.State.Status, 'created')
  assert.equal(inspect.HostConfig.NetworkMode, 'bridge')
  assert.deepEqual(inspect.HostConfig.LogConfig, { Type: 'local', Config: {} })
  assert.deepEqual(fixture.world.actions(id), ['create'])
})

test('create() without a name invents one of two words', async () => {
  await using fixture = await EngineFixture.make()
  const id = await fixture.create()
  const { Name } = await fixture.engine.inspect(id, { size: false })
  assert.match(Name, /^\/[a-z]+_[a-z]+\d?$/)
})

test('create() refuses a name that is taken and one that is malformed', async () => {
  await using fixture = await EngineFixture.make()
  const id = await fixture.create({}, {}, 'web')
  await assert.rejects(fixture.create({}, {}, 'web'), {
    kind: 'conflict',
    message: `Conflict. The container name "/web" is already in use by container "${id}". You have to remove (or rename) that container to be able to reuse that name.`,
  })
  await assert.rejects(fixture.create({}, {}, 'we b'), {
    kind: 'invalid',
    message: 'Invalid container name (we b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed',
  })
})

for (const step of ['rootfs.prepare', 'mounts.prepare']) {
  test(`create() leaves nothing behind when ${step} fails`, async () => {
    await using fixture = await EngineFixture.make()
    fixture.world.failures.set(step, new EngineError('internal', 'disk full'))
    await assert.rejects(fixture.create({}, {}, 'web'), /disk full/)
    assert.equal(fixture.world.layers.size, 0)
    assert.deepEqual(readdirSync(fixture.root), [])
    assert.deepEqual(await fixture.engine.list(noFilters), [])
    fixture.world.failures.clear()
    await fixture.create({}, {}, 'web')
  })
}

test('a container is found by name, id and unambiguous prefix', async () => {
  await using fixture = await EngineFixture.make()
  const id = await fixture.create({}, {}, 'web')
  for (const reference of ['web', '/web', id, id.slice(0, 12)]) {
    assert.equal(fixture.engine.paths(reference).id, id)
  }
  assert.throws(() => fixture.engine.paths('nope'), { kind: 'notFound', message: 'No such container: nope' })
})

test('start() runs the task, and an exit is recorded with its events', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.run()
  const running = await engine.inspect(id, { size: false })
  assert.equal(running.State.Status, 'running')
  assert.equal(running.State.Pid, world.task(id).pid)
  assert.equal(running.NetworkSettings.IPAddress, '172.17.0.2')
  const { result } = await engine.wait(id, 'next-exit', live())
  world.clock.advance(3500)
  world.task(id).end(3)
  assert.deepEqual(await result, { exitCode: 3, error: '' })
  await engine.idle()
  const ended = await engine.inspect(id, { size: false })
  assert.equal(ended.State.Status, 'exited')
  assert.equal(ended.State.ExitCode, 3)
  assert.deepEqual(world.actions(id), ['create', 'start', 'die'])
  const die = world.events.find(({ action }) => action === 'die')
  assert.equal(die?.attributes['exitCode'], '3')
  assert.equal(die?.attributes['execDuration'], '3')
  assert.equal(world.mounted.size, 0)
  assert.equal(world.sandboxes.size, 0)
})

for (const step of ['rootfs.mount', 'networking.create', 'mounts.activate', 'runtime.create', 'task.start']) {
  test(`start() releases everything when ${step} fails`, async () => {
    await using fixture = await EngineFixture.make()
    const id = await fixture.create()
    fixture.world.failures.set(
      step,
      new EngineError('invalid', 'exec: "x": executable file not found in $PATH'),
    )
    await assert.rejects(fixture.engine.start(id, noStart), /executable file not found/)
    assert.equal(fixture.world.mounted.size, 0)
    assert.equal(fixture.world.sandboxes.size, 0)
    assert.equal(fixture.world.tasks.size, 0)
    const { State } = await fixture.engine.inspect(id, { size: false })
    assert.equal(State.Status, 'created')
    assert.equal(State.ExitCode, 127)
    fixture.world.failures.clear()
    await fixture.engine.start(id, noStart)
  })
}

test('start() of a running container is not modified', async () => {
  await using fixture = await EngineFixture.make()
  const id = await fixture.run()
  await assert.rejects(fixture.engine.start(id, noStart), { kind: 'notModified' })
})

test('an attach before start is bound before the process runs', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.create({ OpenStdin: true })
  const options = { stdin: true, stdout: true, stderr: true, detachKeys: '' }
  const { stream, tty } = await engine.attach(id, options)
  assert.equal(tty, false)
  stream.write('early ')
  await engine.start(id, noStart)
  assert.ok(world.calls.indexOf('task.attach') < world.calls.indexOf('task.start'))
  const [stdio] = world.task(id).stdio
  stdio?.emitOutput('hello')
  stream.write('late')
  const [chunk] = await new Promise<Buffer[]>((resolve) => stream.once('data', (data) => resolve([data])))
  assert.equal(chunk?.toString(), 'hello')
  assert.equal(stdio?.input, 'early late')
})

/** A client's connection that counts what is done with it. */
function connection(input: string) {
  const calls: string[] = []
  const offered = { descriptor: 9, first: Buffer.from('head'), input: Buffer.from(input) }
  return {
    calls,
    offered,
    offer: () => (calls.push('offer'), offered),
    taken: () => void calls.push('taken'),
    kept: () => void calls.push('kept'),
  }
}

test('a connection is given to the keeper, and what the client sent before goes after it', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  world.keepersTake = true
  const id = await fixture.create({ OpenStdin: true })
  const client = connection('last')
  const options = { stdin: true, stdout: true, stderr: true, detachKeys: '', client }
  const { stream } = await engine.attach(id, options)
  stream.write('first ')
  stream.write('then ')
  const closed = once(stream, 'close')
  await engine.start(id, noStart)
  assert.deepEqual(client.calls, ['offer', 'taken'])
  assert.ok(world.calls.indexOf('task.serve') < world.calls.indexOf('task.start'))
  await closed
  const [taken] = world.task(id).taken
  assert.equal(taken?.client, client.offered)
  assert.equal(taken?.input.input, 'first then last')
  assert.ok(taken?.input.writableEnded)
  assert.equal(world.task(id).stdio.length, 0)
})

test('a connection that no keeper takes is kept, and its stream joined', async () => {
  await using fixture = await EngineFixture.make()
  const id = await fixture.run({ OpenStdin: true })
  const client = connection('')
  const options = { stdin: true, stdout: true, stderr: true, detachKeys: '', client }
  const { stream } = await fixture.engine.attach(id, options)
  assert.deepEqual(client.calls, ['offer', 'kept'])
  stream.write('hello')
  assert.equal(fixture.world.task(id).stdio[0]?.input, 'hello')
})

test('a terminal with input is not given away: somebody must watch for the detach keys', async () => {
  await using fixture = await EngineFixture.make()
  fixture.world.keepersTake = true
  const id = await fixture.run({ OpenStdin: true, Tty: true })
  const client = connection('')
  await fixture.engine.attach(id, { stdin: true, stdout: true, stderr: true, detachKeys: '', client })
  assert.deepEqual(client.calls, [])
  await fixture.engine.attach(id, { stdin: false, stdout: true, stderr: true, detachKeys: '', client })
  assert.deepEqual(client.calls, ['offer', 'taken'])
})

test('a failed start ends the attached streams', async () => {
  await using fixture = await EngineFixture.make()
  const id = await fixture.create()
  const options = { stdin: false, stdout: true, stderr: true, detachKeys: '' }
  const { stream } = await fixture.engine.attach(id, options)
  const ended = new Promise((resolve) => stream.once('end', resolve))
  stream.resume()
  fixture.world.failures.set('runtime.create', new Error('no'))
  await assert.rejects(fixture.engine.start(id, noStart))
  await ended
})

test('stop() sends the stop signal, and SIGKILL once the timeout has passed', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.run({ StopSignal: 'SIGUSR1' })
  const task = world.task(id)
  const stopped = engine.stop(id, { signal: '', timeoutSeconds: 5 })
  while (!world.clock.pendingMs().includes(5000)) await Promise.resolve()
  assert.deepEqual(task.signals, [10])
  world.clock.advance(5000)
  await stopped
  assert.deepEqual(task.signals, [10, 9])
  const { State } = await engine.inspect(id, { size: false })
  assert.equal(State.ExitCode, 137)
  assert.deepEqual(world.actions(id).slice(2), ['kill', 'kill', 'die', 'stop'])
  await assert.rejects(engine.stop(id, quietStop), { kind: 'notModified' })
})

test('kill() of a stopped container is refused with its id', async () => {
  await using fixture = await EngineFixture.make()
  const id = await fixture.create({}, {}, 'web')
  await assert.rejects(fixture.engine.kill('web', 'KILL'), {
    kind: 'conflict',
    message: `cannot kill container: web: container ${id} is not running`,
  })
  await assert.rejects(fixture.engine.kill('web', 'NOPE'), {
    kind: 'invalid',
    message: 'cannot kill container: web: invalid signal: NOPE',
  })
  await assert.rejects(fixture.engine.kill('nosuch', ''), {
    kind: 'notFound',
    message: 'cannot kill container: nosuch: No such container: nosuch',
  })
})

test('remove() refuses a running container, and kills it with force', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.run({}, {}, 'web')
  const options = { force: false, volumes: false, link: false }
  await assert.rejects(engine.remove('web', options), {
    kind: 'conflict',
    message:
      'cannot remove container "/web": container is running: stop the container before removing or force remove',
  })
  const { result } = await engine.wait(id, 'removed', live())
  await engine.remove('web', { ...options, force: true })
  assert.deepEqual(await result, { exitCode: 137, error: '' })
  assert.deepEqual(await engine.list(noFilters), [])
  assert.equal(world.layers.size, 0)
  assert.equal(existsSync(`${fixture.root}/${id}`), false)
  assert.deepEqual(world.actions(id).slice(-3), ['kill', 'die', 'destroy'])
})

test('auto-remove takes the container away after its exit, with its anonymous volumes', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  world.storedMounts = [
    {
      point: { Type: 'volume', Source: '', Destination: '/v', Mode: '', RW: true, Propagation: '' },
      anonymous: true,
      options: [],
      noCopy: false,
      subpath: '',
      createSource: false,
    },
  ]
  const id = await fixture.create({}, { AutoRemove: true })
  const { result } = await engine.wait(id, 'removed', live())
  await engine.start(id, noStart)
  world.task(id).end(4)
  assert.deepEqual(await result, { exitCode: 4, error: '' })
  await engine.idle()
  assert.deepEqual(world.releasedMounts, [{ id, removeAnonymous: true }])
  assert.equal(world.layers.size + world.mounted.size + world.sandboxes.size, 0)
})

test('inspect() shows mounts as Go writes them: without what holds nothing', async () => {
  await using fixture = await EngineFixture.make()
  const VolumeOptions = { Labels: { empty: '' }, DriverConfig: {} }
  const Mounts = [
    { Type: 'volume', Source: 'v', Target: '/v', VolumeOptions },
    { Type: 'tmpfs', Target: '/t', ReadOnly: true, TmpfsOptions: { Mode: 0o700 } },
  ]
  const id = await fixture.create({}, { Mounts })
  const { HostConfig } = await fixture.engine.inspect(id, { size: false })
  assert.deepEqual(HostConfig.Mounts, Mounts)
})

test('resize() changes a terminal, and leaves a container without one alone', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const plain = await fixture.run({})
  await engine.resize(plain, 5, 6)
  assert.equal(world.task(plain).size, undefined)
  const terminal = await fixture.run({ Tty: true })
  await engine.resize(terminal, 7, 8)
  assert.deepEqual(world.task(terminal).size, [7, 8])
  assert.equal(world.actions(plain).at(-1), 'resize')
})

test('create() refuses to join the processes of a container that is not there, and keeps joined ones by id', async () => {
  await using fixture = await EngineFixture.make()
  await assert.rejects(fixture.create({}, { PidMode: 'container:nope' }), {
    kind: 'invalid',
    message: 'No such container: nope',
  })
  const server = await fixture.create({}, {}, 'server')
  const side = await fixture.create({}, { PidMode: 'container:server', NetworkMode: 'container:later' })
  const { HostConfig } = await fixture.engine.inspect(side, { size: false })
  assert.equal(HostConfig.PidMode, `container:${server}`)
  assert.equal(HostConfig.NetworkMode, 'container:later')
})

test('a link gives its parent names and environment, and goes with the linked container', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const db = await fixture.run({ ExposedPorts: { '5432/tcp': {} }, Env: ['MODE=x'] }, {}, 'database')
  const web = await fixture.run({}, { Links: ['database:db'] }, 'web')
  assert.deepEqual(world.sandboxes.get(web)?.links, [
    { containerId: db, containerName: 'database', alias: 'db' },
  ])
  const env = world.task(web).start_?.config.Env ?? []
  assert.ok(env.includes('DB_PORT_5432_TCP_ADDR=172.17.0.2'))
  assert.ok(env.includes('DB_NAME=/web/db'))
  assert.ok(env.includes('DB_ENV_MODE=x'))
  assert.equal(engine.paths('/web/db').id, db)
  const [row] = (await engine.list(noFilters)).filter(({ Id }) => Id === db)
  assert.deepEqual(row?.Names, ['/database', '/web/db'])
  await engine.remove(db, { force: true, volumes: false, link: false })
  assert.equal((await engine.inspect(web, { size: false })).HostConfig.Links, null)
})
