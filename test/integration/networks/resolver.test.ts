/** The process that resolves names: its answers, whom it asks, and that it outlives whoever told it. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash, randomBytes, randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { errorCode } from '../../../src/spec/errors.ts'
import { bindSocket } from '../../../src/kernel/netns-socket.ts'
import { createLog } from '../../../src/lib/log.ts'
import { parseIp, type IpAddress } from '../../../src/networks/ip-address.ts'
import { NetworkKeeper, type ResolverView } from '../../../src/networks/network-keeper.ts'
import { eventually } from '../../fixtures/processes.ts'
import { projectRoot } from '../../fixtures/test-daemon.ts'
import {
  askTcp,
  askUdp,
  framed,
  question,
  readAnswer,
  record,
  reply,
  types,
  upstream,
  type DnsAnswer,
  type Place,
} from './dns-messages.ts'

const ip = (text: string) => parseIp(text) as IpAddress
let addresses = 0
/** An address of the loopback that no other test has. */
const loopback = () => `127.${64 + (process.pid % 64)}.${(process.pid >> 6) % 250}.${++addresses}`

/** A keeper of names in a directory of its own, with one sandbox whose sockets are here. */
class Resolver implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), 'wharf-names-'))
  readonly place: Place
  readonly program: string
  keeper: NetworkKeeper
  log = ''

  constructor(view: Partial<ResolverView> = {}, program = join(projectRoot, 'build/wharf-net')) {
    chmodSync(this.root, 0o755)
    this.program = program
    this.keeper = this.build()
    this.place = { address: loopback(), udp: 0, tcp: 0 }
    const { udp, tcp } = this.serve(view)
    this.place.udp = udp.port
    this.place.tcp = tcp.port
  }

  build(): NetworkKeeper {
    const write = (line: string) => void (this.log += line)
    const log = createLog({ level: 'info', format: 'text', write })
    return new NetworkKeeper({ program: this.program, runRoot: this.root, log })
  }

  serve(view: Partial<ResolverView> = {}, id = 'one', place = this.place) {
    const whole = { networks: [network()], servers: [], keepSingleLabels: false, ...view }
    return this.keeper.serve(id, whole, () => {
      const address = Buffer.from(place.address.split('.').map(Number))
      const udp = bindSocket({ protocol: 'udp', address, port: place.udp })
      const tcp = bindSocket({ protocol: 'tcp', address, port: place.tcp })
      tcp.listen(64)
      return { udp, tcp }
    })
  }

  set(id: string, names: string[], own: string[], services: { name: string; port: number }[] = []): void {
    this.keeper.set('n1', id, { names, addresses: own.map(ip), services })
  }

  async ask(name: string, type: number = types.a, options: { edns?: number } = {}): Promise<DnsAnswer> {
    return await askUdp(this.place, question(name, type, options))
  }

  async data(name: string, type: number = types.a): Promise<string[]> {
    return (await this.ask(name, type)).answers.map(({ data }) => data).toSorted()
  }

  get pid(): number {
    return Number(readFileSync(join(this.root, 'keeper.pid'), 'utf8').split(' ')[0])
  }

  [Symbol.dispose](): void {
    this.keeper.end()
    rmSync(this.root, { recursive: true, force: true })
  }
}

const network = (links: [string, string][] = []) => ({ id: 'n1', name: 'front.net', links: new Map(links) })
const address = (ttl: number) => record(types.a, ttl, Buffer.from([192, 0, 2, 1]))
function soa(ttl: number, minimum: number): Buffer {
  const data = Buffer.alloc(22)
  data.writeUInt32BE(minimum, 18)
  return record(types.soa, ttl, data)
}

