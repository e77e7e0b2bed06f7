import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { after, before, test } from 'node:test'
import { CollectFlag } from './collect-flag.ts'
import { FilesystemDriver } from './filesystem-driver.ts'

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wharf-collect-flag-'))
})
after(() => rm(folder, { recursive: true, force: true }))

/** Flags of several processes on one tree, by clocks of their own. */
function flags(name: string) {
  const driver = new FilesystemDriver(join(folder, name))
  return (clock: { ms: number }) =>
    new CollectFlag(
      driver,
      { now: () => Promise.resolve() },
      {
        nowMs: () => clock.ms,
        nowNs: () => BigInt(clock.ms) * 1_000_000n,
      },
      { settleMs: 200 },
    )
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  const settle = () => {
    settled = true
  }
  void promise.then(settle, settle)
  // More turns than any read of a file takes.
  for (let turn = 0; turn < 200; turn++) await setImmediate()
  return settled
}

test('a push waits for the end of a collection that may have missed it, and for no other', async () => {
  const flag = flags('waits')
  const clock = { ms: 1_000_000 }
  const [collector, pusher] = [flag(clock), flag(clock)]
  const before = await pusher.look()
  assert.equal(await pusher.passed(before), false)
  const raised = await collector.raise()
  const passing = pusher.passed(before)
  assert.equal(await isSettled(passing), false)
  await raised[Symbol.asyncDispose]()
  assert.equal(await passing, true)
  assert.equal(await pusher.passed(await pusher.look()), false)
})

test('a flag is kept up by its collector, and not believed for long when the collector has died', async () => {
  const flag = flags('dies')
  const clock = { ms: 1_000_000 }
  const [collector, pusher] = [flag(clock), flag(clock)]
  const raised = await collector.raise()
  const passing = pusher.passed(await pusher.look())
  for (let round = 0; round < 5; round++) {
    clock.ms += 50_000
    await raised.renew()
  }
  assert.ok(raised.isGood)
  assert.equal(await isSettled(passing), false)
  clock.ms += 100_000
  assert.equal(await passing, true)
  // The collector was not dead but late: it must not go on, nor raise the flag again as if nothing were.
  assert.ok(!raised.isGood && collector.isForfeited)
  assert.throws(() => raised.checkGood(), /given up/)
  await raised.renew()
  assert.ok(!raised.isGood)
  await raised[Symbol.asyncDispose]()
  assert.equal(collector.isForfeited, false)
})

test('a flag that could not be raised is not raised later', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const driver = new FilesystemDriver(join(folder, 'fails'))
  const clock = { nowMs: () => 1_000_000, nowNs: () => 0n }
  const follower = { now: () => Promise.reject(new Error('storage cannot be reached')) }
  const collector = new CollectFlag(driver, follower, clock)
  await assert.rejects(collector.raise(), /cannot be reached/)
  t.mock.timers.tick(60_000)
  for (let turn = 0; turn < 200; turn++) await setImmediate()
  assert.match((await driver.read('wharf/collecting'))?.toString() ?? '', /^0 /)
})

test('of several collectors one collects', async () => {
  const flag = flags('several')
  const clock = { ms: 1_000_000 }
  const [first, second] = [flag(clock), flag(clock)]
  const raised = await first.raise()
  await assert.rejects(second.raise(), /another process collects/)
  await raised[Symbol.asyncDispose]()
  for (let round = 0; round < 10; round++) {
    const all = await Promise.allSettled([first.raise(), second.raise()])
    assert.ok(all.filter(({ status }) => status === 'fulfilled').length <= 1)
    for (const result of all) if (result.status === 'fulfilled') await result.value[Symbol.asyncDispose]()
  }
})
