import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLog } from '../lib/log.ts'
import type { EventMessage } from '../spec/container-types.ts'
import { Database } from '../store/database.ts'
import { eventPasses } from './event-filter.ts'
import { EventJournal, EventQueue } from './events.ts'

const second = 1_000_000_000n

function journal(database: Database) {
  let now = 1000n * second + 7n
  const clock = { nowMs: () => Number(now / 1_000_000n), nowNs: () => (now += second) }
  return new EventJournal({ database, clock, log: silentLog })
}

const emitted = (action: string, attributes: Record<string, string> = {}) => ({
  type: 'container',
  action,
  id: 'c'.repeat(64),
  attributes,
})

test('the journal keeps events with their time and gives back a range', () => {
  using database = new Database(':memory:')
  using events = journal(database)
  events.setCallerSource(() => ({ uid: 5, request: 'POST /x' }))
  for (const action of ['create', 'start', 'die']) events.emit(emitted(action))
  assert.deepEqual(
    events.past(1002n * second, 1004n * second).map((event) => event.Action),
    ['start', 'die'],
  )
  assert.deepEqual(events.past(0n, undefined).length, 3)
  assert.equal(events.past(0n, undefined)[0]?.time, 1001)
  assert.equal(events.past(0n, undefined)[0]?.timeNano, 1001n * second + 7n)
  assert.equal(database.get('SELECT caller FROM events')?.['caller'], '{"uid":5,"request":"POST /x"}')
})

test('the journal is bounded', () => {
  using database = new Database(':memory:')
  using events = journal(database)
  for (let count = 0; count < 10_300; count++) events.emit(emitted(String(count)))
  const kept = events.past(0n, undefined)
  assert.ok(kept.length <= 10_000 && kept.length > 9_000)
  assert.equal(kept.at(-1)?.Action, '10299')
})

test('listeners get events as they come, and lose the oldest when they do not read', async () => {
  using database = new Database(':memory:')
  using events = journal(database)
  const signal = new AbortController()
  using queue = events.listen()
  const next = queue.next(signal.signal)
  events.emit(emitted('start'))
  assert.equal((await next)?.Action, 'start')
  const waiting = queue.next(signal.signal)
  signal.abort()
  assert.equal(await waiting, undefined)
  const short = new EventQueue(2, () => {})
  for (const Action of ['a', 'b', 'c']) short.push({ Action } as EventMessage)
  const rest = new AbortController().signal
  assert.deepEqual([(await short.next(rest))?.Action, (await short.next(rest))?.Action], ['b', 'c'])
})

test('filters pick events', () => {
  const event: EventMessage = {
    Type: 'container',
    Action: 'exec_start: sh',
    Actor: { ID: 'abcdef', Attributes: { name: 'web', image: 'busybox:latest', tier: 'front' } },
    scope: 'local',
    time: 1,
    timeNano: 1n,
  }
  const passes = (filters: Record<string, string[]>) => eventPasses(event, new Map(Object.entries(filters)))
  for (const filters of [
    {},
    { container: ['web'] },
    { container: ['we'] },
    { container: ['other', 'abc'] },
    { container: [''] },
    { network: ['web'], node: ['ab'] },
    { 'node.name': ['other'] },
    { type: ['container', 'image'] },
    { event: ['exec_start'] },
    { event: ['exec_start: sh'] },
    { event: ['exec_create', 'exec_st'] },
    { image: ['busybox'] },
    { image: ['busybox:latest'] },
    { label: ['tier'] },
    { label: ['tier=front'] },
    { scope: ['local'] },
  ])
    assert.equal(passes(filters), true, JSON.stringify(filters))
  for (const filters of [
    { container: ['eb'] },
    { container: ['/web'] },
    { container: ['web'], network: ['other'] },
    { type: ['image'] },
    { event: ['exec'] },
    { event: ['exec_start:'] },
    { image: ['other'] },
    { label: ['tier=back'] },
    { label: ['tier', 'x'] },
    { scope: ['swarm'] },
    { container: ['web'], event: ['die'] },
  ])
    assert.equal(passes(filters), false, JSON.stringify(filters))
})