test('names, aliases, links, networks’ suffixes, both families, reverse names and services', async () => {
  using resolver = new Resolver({ networks: [network([['Store', 'db2']])] })
  resolver.set('e1', ['db', 'Primary', 'abc123'], ['10.0.0.2', 'fd00::2'], [{ name: '_80._tcp', port: 80 }])
  resolver.set(
    'e2',
    ['db2', 'primary'],
    ['10.0.0.3'],
    [
      { name: '_80._tcp', port: 80 },
      { name: '_http._tcp', port: 80 },
    ],
  )
  resolver.keeper.set('n2', 'e3', { names: ['web'], addresses: [ip('10.1.0.2')], services: [] })
  for (const name of ['db', 'DB', 'abc123', 'db.front.net', 'dB.Front.NET']) {
    assert.deepEqual(await resolver.data(name), ['10.0.0.2'], name)
  }
  assert.deepEqual(await resolver.data('primary'), ['10.0.0.2', '10.0.0.3'])
  assert.deepEqual(await resolver.data('store'), ['10.0.0.3'])
  assert.deepEqual(await resolver.data('db', types.aaaa), ['fd000000000000000000000000000002'])
  for (const [name, type] of [
    ['db2', types.aaaa],
    ['db', types.mx],
    ['db', types.txt],
  ] as const) {
    const { code, answers } = await resolver.ask(name, type)
    assert.deepEqual([code, answers], [0, []], `${name} has no record of type ${type}`)
  }
  for (const name of ['web', 'db.other', 'nobody', 'db.front.net.front.net']) {
    assert.equal((await resolver.ask(name)).code, 2, `${name} is nobody here, and nobody else is asked`)
  }
  assert.deepEqual(await resolver.data('2.0.0.10.in-addr.arpa', types.ptr), ['db.front.net'])
  const reverse6 = `${'2'.padEnd(28, '0').split('').join('.')}.0.0.d.f.ip6.arpa`
  assert.deepEqual(await resolver.data(reverse6, types.ptr), ['db.front.net'])
  assert.equal((await resolver.ask('9.0.0.10.in-addr.arpa', types.ptr)).code, 2)
  assert.deepEqual(await resolver.data('_80._tcp.primary', types.srv), [
    '0 1 80 db.front.net',
    '0 1 80 db2.front.net',
  ])
  const service = await resolver.ask('_http._tcp.db2', types.srv)
  assert.deepEqual(
    service.answers.map(({ data }) => data),
    ['0 1 80 db2.front.net'],
  )
  assert.deepEqual(
    service.additional.map(({ name, data }) => [name, data]),
    [['db2.front.net', '10.0.0.3']],
  )
  resolver.set('e1', ['renamed'], ['10.0.0.2'])
  assert.equal((await resolver.ask('db')).code, 2)
  assert.deepEqual(await resolver.data('renamed'), ['10.0.0.2'])
  resolver.keeper.remove('n1', 'e1')
  assert.equal((await resolver.ask('renamed')).code, 2)
  resolver.keeper.remove('n1', 'e1')
})

test('the addresses of a name take turns', async () => {
  using resolver = new Resolver()
  for (let last = 2; last < 5; last++) resolver.set(`e${last}`, ['web'], [`10.0.0.${last}`])
  const firsts = new Set<string>()
  await eventually('each was first once', async () => {
    firsts.add((await resolver.ask('web')).answers[0]?.data ?? '')
    return firsts.size === 3
  })
})

test('what does not fit into a datagram is cut, and comes whole by EDNS or over a stream', async () => {
  using resolver = new Resolver()
  for (let last = 0; last < 200; last++) resolver.set(`e${last}`, ['many'], [`10.0.1.${last}`])
  const cut = await resolver.ask('many')
  assert.equal(cut.cut, true)
  assert.ok(cut.size <= 512 && cut.answers.length > 25)
  const large = await resolver.ask('many', types.a, { edns: 4096 })
  assert.deepEqual([large.cut, large.answers.length, large.additional[0]?.type], [false, 200, types.opt])
  const tiny = await resolver.ask('many', types.a, { edns: 1 })
  assert.ok(tiny.size <= 512 && tiny.cut)
  const both = await askTcp(
    resolver.place,
    question('many', types.a, { id: 7 }),
    question('nobody', types.a, { id: 8 }),
  )
  assert.deepEqual([both.get(7)?.answers.length, both.get(7)?.cut, both.get(8)?.code], [200, false, 2])
})

