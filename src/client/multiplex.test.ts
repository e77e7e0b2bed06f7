import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FrameSplitter } from './multiplex.ts'

/** Whole numbers below a bound, the same in every run. */
function numbers(seed: number): (bound: number) => number {
  let state = seed
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * bound)
  }
}

function frame(stream: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt8(stream, 0)
  header.writeUInt32BE(payload.length, 4)
  return Buffer.concat([header, payload])
}

test('frames come out whole and in order, however the stream is cut', () => {
  const next = numbers(1)
  for (let round = 0; round < 300; round++) {
    const sent = Array.from({ length: next(8) }, () => ({
      stream: 1 + next(3),
      payload: Buffer.from(Array.from({ length: next(40) }, () => next(256))),
    }))
    const bytes = Buffer.concat(sent.map(({ stream, payload }) => frame(stream, payload)))
    const got = new Map<string, Buffer[]>()
    const splitter = new FrameSplitter()
    for (let at = 0; at < bytes.length;) {
      const end = at + 1 + next(13)
      splitter.push(bytes.subarray(at, end), (stream, payload) => {
        got.set(stream, [...(got.get(stream) ?? []), Buffer.from(payload)])
      })
      at = end
    }
    assert.ok(splitter.atBoundary)
    for (const [number, name] of [
      [1, 'stdout'],
      [2, 'stderr'],
      [3, 'error'],
    ] as const) {
      const wanted = sent.filter(({ stream }) => stream === number).map(({ payload }) => payload)
      assert.deepEqual(Buffer.concat(got.get(name) ?? []), Buffer.concat(wanted))
    }
  }
})

test('any bytes are payload of known streams or a refusal, and never more than came in', () => {
  const next = numbers(2)
  let refused = 0
  for (let round = 0; round < 1000; round++) {
    const bytes = Buffer.from(Array.from({ length: next(64) }, () => (next(3) === 0 ? next(256) : next(4))))
    let payloadBytes = 0
    try {
      new FrameSplitter().push(bytes, (_stream, payload) => void (payloadBytes += payload.length))
    } catch (error) {
      assert.match(String(error), /unrecognized input header: \d+/)
      refused++
    }
    assert.ok(payloadBytes <= Math.max(0, bytes.length - 8))
  }
  assert.ok(refused > 0)
})
