import assert from 'node:assert/strict'
import { test } from 'node:test'
import { releaseBuffer } from './release-buffer.ts'

test('a buffer of its own is freed', () => {
  const buffer = Buffer.allocUnsafeSlow(100_000)
  releaseBuffer(buffer)
  assert.equal(buffer.length, 0)
  // Once more does no harm.
  releaseBuffer(buffer)
})

test('a piece of a larger buffer, and memory that threads share, are left alone', () => {
  const large = Buffer.from('abcdefgh'.repeat(20_000))
  const piece = large.subarray(8, 16)
  releaseBuffer(piece)
  assert.equal(piece.toString(), 'abcdefgh')
  const small = Buffer.from('small')
  releaseBuffer(small)
  assert.equal(small.toString(), 'small')
  const shared = new Uint8Array(new SharedArrayBuffer(16)).fill(7)
  releaseBuffer(shared)
  assert.equal(shared[15], 7)
})
