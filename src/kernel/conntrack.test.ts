import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { encodeTuple, parseTuple } from './conntrack.ts'
import { parseAttributes } from './netlink.ts'

test('tuples survive encoding and parsing, whatever is cut off', () => {
  for (const bytes of [4, 16]) {
    const tuple = {
      source: randomBytes(bytes),
      destination: randomBytes(bytes),
      protocol: 17,
      sourcePort: 40_000,
      destinationPort: 53,
    }
    const data = parseAttributes(encodeTuple('reply', tuple)).get(2)
    assert.ok(data)
    assert.deepEqual(parseTuple(data), tuple)
    for (let length = 0; length < data.length; length++) parseTuple(data.subarray(0, length))
  }
})