test('with ndots above zero names of one label stay here', async () => {
  const server = loopback()
  using outside = await upstream(server, (message) => reply(message, { answers: [address(60)] }))
  using resolver = new Resolver({ servers: [server], keepSingleLabels: true })
  const { code, answers } = await resolver.ask('single')
  assert.deepEqual([code, answers], [0, []])
  assert.deepEqual(await resolver.data('two.labels'), ['192.0.2.1'])
  assert.deepEqual(outside.asked, ['two.labels'])
})

test('answers from outside are kept for their shortest time to live, which shrinks; those of nothing, too', async () => {
  const server = loopback()
  const sayings: Record<string, Parameters<typeof reply>[1]> = {
    'kept.example': { answers: [address(300), address(60)] },
    'short.example': { answers: [address(1)] },
    'missing.example': { code: 3, authorities: [soa(900, 30)] },
    'empty.example': { authorities: [soa(900, 30)] },
    'bare.example': { code: 3 },
    'momentary.example': { answers: [address(0)] },
    'negative.example': { answers: [address(0x8000_0001)] },
    'failing.example': { code: 2 },
  }
  using outside = await upstream(server, (message) =>
    reply(message, sayings[readAnswer(reply(message, {})) && nameOf(message)] ?? {}),
  )
  using resolver = new Resolver({ servers: [server] })
  const asked = (name: string) => outside.asked.filter((one) => one === name).length
  for (const name of Object.keys(sayings)) {
    const first = await askUdp(resolver.place, question(name, types.a, { id: 1 }))
    const second = await askUdp(resolver.place, question(name, types.a, { id: 2 }))
    assert.deepEqual([first.id, second.id, second.code], [1, 2, first.code], name)
    assert.equal(first.code, sayings[name]?.code ?? 0, name)
  }
  for (const name of ['kept.example', 'missing.example', 'empty.example']) assert.equal(asked(name), 1, name)
  for (const name of ['bare.example', 'momentary.example', 'negative.example', 'failing.example']) {
    assert.ok(asked(name) >= 2, name)
  }
  await eventually('the time to live has shrunk', async () => {
    const { answers } = await resolver.ask('kept.example')
    const [long = 0, short = 0] = answers.map(({ ttl }) => ttl)
    return long - short === 240 && long < 300
  })
  await eventually('it is asked again once its time is over', async () => {
    await resolver.ask('short.example')
    return asked('short.example') >= 2
  })
  assert.equal(asked('kept.example'), 1)
  await resolver.ask('kept.example', types.aaaa)
  assert.equal(asked('kept.example'), 2, 'another question')
})

function nameOf(message: Buffer): string {
  return readAnswer(reply(message, { answers: [address(0)] })).answers[0]?.name ?? ''
}

test('resolvers: a silent one is asked beside the next, a failing one is passed over, a stream is used for a stream', async () => {
  const [silent, failing, good] = [loopback(), loopback(), loopback()]
  using mute = await upstream(silent, () => undefined)
  using bad = await upstream(failing, (message) => reply(message, { code: 2 }))
  using fine = await upstream(good, (message, transport) =>
    transport === 'udp' && nameOf(message) === 'big.example'
      ? reply(message, { flags: 0x200 })
      : reply(message, { answers: [address(60)] }),
  )
  using resolver = new Resolver({ servers: [silent, failing, loopback(), good] })
  assert.deepEqual(await resolver.data('www.example'), ['192.0.2.1'])
  assert.deepEqual([mute.asked.length, bad.asked.length], [1, 1])
  const cut = await resolver.ask('big.example')
  assert.equal(cut.cut, true)
  const whole = await askTcp(resolver.place, question('big.example', types.a))
  assert.deepEqual(
    whole.get(0x1234)?.answers.map(({ data }) => data),
    ['192.0.2.1'],
  )
  assert.ok(fine.ports.size >= 2, 'every question has a port of its own')
  resolver.serve({ servers: [failing] })
  assert.equal((await resolver.ask('x.example')).code, 2)
  resolver.serve({ servers: [silent] })
  const before = mute.asked.length
  assert.equal((await resolver.ask('y.example')).code, 2, 'nobody has answered')
  assert.ok(mute.asked.length >= before + 2, 'and was asked again: a datagram may be lost')
  resolver.serve({ servers: ['255.255.255.255'] })
  assert.equal((await resolver.ask('z.example')).code, 2, 'one that cannot be reached')
  assert.equal((await askTcp(resolver.place, question('z.example', types.a))).get(0x1234)?.code, 2)
})

