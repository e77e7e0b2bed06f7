/**
 * The daemon dies, or its disk is full, at some call that changes a file. What was acknowledged is there afterwards, what
 * was not is there whole or not at all, and the store has no faults.
 *
 * Which operation and which call is chance: WHARF_SEED repeats a run, WHARF_TRIALS asks for more of them.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { Faults, type FaultMode } from '../../fixtures/faults.ts'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'
import { expectedAfter, faultsOf, operations, present, Refused, type Operation } from './store-model.ts'

const trials = Number(process.env['WHARF_TRIALS'] ?? 14)

/** A daemon under faults, and how many calls each of its operations makes. */
type Room = { daemon: TestDaemon; faults: Faults; steps: Operation[]; calls: number[] }

async function openRoom(daemon: TestDaemon): Promise<Room> {
  const faults = new Faults(daemon.dataRoot)
  await daemon.loadBusybox()
  await daemon.stop()
  await daemon.start(faults.environment)
  const steps = await operations()
  const calls: number[] = []
  // Once without a fault: which counts the calls, and shows that the operations work.
  for (const { run } of steps) {
    faults.arm('count')
    await run(daemon)
    calls.push(faults.disarm())
  }
  assert.ok(
    calls.every((count) => count > 0),
    `calls were counted: ${calls.join(' ')}`,
  )
  return { daemon, faults, steps, calls }
}

/** Numbers below a bound, the same for a seed. */
function randomOf(t: TestContext): (below: number) => number {
  let state = Number(process.env['WHARF_SEED'] ?? Date.now() % 1_000_000)
  t.diagnostic(`WHARF_SEED=${state}`)
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** Does the operations; at one of them the fault happens. Answers whether that one was acknowledged. */
async function runWithFault(
  room: Room,
  { index, mode, at }: { index: number; mode: FaultMode; at: number },
): Promise<boolean> {
  const { daemon, faults, steps } = room
  for (const { run } of steps.slice(0, index)) await run(daemon)
  faults.arm(mode, at)
  try {
    await answered(steps[index]!, daemon)
    return true
  } catch (error) {
    // A dead daemon answers nothing; one with a full disk says so.
    if (mode === 'full') {
      assert.ok(error instanceof Refused, String(error))
      assert.match(error.message, /ENOSPC|no space left|disk is full|database or disk is full/i)
    }
    return false
  }
}

/** Does an operation; one that never gets its answer is a failure of its own. */
async function answered({ name, run }: Operation, daemon: TestDaemon): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`${name} got no answer:\n${daemon.log}`)), 90_000)
  try {
    await Promise.race([run(daemon), late])
  } finally {
    clearTimeout(timer)
  }
}

/** What is there must be what was acknowledged; of the last operation all or nothing. */
async function verify(room: Room, index: number, acknowledged: boolean): Promise<void> {
  const { daemon, steps } = room
  const paths = [...new Set(steps.flatMap(({ makes }) => makes))]
  const found = await present(daemon, paths)
  const after = expectedAfter(steps.slice(0, index + 1))
  if (acknowledged) assert.deepEqual(found, after)
  else if (!isSame(found, after)) assert.deepEqual(found, expectedAfter(steps.slice(0, index)))
}

function isSame(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((item) => b.has(item))
}

/** Takes away all that the operations make, and shows that everything still works. */
async function backToStart(room: Room): Promise<void> {
  const { daemon, steps } = room
  for (const name of ['box', 'crate']) await daemon.api('DELETE', `/containers/${name}?force=1&v=1`)
  for (const name of ['second', 'made', 'other', 'imported'])
    await daemon.api('DELETE', `/images/${name}?force=1`)
  await daemon.api('DELETE', '/networks/net')
  await daemon.api('DELETE', '/volumes/data')
  assert.deepEqual(await present(daemon, [...new Set(steps.flatMap(({ makes }) => makes))]), new Set())
  assert.deepEqual(await faultsOf(daemon), [])
}

test('a daemon that dies at any call loses nothing and leaves nothing', async (t) => {
  await using daemon = await startDaemon()
  const room = await openRoom(daemon)
  using faults = room.faults
  const random = randomOf(t)
  for (let trial = 0; trial < trials; trial++) {
    const index = random(room.steps.length)
    const at = 1 + random(room.calls[index] ?? 1)
    t.diagnostic(`${room.steps[index]?.name}, call ${at}`)
    const acknowledged = await runWithFault(room, { index, mode: 'die', at })
    // It may die after its answer, or have needed fewer calls than the first time.
    faults.arm('die', 1)
    await daemon.api('POST', '/volumes/create', { Name: 'last' }).catch(() => undefined)
    await daemon.ended()
    faults.disarm()
    await daemon.start(faults.environment)
    await verify(room, index, acknowledged)
    assert.deepEqual(await faultsOf(daemon), [], 'the next start leaves nothing')
    await backToStart(room)
  }
})

test('a disk that is full from any call on fails that operation alone', async (t) => {
  await using daemon = await startDaemon()
  const room = await openRoom(daemon)
  using faults = room.faults
  const random = randomOf(t)
  for (let trial = 0; trial < trials; trial++) {
    const index = random(room.steps.length)
    const at = 1 + random(room.calls[index] ?? 1)
    t.diagnostic(`${room.steps[index]?.name}, call ${at}`)
    const acknowledged = await runWithFault(room, { index, mode: 'full', at })
    faults.disarm()
    await verify(room, index, acknowledged)
    const lost = (await faultsOf(daemon)).filter((line) => !line.includes(' unowned '))
    assert.deepEqual(lost, [])
    await faultsOf(daemon, 'repair=1')
    assert.deepEqual(await faultsOf(daemon), [], 'nothing is left after a repair')
    await backToStart(room)
  }
})
