import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buffer } from 'node:stream/consumers'
import { encodeFrame, FrameRemover } from './frames.ts'

test('FrameRemover gives back what was framed, however it is cut', async () => {
  const pieces = ['hello ', '', 'wide world\n', 'x'.repeat(700)]
  const framed = Buffer.concat(pieces.map((piece, index) => encodeFrame(1 + (index % 2), Buffer.from(piece))))
  for (const step of [1, 3, 7, 8, 9, 64, framed.length]) {
    const remover = new FrameRemover()
    for (let at = 0; at < framed.length; at += step) remover.write(framed.subarray(at, at + step))
    remover.end()
    assert.equal((await buffer(remover)).toString(), pieces.join(''), `step ${step}`)
  }
})

test('encodeFrame writes stream and length', () => {
  assert.deepEqual([...encodeFrame(2, Buffer.from('ab'))], [2, 0, 0, 0, 0, 0, 0, 2, 97, 98])
})