test('the same question twice at once goes out once; a forged answer is not taken', async () => {
  const server = loopback()
  const waiting: (() => void)[] = []
  const socket = createSocket('udp4')
  socket.bind(53, server)
  await once(socket, 'listening')
  let count = 0
  socket.on('message', (message, from) => {
    count += 1
    const send = (answer: Buffer) => socket.send(answer, from.port, from.address)
    const wrongNumber = Buffer.from(message)
    wrongNumber[0] = (message[0] ?? 0) ^ 1
    const other = question('evil.example', types.a, { id: message.readUInt16BE(0) })
    const forged = record(types.a, 60, Buffer.from([6, 6, 6, 6]))
    send(reply(wrongNumber, { answers: [forged] }))
    send(reply(other, { answers: [forged] }))
    waiting.push(() => send(reply(message, { answers: [address(60)] })))
  })
  using resolver = new Resolver({ servers: [server] })
  const asking = [1, 2, 3].map(async (id) =>
    askUdp(resolver.place, question('same.example', types.a, { id })),
  )
  await eventually('it has asked', () => waiting.length > 0)
  await delay(50)
  const asked = count
  for (const answer of waiting) answer()
  for (const [index, answer] of (await Promise.all(asking)).entries()) {
    assert.deepEqual([answer.id, answer.answers[0]?.data], [index + 1, '192.0.2.1'])
  }
  assert.equal(asked, 1)
  socket.close()
})

test('a container that floods the resolver, or leaves streams open, does not take another’s', async () => {
  const silent = loopback()
  using _mute = await upstream(silent, () => undefined)
  using resolver = new Resolver({ servers: [silent] })
  const other: Place = { address: loopback(), udp: 0, tcp: 0 }
  const { udp, tcp } = resolver.serve({}, 'two', other)
  Object.assign(other, { udp: udp.port, tcp: tcp.port })
  resolver.set('e1', ['db'], ['10.0.0.2'])
  const socket = createSocket('udp4')
  for (let number = 0; number < 5000; number++) {
    socket.send(question(`n${number}.example`, types.a), resolver.place.udp, resolver.place.address)
    if (number % 100 === 99) await delay(0)
  }
  const streams = Array.from({ length: 100 }, () => connect(resolver.place.tcp, resolver.place.address))
  for (const stream of streams) stream.on('error', () => {})
  for (let round = 0; round < 20; round++) {
    const { answers } = await askUdp(other, question('db', types.a))
    assert.equal(answers[0]?.data, '10.0.0.2')
  }
  assert.equal((await askTcp(other, question('db', types.a))).size, 1)
  const descriptors = readdirSync(`/proc/${resolver.pid}/fd`).length
  assert.ok(descriptors < 600, `${descriptors} descriptors`)
  assert.equal((await resolver.ask('db')).code, 0, 'its own names, too')
  for (const stream of streams) stream.destroy()
  socket.close()
})

