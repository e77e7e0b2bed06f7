/** A disk that takes no row: what has happened stands all the same, and is written once there is room. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EngineFixture, until } from './testing.ts'

const noStart = { detachKeys: '' }
const live = () => new AbortController().signal

/** From now on the database takes no row of a container, as on a full disk; disposing makes room. */
function fullDisk({ database }: EngineFixture): Disposable {
  const actions = ['INSERT', 'UPDATE', 'DELETE']
  for (const action of actions) {
    database.run(
      `CREATE TRIGGER full_${action} BEFORE ${action} ON containers
       BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END`,
    )
  }
  return {
    [Symbol.dispose]: () => {
      for (const action of actions) database.run(`DROP TRIGGER full_${action}`)
    },
  }
}

test('an exit on a full disk is told at once and written once there is room', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.run()
  const { result: waits } = await engine.wait(id, 'not-running', live())
  {
    using _full = fullDisk(fixture)
    world.task(id).end(7)
    assert.equal((await waits).exitCode, 7)
    await until(() => world.clock.pendingMs().includes(1000), 'it is tried again')
    world.clock.advance(1000)
    await until(() => world.clock.pendingMs().includes(1000), 'and again')
  }
  world.clock.advance(1000)
  await engine.idle()
  await fixture.reboot()
  const { State } = await fixture.engine.inspect(id, { size: false })
  assert.deepEqual([State.Status, State.ExitCode], ['exited', 7])
})

test('an exit that could not be written before the daemon stops is tried a last time', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.run()
  const { result: waits } = await engine.wait(id, 'not-running', live())
  {
    using _full = fullDisk(fixture)
    world.task(id).end(7)
    await waits
  }
  await fixture.reboot()
  const { State } = await fixture.engine.inspect(id, { size: false })
  assert.equal(State.ExitCode, 7)
})

test('a container that cannot remove itself on a full disk has ended, and who waits is told', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.run({}, { AutoRemove: true })
  const { result: waits } = await engine.wait(id, 'removed', live())
  {
    using _full = fullDisk(fixture)
    world.task(id).end(3)
    assert.deepEqual(await waits, { exitCode: 3, error: 'database or disk is full' })
    const { State } = await engine.inspect(id, { size: false })
    assert.equal(State.Status, 'exited')
  }
  await fixture.reboot()
  await assert.rejects(fixture.engine.inspect(id, { size: false }), /No such container/)
})

test('a process that runs is shown as running though the disk is full, and can be stopped', async () => {
  await using fixture = await EngineFixture.make()
  const { engine, world } = fixture
  const id = await fixture.create()
  let full: Disposable | undefined
  fixture.pauseAt = async (point) => {
    if (point === 'start:before-run') full = fullDisk(fixture)
  }
  await engine.start(id, noStart)
  assert.equal((await engine.inspect(id, { size: false })).State.Running, true)
  const removed = engine.remove(id, { force: true, volumes: false, link: false })
  await assert.rejects(removed, /database or disk is full/)
  assert.equal((await engine.inspect(id, { size: false })).State.Running, false)
  assert.equal(world.tasks.get(id), undefined)
  full?.[Symbol.dispose]()
  await engine.remove(id, { force: false, volumes: false, link: false })
})
