import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { endpoint, Lab, run, runBeside, serve } from './lab.ts'

const on = (network: string, fields: Record<string, unknown> = {}) => ({
  endpoints: [{ network, settings: endpoint(fields) }],
})
const lookup = async (path: string, name: string) =>
  runBeside(path, 'busybox', 'nslookup', name, '127.0.0.11')

/** A resolver on the host that knows every name as 192.0.2.1; answers how many asked. */
async function upstream(address: string) {
  const socket = createSocket('udp4')
  const asked: string[] = []
  socket.on('message', (message, from) => {
    const end = message.indexOf(0, 12)
    asked.push(message.toString('latin1', 13, end))
    const type = message.readUInt16BE(end + 1)
    const answer = Buffer.from('c00c000100010000003c0004c0000201', 'hex')
    const head = Buffer.from(message.subarray(0, end + 5))
    head.writeUInt16BE(0x8180, 2)
    head.writeUInt16BE(type === 1 ? 1 : 0, 6)
    head.writeUInt16BE(0, 10)
    socket.send(type === 1 ? Buffer.concat([head, answer]) : head, from.port, from.address)
  })
  socket.bind(53, address)
  await once(socket, 'listening')
  return { asked, [Symbol.dispose]: () => void socket.close() }
}

test('names, aliases, ids and reverse names resolve on a user network, and only there', async () => {
  await using lab = await Lab.start({ dns: ['127.9.9.9'] })
  await lab.network('net')
  await lab.network('far')
  const a = await lab.up('client', on('net'))
  const b = await lab.up('db', on('net', { Aliases: ['store'] }))
  await lab.up('stranger', on('far'))
  const address = b.state.endpoints['net']!.IPAddress
  for (const name of ['db', 'DB', 'store', 'db.net', b.id.slice(0, 12)]) {
    const { code, output } = await lookup(a.state.sandboxKey, name)
    assert.equal(code, 0, output)
    assert.match(output, new RegExp(`Address:? ?\\d*:? ?${address.replaceAll('.', '\\.')}`), output)
  }
  const reverse = await lookup(a.state.sandboxKey, address)
  assert.match(reverse.output, /name = db\.net/)
  const foreign = await lookup(a.state.sandboxKey, 'stranger')
  assert.notEqual(foreign.code, 0)
  await lab.networks.containers.rename(b.id, 'renamed')
  assert.equal((await lookup(a.state.sandboxKey, 'renamed')).code, 0)
  assert.notEqual((await lookup(a.state.sandboxKey, 'db')).code, 0)
  await lab.networks.containers.remove(b.id, b.state)
  assert.notEqual((await lookup(a.state.sandboxKey, 'store')).code, 0)
  assert.match(readFileSync(a.state.etcFiles.resolvConf!, 'utf8'), /^options ndots:0$/m)
})

test('other names go to the host’s resolvers; from an internal network they go nowhere', async () => {
  const address = `127.83.${process.pid % 250}.1`
  using server = await upstream(address)
  await using lab = await Lab.start({ dns: [address] })
  await lab.network('net')
  await lab.network('inside', { Internal: true })
  const a = await lab.up('a', on('net'))
  const b = await lab.up('b', on('inside'))
  const found = await lookup(a.state.sandboxKey, 'www.example.org')
  assert.match(found.output, /192\.0\.2\.1/)
  assert.ok(server.asked.length > 0)
  const before = server.asked.length
  const kept = await lookup(b.state.sandboxKey, 'www.example.org')
  assert.notEqual(kept.code, 0)
  assert.equal(server.asked.length, before)
})

test('several containers under one alias are all answered, over TCP too', async () => {
  await using lab = await Lab.start()
  await lab.network('net')
  const a = await lab.up('a', on('net'))
  const addresses: string[] = []
  for (let number = 0; number < 3; number++) {
    const box = await lab.up(`w${number}`, on('net', { Aliases: ['web'] }))
    addresses.push(box.state.endpoints['net']!.IPAddress)
  }
  const { output } = await lookup(a.state.sandboxKey, 'web')
  for (const address of addresses) assert.ok(output.includes(address), output)
  // A query by hand: two bytes of length, then the message.
  const query = '001c000101000001000000000000037765620000010001'.replace('001c', '0015')
  const hex = query.replace(/../g, '\\x$&')
  const tcp = await runBeside(
    a.state.sandboxKey,
    'bash',
    '-c',
    `exec 3<>/dev/tcp/127.0.0.11/53; printf '${hex}' >&3; head -c 8 <&3 | od -An -tx1`,
  )
  assert.match(tcp.output.trim(), /^00 45 00 01 81 80 00 01$/)
})

test('a container may have a name server of its own on port 53', async () => {
  await using lab = await Lab.start()
  await lab.network('net')
  const a = await lab.up('a', on('net'))
  using _server = await serve(a.state.sandboxKey, 53, 'mine')
  assert.equal((await lookup(a.state.sandboxKey, 'a')).code, 0)
  assert.equal(run(a.state.sandboxKey, 'ip', '-o', 'addr').output.includes('127.0.0.11'), false)
})