test('names resolve without a daemon, and the next one takes over; what it does not claim goes', async () => {
  using resolver = new Resolver()
  resolver.set('e1', ['db'], ['10.0.0.2'])
  resolver.set('e2', ['old'], ['10.0.0.3'])
  const gone: Place = { address: loopback(), udp: 0, tcp: 0 }
  const { udp } = resolver.serve({}, 'gone', gone)
  gone.udp = udp.port
  assert.deepEqual(await resolver.data('db'), ['10.0.0.2'])
  const { pid } = resolver
  resolver.keeper[Symbol.dispose]()
  assert.deepEqual(await resolver.data('db'), ['10.0.0.2'], 'without a daemon')
  resolver.keeper = resolver.build()
  resolver.keeper.adopt()
  assert.deepEqual(await resolver.data('old'), ['10.0.0.3'], 'while it starts')
  resolver.set('e1', ['db'], ['10.0.0.9'])
  resolver.serve()
  resolver.keeper.sweep()
  assert.deepEqual(await resolver.data('db'), ['10.0.0.9'])
  assert.equal((await resolver.ask('old')).code, 2)
  assert.equal(resolver.pid, pid)
  bindSocket({ protocol: 'udp', address: Buffer.from(gone.address.split('.').map(Number)), port: gone.udp })[
    Symbol.dispose
  ]()
})

test('it is started again when it ends, and replaced when its program is another: no question is lost', async () => {
  const program = join(mkdtempSync(join(tmpdir(), 'wharf-names-')), 'wharf-net')
  copyFileSync(join(projectRoot, 'build/wharf-net'), program)
  using resolver = new Resolver({}, program)
  resolver.set('e1', ['db'], ['10.0.0.2'])
  assert.deepEqual(await resolver.data('db'), ['10.0.0.2'])
  const first = resolver.pid
  process.kill(first, 'SIGSTOP')
  const asked = resolver.data('db')
  await delay(20)
  process.kill(first, 'SIGKILL')
  assert.deepEqual(await asked, ['10.0.0.2'], 'what had not been read is answered by the next one')
  assert.notEqual(resolver.pid, first)
  assert.match(resolver.log, /is started again/)
  const second = resolver.pid
  resolver.keeper[Symbol.dispose]()
  rmSync(program)
  copyFileSync(join(projectRoot, 'build/wharf-net'), program)
  resolver.keeper = resolver.build()
  resolver.keeper.adopt()
  resolver.set('e1', ['db'], ['10.0.0.2'])
  resolver.serve()
  resolver.keeper.sweep()
  assert.deepEqual(await resolver.data('db'), ['10.0.0.2'])
  assert.notEqual(resolver.pid, second)
  assert.match(resolver.log, /of another version/)
  rmSync(program, { force: true })
})

test('a port is held and its connections relayed, whole and half closed, over restarts of either process', async () => {
  const service = createServer({ allowHalfOpen: true }, (stream) => {
    const hash = createHash('sha256')
    stream.on('data', (chunk) => hash.update(chunk))
    stream.on('error', () => stream.destroy())
    // The answer goes out when the question has ended, and is longer than any buffer.
    stream.on('end', () => stream.end(Buffer.concat([hash.digest(), payload])))
  })
  const payload = randomBytes(6_000_000)
  const [inside, front] = [loopback(), loopback()]
  service.listen(0, inside)
  await once(service, 'listening')
  using resolver = new Resolver()
  const id = `tcp ${front} 0`
  const socket = bindSocket({ protocol: 'tcp', address: Buffer.from(front.split('.').map(Number)), port: 0 })
  const { port } = socket
  resolver.keeper.holdPort(id, socket)
  const target = { host: inside, port: (service.address() as AddressInfo).port }
  resolver.keeper.relayPort(id, target)
  const exchange = async () => {
    const stream = connect({ host: front, port, allowHalfOpen: true })
    const sent = randomBytes(3_000_000)
    stream.end(sent)
    const answer = await buffer(stream)
    assert.deepEqual(answer.subarray(0, 32), createHash('sha256').update(sent).digest())
    assert.ok(answer.subarray(32).equals(payload))
  }
  await Promise.all([exchange(), exchange(), exchange()])
  resolver.keeper[Symbol.dispose]()
  await exchange()
  resolver.keeper = resolver.build()
  resolver.keeper.adopt()
  const claimed = resolver.keeper.claimPort(id)
  assert.ok(claimed)
  resolver.keeper.holdPort(id, claimed)
  resolver.keeper.relayPort(id, target)
  resolver.serve()
  resolver.keeper.sweep()
  await exchange()
  process.kill(resolver.pid, 'SIGKILL')
  await exchange()
  service.close()
  const refused = connect(port, front)
  await Promise.race([once(refused, 'error'), once(refused, 'close')])
  resolver.keeper.releasePorts([id])
  resolver.keeper.settle()
  bindSocket({ protocol: 'tcp', address: Buffer.from(front.split('.').map(Number)), port })[Symbol.dispose]()
})

