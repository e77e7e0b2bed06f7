import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  containerOwner,
  freeRangeStart,
  hostOwner,
  parseSubordinateIds,
  portableCapability,
  rangesOf,
  rootOwner,
  UnmappedIdError,
  type IdMapping,
} from './id-mapping.ts'

/** Numbers that look random and are the same in every run. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    yield state
  }
}

function randomRanges(random: Generator<number, never>) {
  const next = (limit: number) => random.next().value % limit
  let hostID = 100_000
  let containerID = 0
  return Array.from({ length: 1 + next(4) }, () => {
    hostID += next(1000)
    const range = { containerID, hostID, size: 1 + next(70_000) }
    hostID += range.size
    containerID += range.size
    return range
  })
}

test('every id inside comes back from the host as it was, and no other id goes there', () => {
  const random = numbers(7)
  for (let round = 0; round < 200; round++) {
    const ids: IdMapping = { uid: randomRanges(random), gid: randomRanges(random) }
    const total = (ranges: IdMapping['uid']) => ranges.reduce((sum, { size }) => sum + size, 0)
    for (let turn = 0; turn < 50; turn++) {
      const owner = {
        uid: random.next().value % total(ids.uid),
        gid: random.next().value % total(ids.gid),
      }
      const host = hostOwner(ids, owner)
      assert.deepEqual(containerOwner(ids, host), owner)
      assert.ok(host.uid >= 100_000 && host.gid >= 100_000)
    }
    assert.throws(() => hostOwner(ids, { uid: total(ids.uid), gid: 0 }), UnmappedIdError)
    assert.throws(() => hostOwner(ids, { uid: 0, gid: total(ids.gid) }), UnmappedIdError)
    assert.deepEqual(containerOwner(ids, { uid: 0, gid: 99_999 }), { uid: 65534, gid: 65534 })
    assert.deepEqual(rootOwner(ids), { uid: ids.uid[0]?.hostID, gid: ids.gid[0]?.hostID })
  }
})

test('without a mapping every owner is the very object that was given', () => {
  const owner = { uid: 70_000, gid: 4_000_000_000 }
  assert.equal(hostOwner(undefined, owner), owner)
  assert.equal(containerOwner(undefined, owner), owner)
  assert.deepEqual(rootOwner(undefined), { uid: 0, gid: 0 })
})

test("a user's ranges follow one another inside, those of its number before those of its name", () => {
  const all = parseSubordinateIds('# ranges\n\nalice:100000:65536\n  bob:300000:10\nalice:500000:100\n')
  assert.deepEqual(rangesOf(all, { uid: 1000, name: 'alice' }), [
    { containerID: 0, hostID: 100_000, size: 65_536 },
    { containerID: 65_536, hostID: 500_000, size: 100 },
  ])
  assert.deepEqual(rangesOf(all, { uid: 1000, name: 'carol' }), [])
  const numbered = [...all, ...parseSubordinateIds('1000:700000:5')]
  assert.deepEqual(rangesOf(numbered, { uid: 1000, name: 'alice' }), [
    { containerID: 0, hostID: 700_000, size: 5 },
  ])
  for (const line of ['alice', 'alice:1', 'alice:x:1', ':1:1', 'alice:1:1:1', 'alice:-1:5']) {
    assert.throws(() => parseSubordinateIds(line), /not a range/, line)
  }
})

test('a new range begins behind those that are in its way', () => {
  const taken = (text: string) => freeRangeStart(parseSubordinateIds(text), 65_536)
  assert.equal(taken(''), 100_000)
  assert.equal(taken('a:100000:65536'), 165_536)
  assert.equal(taken('b:165536:65536\na:100000:65536'), 231_072)
  assert.equal(taken('a:200000:65536'), 100_000)
  assert.equal(taken('a:150000:65536'), 215_536)
  assert.equal(taken('a:1000:500'), 100_000)
})

test('a file capability loses the namespace that it was set in', () => {
  const version2 = Buffer.from('0100000200200000000000000000000000000000', 'hex')
  const version3 = Buffer.from('0100000300200000000000000000000000000000a0860100', 'hex')
  assert.deepEqual(Buffer.from(portableCapability(version3)), version2)
  assert.equal(portableCapability(version2), version2)
})
