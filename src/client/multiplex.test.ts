import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FrameSplitter } from './multiplex.ts'

const streams = ['stdout', 'stdout', 'stderr', 'error'] as const

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

/** Payloads by runs of one stream, whatever pieces they come in. */
class Runs {
  readonly list: { stream: string; parts: Buffer[] }[] = []
  add(stream: string, payload: Buffer): void {
    const last = this.list.at(-1)
    // Copied: the bytes are the taker's only until it returns.
    if (last?.stream === stream) last.parts.push(Buffer.from(payload))
    else if (payload.length > 0) this.list.push({ stream, parts: [Buffer.from(payload)] })
  }
  get whole() {
    return this.list.map(({ stream, parts }) => ({ stream, bytes: Buffer.concat(parts).toString('latin1') }))
  }
}

test('generated frames come out as they went in, however they are cut', () => {
  const next = numbers(1)
  for (let round = 0; round < 60; round++) {
    const wanted = new Runs()
    const frames: Buffer[] = []
    const mostBytes = [1, 20, 100, 9000][round % 4] ?? 1
    for (let count = 1 + next(30); count > 0; count--) {
      const payload = Buffer.alloc(next(mostBytes + 1), Buffer.from([next(256), next(256), next(256)]))
      const number = next(4)
      wanted.add(streams[number] ?? '', payload)
      frames.push(frame(number, payload))
    }
    const bytes = Buffer.concat(frames)
    const got = new Runs()
    const splitter = new FrameSplitter()
    const most = mostBytes > 100 ? 20_000 : ([1, 7, 100][next(3)] ?? 1)
    for (let at = 0; at < bytes.length;) {
      const size = Math.min(1 + next(most), bytes.length - at)
      splitter.push(Buffer.from(bytes.subarray(at, at + size)), (stream, payload) => got.add(stream, payload))
      at += size
    }
    assert.deepEqual(got.whole, wanted.whole)
    assert.ok(splitter.atBoundary)
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

test('many short frames of one stream come as one piece, long ones as they are', () => {
  const pieces: number[] = []
  const short = Array.from({ length: 1000 }, () => frame(1, Buffer.from('line\n')))
  const long = [frame(1, Buffer.alloc(5000)), frame(1, Buffer.alloc(6000))]
  new FrameSplitter().push(Buffer.concat([...short, ...long]), (_stream, payload) =>
    pieces.push(payload.length),
  )
  assert.deepEqual(pieces, [5000, 5000, 6000])
})

test('an unknown stream is an error, after what came before it', () => {
  const got: string[] = []
  const splitter = new FrameSplitter()
  const bytes = Buffer.concat([frame(2, Buffer.from('before')), frame(7, Buffer.from('x'))])
  assert.throws(
    () => splitter.push(bytes, (stream, payload) => got.push(`${stream} ${payload.toString()}`)),
    {
      message: 'unrecognized input header: 7',
    },
  )
  assert.deepEqual(got, ['stderr before'])
})

test('a stream may not end within a header or a payload', () => {
  const bytes = frame(1, Buffer.from('abc'))
  for (let size = 1; size <= bytes.length; size++) {
    const splitter = new FrameSplitter()
    splitter.push(Buffer.from(bytes.subarray(0, size)), () => {})
    assert.equal(splitter.atBoundary, size === bytes.length)
  }
})
