import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import {
  attribute,
  attributeString,
  attributeU32,
  encodeMessage,
  nested,
  parseAttributes,
  parseMessages,
} from './netlink.ts'
import { parseAddress, parseLink, parseRoute } from './rtnetlink-read.ts'
import { createVeth, replaceRoute } from './rtnetlink.ts'

test('messages survive encoding and parsing', () => {
  const first = { type: 16, flags: 1, payload: Buffer.from('abcde') }
  const second = { type: 17, flags: 2, payload: Buffer.alloc(0) }
  const wire = Buffer.concat([encodeMessage(first, 4, 7), encodeMessage(second, 0, 8)])
  const parsed = parseMessages(wire)
  assert.deepEqual(
    parsed.map(({ type, flags, sequence, payload }) => [type, flags, sequence, payload.toString()]),
    [
      [16, 5, 7, 'abcde'],
      [17, 2, 8, ''],
    ],
  )
})

test('attributes nest and are padded to four bytes', () => {
  const data = Buffer.concat([attributeString(3, 'veth0'), nested(18, attributeU32(4, 1500))])
  assert.equal(data.length % 4, 0)
  const outer = parseAttributes(data)
  assert.equal(outer.get(3)?.toString(), 'veth0\0')
  assert.equal(parseAttributes(outer.get(18)!).get(4)?.readUInt32LE(0), 1500)
})

test('parsers take any bytes without throwing or reading past the end', () => {
  for (let round = 0; round < 3000; round++) {
    const data = randomBytes(Math.floor(Math.random() * 120))
    if (round % 3 === 0 && data.length >= 4) data.writeUInt16LE(Math.floor(Math.random() * 40), 0)
    for (const message of parseMessages(data)) assert.ok(message.payload.length <= data.length)
    for (const value of parseAttributes(data).values()) assert.ok(value.length <= data.length)
    parseLink(data)
    parseAddress(data)
    parseRoute(data)
  }
})

test('a link message that is cut anywhere reads as a shorter one', () => {
  const whole = createVeth('host0', { up: true, mtu: 1400 }, { name: 'eth0' }).payload
  assert.equal(parseLink(whole)?.name, 'host0')
  assert.equal(parseLink(whole)?.kind, 'veth')
  assert.equal(parseLink(whole)?.mtu, 1400)
  for (let length = 0; length < whole.length; length++) parseLink(whole.subarray(0, length))
})

test('routes: a default route names no destination', () => {
  const route = parseRoute(replaceRoute({ index: 5, gateway: Buffer.from([10, 0, 0, 1]) }).payload)
  assert.equal(route?.index, 5)
  assert.equal(route?.destination, undefined)
  assert.deepEqual(route?.gateway, Buffer.from([10, 0, 0, 1]))
  assert.equal(parseRoute(Buffer.alloc(12)), undefined)
  assert.deepEqual(attribute(1, Buffer.from([1])).length, 8)
})
