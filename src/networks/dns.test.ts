import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import {
  encodeName,
  encodeResponse,
  parseQuery,
  recordTypes,
  responseStatus,
  reverseAddress,
} from './dns-codec.ts'
import { DnsForwarder } from './dns-forwarder.ts'
import { answerLocally } from './dns-server.ts'
import { parseIp, type IpAddress } from './ip-address.ts'
import { NameRegistry, resolveName } from './name-registry.ts'

const ip = (text: string) => parseIp(text) as IpAddress

function queryFor(name: string, type: number, options: { edns?: number; id?: number } = {}): Buffer {
  const header = Buffer.alloc(12)
  header.writeUInt16BE(options.id ?? 0x1234, 0)
  header.writeUInt16BE(0x0100, 2)
  header.writeUInt16BE(1, 4)
  const tail = Buffer.alloc(4)
  tail.writeUInt16BE(type, 0)
  tail.writeUInt16BE(1, 2)
  const opt = Buffer.alloc(options.edns === undefined ? 0 : 11)
  if (options.edns !== undefined) {
    header.writeUInt16BE(1, 10)
    opt.writeUInt16BE(41, 1)
    opt.writeUInt16BE(options.edns, 3)
  }
  return Buffer.concat([header, encodeName(name), tail, opt])
}

test('parseQuery() reads name, type and EDNS size', () => {
  const query = parseQuery(queryFor('Db.Example', recordTypes.aaaa, { edns: 4096 }))
  assert.equal(query?.name, 'Db.Example')
  assert.equal(query?.type, recordTypes.aaaa)
  assert.equal(query?.maxBytes, 4096)
  assert.equal(parseQuery(queryFor('x', 1))?.maxBytes, 512)
  assert.equal(parseQuery(queryFor('x', 1, { edns: 10 }))?.maxBytes, 512)
})

test('parseQuery() refuses answers, several questions, pointers and what is cut', () => {
  const good = queryFor('db', 1)
  for (let length = 0; length < good.length; length++) {
    assert.equal(parseQuery(good.subarray(0, length)), undefined)
  }
  const change = (offset: number, value: number) => {
    const copy = Buffer.from(good)
    copy[offset] = value
    return parseQuery(copy)
  }
  assert.equal(change(2, 0x81), undefined)
  assert.equal(change(2, 0x28), undefined)
  assert.equal(change(5, 2), undefined)
  assert.equal(change(12, 0xc0), undefined)
})

test('parseQuery() and responseStatus() take any bytes', () => {
  const seed = queryFor('some.name.example', 1, { edns: 1232 })
  for (let round = 0; round < 5000; round++) {
    const data = round % 2 === 0 ? randomBytes(Math.floor(Math.random() * 80)) : Buffer.from(seed)
    if (round % 2 === 1) data[Math.floor(Math.random() * data.length)] = Math.floor(Math.random() * 256)
    const query = parseQuery(data)
    responseStatus(data)
    if (query === undefined) continue
    const answer = encodeResponse(query, 0, [{ type: 1, ttlSeconds: 1, data: Buffer.from([1, 2, 3, 4]) }])
    assert.equal(responseStatus(answer)?.id, query.id)
    assert.deepEqual(answer.subarray(12, 12 + query.question.length), query.question)
  }
})

test('encodeResponse() cuts what does not fit and says so', () => {
  const query = parseQuery(queryFor('many', 1))
  assert.ok(query)
  const answers = Array.from({ length: 100 }, () => ({ type: 1, ttlSeconds: 600, data: Buffer.alloc(4) }))
  const cut = encodeResponse(query, 0, answers)
  assert.ok(cut.length <= 512)
  assert.equal(cut.readUInt16BE(2) & 0x0200, 0x0200)
  assert.equal(cut.readUInt16BE(6), Math.floor((512 - 12 - query.question.length) / 16))
  const whole = encodeResponse(query, 0, answers, 65_535)
  assert.equal(whole.readUInt16BE(6), 100)
  assert.equal(whole.readUInt16BE(2) & 0x0200, 0)
})

test('reverseAddress() turns names round', () => {
  assert.equal(reverseAddress('2.0.17.172.in-addr.arpa'), '172.17.0.2')
  const v6 = '2.0.0.0.'.padEnd(64, '0.')
  assert.equal(reverseAddress(`${v6}ip6.arpa`)?.endsWith(':0002'), true)
  assert.equal(reverseAddress('17.172.in-addr.arpa'), undefined)
})