test('it ends some time after its last sandbox, and starts with the next', async () => {
  using resolver = new Resolver()
  resolver.set('e1', ['db'], ['10.0.0.2'])
  assert.deepEqual(await resolver.data('db'), ['10.0.0.2'])
  const { pid } = resolver
  resolver.keeper.close('one')
  await eventually('it has ended', () => !isRunning(pid))
  resolver.serve()
  assert.deepEqual(await resolver.data('db'), ['10.0.0.2'])
})

test('it ends with its last sandbox when no daemon is there, and when its socket is removed; it is nobody', async () => {
  const resolver = new Resolver()
  await resolver.ask('x')
  const { pid } = resolver
  assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), /^Uid:\t65534\t65534[^]*^CapEff:\t0+$/m)
  resolver.keeper.close('one')
  resolver.keeper[Symbol.dispose]()
  await eventually('it has ended', () => !isRunning(pid))
  rmSync(resolver.root, { recursive: true })
  const other = new Resolver()
  await other.ask('x')
  const second = other.pid
  other.keeper[Symbol.dispose]()
  rmSync(other.root, { recursive: true })
  await eventually('it has ended, too', () => !isRunning(second))
})

function isRunning(pid: number): boolean {
  return existsSync(`/proc/${pid}`) && !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
}

const native = (name: string) => join(projectRoot, 'native/net', `${name}.c`)
const compile = ['-std=gnu11', '-g', '-O1', '-Wall', '-Wextra', '-Werror', '-fsanitize=address,undefined']
const strict = ['-fno-sanitize-recover=all', '-fno-omit-frame-pointer']

test('parsers, tables and cache stand generated input', () => {
  const directory = mkdtempSync(join(tmpdir(), 'wharf-names-'))
  const program = join(directory, 'fuzz')
  const sources = ['fuzz', 'names', 'answer', 'message', 'cache', 'table'].map(native)
  execFileSync('gcc', [...compile, ...strict, '-o', program, ...sources])
  const seed = String(randomInt(2 ** 47))
  const { status, stderr } = spawnSync(program, [seed, '20000'], { encoding: 'utf8' })
  assert.equal(status, 0, `seed ${seed}: ${stderr}`)
  rmSync(directory, { recursive: true })
})

