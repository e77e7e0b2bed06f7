import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import {
  contains,
  formatIp,
  formatPrefix,
  ipBytes,
  ipFromBytes,
  lastAddress,
  masked,
  overlaps,
  parseIp,
  parseMac,
  parsePrefix,
} from './ip-address.ts'

test('formatIp() prints IPv6 in the short form', () => {
  for (const [long, short] of [
    ['0:0:0:0:0:0:0:0', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['fd00:0:0:1:0:0:0:2', 'fd00:0:0:1::2'],
    ['fe80:0:0:0:1:2:3:4', 'fe80::1:2:3:4'],
    ['1:0:2:0:3:0:4:0', '1:0:2:0:3:0:4:0'],
    ['1:2:3:4:5:6:0:0', '1:2:3:4:5:6::'],
    ['::ffff:10.0.0.1', '::ffff:a00:1'],
    ['192.168.0.1', '192.168.0.1'],
  ]) {
    assert.equal(formatIp(parseIp(long!)!), short)
  }
})

test('parseIp() refuses what is not an address', () => {
  for (const text of [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '01.2.3.4',
    ':',
    ':::',
    '1::2::3',
    'fe80::1%eth0',
    '12345::',
  ]) {
    assert.equal(parseIp(text), undefined, text)
  }
})

test('random bytes survive printing and parsing, and node:net agrees', () => {
  for (let round = 0; round < 2000; round++) {
    const bytes = Buffer.from(
      Array.from({ length: round % 2 === 0 ? 4 : 16 }, () =>
        Math.random() < 0.5 ? 0 : Math.floor(Math.random() * 256),
      ),
    )
    const text = formatIp(ipFromBytes(bytes))
    assert.notEqual(isIP(text), 0, text)
    assert.deepEqual(ipBytes(parseIp(text)!), bytes)
  }
})

test('prefixes know their bounds', () => {
  const prefix = parsePrefix('172.17.5.9/16')!
  assert.equal(formatPrefix(masked(prefix)), '172.17.0.0/16')
  assert.equal(formatIp(lastAddress(prefix)), '172.17.255.255')
  assert.equal(contains(prefix, parseIp('172.17.0.1')!), true)
  assert.equal(contains(prefix, parseIp('172.18.0.1')!), false)
  assert.equal(contains(prefix, parseIp('::1')!), false)
  assert.equal(overlaps(prefix, parsePrefix('172.16.0.0/12')!), true)
  assert.equal(overlaps(prefix, parsePrefix('172.18.0.0/16')!), false)
  for (const text of ['10.0.0.0', '10.0.0.0/33', '::/129', '10.0.0.0/-1', '10.0.0.0/08']) {
    assert.equal(parsePrefix(text), undefined, text)
  }
})

test('parseMac() takes six bytes', () => {
  assert.equal(parseMac('02:42:ac:11:00:02')?.toString('hex'), '0242ac110002')
  assert.equal(parseMac('02-42-AC-11-00-02')?.toString('hex'), '0242ac110002')
  for (const text of ['', '02:42:ac:11:00', '02:42:ac:11:00:0g', '0242ac110002']) {
    assert.equal(parseMac(text), undefined, text)
  }
})