test('names: aliases, case, network suffix, links, several holders', () => {
  const registry = new NameRegistry()
  registry.set('n1', 'e1', { names: ['db', 'primary', 'abc123'], addresses: [ip('10.0.0.2'), ip('fd00::2')] })
  registry.set('n1', 'e2', { names: ['db2', 'primary'], addresses: [ip('10.0.0.3')] })
  registry.set('n2', 'e3', { names: ['web'], addresses: [ip('10.1.0.2')] })
  const networks = [{ id: 'n1', name: 'front.net', links: new Map([['store', 'db2']]) }]
  const found = (name: string) => resolveName(registry, networks, name)?.map((address) => address.value)
  assert.deepEqual(found('DB'), [ip('10.0.0.2').value, ip('fd00::2').value])
  assert.equal(found('primary')?.length, 3)
  assert.deepEqual(found('db2.front.net'), [ip('10.0.0.3').value])
  assert.deepEqual(found('store'), [ip('10.0.0.3').value])
  assert.equal(found('web'), undefined)
  assert.equal(found('db.other'), undefined)
  registry.remove('n1', 'e2')
  assert.equal(found('primary')?.length, 2)
  assert.equal(found('store'), undefined)
})

test('answerLocally(): records, an empty answer for a name without such an address, PTR, nothing for others', () => {
  const registry = new NameRegistry()
  registry.set('n1', 'e1', { names: ['db'], addresses: [ip('10.0.0.2')] })
  const view = {
    networks: [{ id: 'n1', name: 'net', links: new Map() }],
    servers: [],
    keepSingleLabels: false,
  }
  const ask = (name: string, type: number) => {
    const query = parseQuery(queryFor(name, type))
    assert.ok(query)
    return answerLocally(query, registry, view)
  }
  assert.deepEqual(ask('db', recordTypes.a)?.[0]?.data, Buffer.from([10, 0, 0, 2]))
  assert.deepEqual(ask('db', recordTypes.aaaa), [])
  assert.deepEqual(ask('db', recordTypes.mx), [])
  assert.deepEqual(ask('2.0.0.10.in-addr.arpa', recordTypes.ptr)?.[0]?.data, encodeName('db.net'))
  assert.equal(ask('3.0.0.10.in-addr.arpa', recordTypes.ptr), undefined)
  assert.equal(ask('elsewhere', recordTypes.a), undefined)
  assert.deepEqual(ask('db', recordTypes.srv), [])
  assert.equal(ask('db.net', 16), undefined)
})

test('forward() goes on to the next server after a failure, and answers under the own number', async () => {
  const server = createSocket('udp4')
  server.bind(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  const failing = createSocket('udp4')
  failing.bind(port, '127.0.0.2')
  await once(failing, 'listening')
  const reply = (code: number) => (message: Buffer) => {
    const copy = Buffer.from(message)
    copy.writeUInt16BE(0x8180 | code, 2)
    return copy
  }
  server.on('message', (message, from) => server.send(reply(3)(message), from.port, from.address))
  failing.on('message', (message, from) => failing.send(reply(2)(message), from.port, from.address))
  const options = { servers: ['127.0.0.2', '127.0.0.1'], port, timeoutMs: 2000, staggerMs: 60_000 }
  const forwarder = new DnsForwarder()
  const answer = await forwarder.forward(queryFor('x', 1, { id: 77 }), 'udp', options)
  assert.deepEqual(responseStatus(answer ?? Buffer.alloc(0)), { id: 77, code: 3, authoritative: false })
  const bad = await forwarder.forward(queryFor('x', 1), 'udp', { ...options, servers: ['127.0.0.2'] })
  assert.equal(responseStatus(bad ?? Buffer.alloc(0))?.code, 2)
  assert.equal(await forwarder.forward(queryFor('x', 1), 'udp', { ...options, servers: [] }), undefined)
  server.close()
  failing.close()
})

test('forward() takes a server that cannot be reached for one that does not answer', async () => {
  // A socket must not connect to the broadcast address: the kernel refuses at once, as without a route.
  const options = { servers: ['255.255.255.255'], port: 53, timeoutMs: 60_000, staggerMs: 60_000 }
  assert.equal(await new DnsForwarder().forward(queryFor('x', 1), 'udp', options), undefined)
  assert.equal(await new DnsForwarder().forward(queryFor('x', 1), 'tcp', options), undefined)
})