test('hostile packets, streams and resolvers, and names that change meanwhile, misuse no memory', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'wharf-names-'))
  chmodSync(directory, 0o777)
  const sources = ['main', 'sandbox', 'names', 'answer', 'message', 'forward', 'cache', 'ports', 'table'].map(
    native,
  )
  execFileSync('gcc', [...compile, ...strict, '-o', join(directory, 'real'), ...sources])
  const settings = `log_path=${join(directory, 'report')}:detect_leaks=0`
  const wrapper = `#!/bin/sh\nexport ASAN_OPTIONS=${settings} UBSAN_OPTIONS=${settings}\nexec ${directory}/real "$@"\n`
  writeFileSync(join(directory, 'program'), wrapper, { mode: 0o755 })
  const server = loopback()
  const garble = (bytes: Buffer) => {
    const copy = Buffer.from(bytes)
    for (let changes = randomInt(4); changes > 0; changes--) copy[randomInt(copy.length)] = randomInt(256)
    return copy.subarray(0, randomInt(3) === 0 ? randomInt(copy.length + 1) : copy.length)
  }
  using _outside = await upstream(server, (message) =>
    randomInt(4) === 0
      ? undefined
      : garble(reply(message, { answers: [address(randomInt(60)), soa(60, 60)] })),
  )
  using resolver = new Resolver({ servers: [server, loopback()] }, join(directory, 'program'))
  const { pid } = resolver
  const service = createServer((stream) => {
    stream.on('error', () => stream.destroy())
    stream.write(randomBytes(200_000))
    if (randomInt(2) === 0) stream.resume()
    else setTimeout(() => stream.destroy(), randomInt(50))
  })
  service.listen(0, server)
  await once(service, 'listening')
  const front = loopback()
  const held = bindSocket({ protocol: 'tcp', address: Buffer.from(front.split('.').map(Number)), port: 0 })
  const { port } = held
  resolver.keeper.holdPort('tcp', held)
  resolver.keeper.relayPort('tcp', { host: server, port: (service.address() as AddressInfo).port })
  const socket = createSocket('udp4')
  socket.on('error', () => {})
  // Also after a failure: an open socket would hold the process.
  using _sockets = {
    [Symbol.dispose]: () => {
      service.close()
      socket.close()
    },
  }
  for (let round = 0; round < 1000; round++) {
    const name =
      ['db', 'web.example', `n${randomInt(50)}.example`, '_80._tcp.db', '2.0.0.10.in-addr.arpa'][
        randomInt(5)
      ] ?? ''
    const asked = question(
      name,
      [1, 12, 16, 28, 33][randomInt(5)] ?? 1,
      randomInt(2) === 0 ? { edns: randomInt(65536) } : {},
    )
    socket.send(
      randomInt(10) === 0 ? randomBytes(randomInt(600)) : garble(asked),
      resolver.place.udp,
      resolver.place.address,
    )
    if (round % 5 === 0)
      resolver.set(
        `e${randomInt(9)}`,
        ['db', `w${randomInt(9)}`],
        ['10.0.0.2', 'fd00::2'],
        [{ name: '_80._tcp', port: 80 }],
      )
    if (round % 7 === 0) resolver.keeper.remove('n1', `e${randomInt(9)}`)
    if (round % 11 === 0) resolver.serve({ servers: randomInt(2) === 0 ? [server] : [server, loopback()] })
    if (round % 20 === 0)
      hostileStream({ ...resolver.place, tcp: port, address: front }, randomBytes(100_000))
    if (round % 50 === 0) hostileStream(resolver.place, garble(Buffer.concat([framed(asked), framed(asked)])))
    if (round % 100 === 99) {
      resolver.keeper.close('one')
      // The ports are free once it has heard of that.
      await eventually('it is served anew', () => {
        try {
          return resolver.serve({ servers: [server] })
        } catch (error) {
          if (errorCode(error) !== 'EADDRINUSE') throw error
          return false
        }
      })
    }
  }
  resolver.set('e1', ['still'], ['10.0.0.7'])
  // What comes while its queue is full is lost, as datagrams are: clients ask again.
  await eventually('it answers still', async () => {
    const answer = resolver.data('still').catch(() => [])
    const [address] = await Promise.race([answer, delay(500).then(() => [])])
    return address === '10.0.0.7'
  })
  const reports = readdirSync(directory).filter((name) => name.startsWith('report'))
  assert.deepEqual(
    reports.map((name) => readFileSync(join(directory, name), 'utf8')),
    [],
  )
  assert.equal(resolver.pid, pid, 'it is the same process still')
  rmSync(directory, { recursive: true })
})

/** A stream that sends something, and goes in one of several ways. */
function hostileStream(place: Place, bytes: Buffer): void {
  const stream = connect(place.tcp, place.address)
  stream.on('error', () => stream.destroy())
  stream.write(bytes)
  const way = randomInt(3)
  if (way === 0) stream.end()
  else if (way === 1) stream.once('data', () => stream.destroy())
  setTimeout(() => stream.destroy(), 100 + randomInt(400)).unref()
}
