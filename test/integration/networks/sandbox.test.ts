import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { ask, endpoint, Lab, pings, run, serve } from './lab.ts'

const v4 = (box: { state: { endpoints: Record<string, { IPAddress: string }> } }, network = 'bridge') =>
  box.state.endpoints[network]!.IPAddress

test('two containers on the default bridge reach each other and the outside, which sees the host', async () => {
  await using lab = await Lab.start()
  const [a, b] = [await lab.up('a'), await lab.up('b')]
  assert.notEqual(v4(a), v4(b))
  assert.equal(pings(a.state.sandboxKey, v4(b)), true)
  assert.equal(pings(undefined, v4(a)), true)
  const outside = lab.outside()
  using _server = await serve(outside.path, 8000, 'hello')
  assert.equal(ask(a.state.sandboxKey, outside.address, 8000), `hello ${outside.hostAddress}`)
  assert.equal(pings(outside.path, v4(a)), false, 'no port is published: nothing comes in')
  const mac = a.state.endpoints['bridge']!.MacAddress
  assert.match(run(a.state.sandboxKey, 'ip', 'link', 'show', 'eth0').output, new RegExp(mac))
})

test('published ports: from outside with the client’s address, from the host, from loopback, from a neighbour', async () => {
  await using lab = await Lab.start()
  const outside = lab.outside()
  await lab.network('other')
  const neighbour = await lab.up('n', { endpoints: [{ network: 'other', settings: endpoint() }] })
  const web = await lab.up('web', { portBindings: { '80/tcp': [{ HostIp: '', HostPort: '' }] } })
  using _server = await serve(web.state.sandboxKey, 80, 'web')
  const bindings = web.state.ports!['80/tcp']!
  const port = Number(bindings[0]!.HostPort)
  assert.deepEqual(
    bindings.map(({ HostIp }) => HostIp),
    ['0.0.0.0', '::'],
  )
  assert.equal(ask(outside.path, outside.hostAddress, port), `web ${outside.address}`)
  const gateway = web.state.endpoints['bridge']!.Gateway
  assert.equal(ask(undefined, '127.0.0.1', port), `web ${gateway}`)
  assert.match(ask(undefined, outside.hostAddress, port), /^web /)
  assert.match(ask(neighbour.state.sandboxKey, outside.hostAddress, port), /^web /)
  assert.match(ask(web.state.sandboxKey, outside.hostAddress, port), /^web /, 'its own published port')
  assert.equal(ask(neighbour.state.sandboxKey, v4(web), 80), '', 'its own address stays closed')
  await lab.networks.containers.remove(web.id, web.state)
  assert.equal(ask(outside.path, outside.hostAddress, port), '')
})

test('a port published on the host’s loopback is reached from the host alone', async () => {
  await using lab = await Lab.start()
  const outside = lab.outside()
  const other = await lab.up('other')
  const web = await lab.up('web', { portBindings: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '' }] } })
  using _server = await serve(web.state.sandboxKey, 80, 'web')
  const port = Number(web.state.ports!['80/tcp']![0]!.HostPort)
  assert.match(ask(undefined, '127.0.0.1', port), /^web /)
  assert.equal(ask(outside.path, outside.hostAddress, port), '')
  assert.equal(ask(other.state.sandboxKey, outside.hostAddress, port), '')
  run(
    other.state.sandboxKey,
    'ip',
    'route',
    'add',
    '127.0.0.2/32',
    'via',
    other.state.endpoints['bridge']!.Gateway,
  )
  assert.equal(ask(other.state.sandboxKey, '127.0.0.2', port), '')
})

test('[::1] and IPv6 clients reach a container that has IPv4 alone', async () => {
  await using lab = await Lab.start()
  const web = await lab.up('web', { portBindings: { '80/tcp': [{ HostIp: '', HostPort: '' }] } })
  using _server = await serve(web.state.sandboxKey, 80, 'web')
  const port = Number(web.state.ports!['80/tcp']![1]!.HostPort)
  assert.match(ask(undefined, '::1', port), /^web /)
  await lab.networks[Symbol.asyncDispose]()
  assert.match(ask(undefined, '::1', port), /^web /, 'without a daemon')
  const thief = createServer().listen(port, '::1')
  const [error] = await once(thief, 'error')
  assert.equal((error as NodeJS.ErrnoException).code, 'EADDRINUSE', 'the port is held without a daemon')
  await lab.restart()
  await lab.networks.containers.adopt(web.id, web.state)
  await lab.networks.reconcile([web.id])
  assert.match(ask(undefined, '::1', port), /^web /)
  await assert.rejects(
    lab.up('late', { portBindings: { '80/tcp': [{ HostIp: '::1', HostPort: String(port) }] } }),
    /port is already allocated$/,
  )
  await lab.networks.containers.remove(web.id, web.state)
  const free = createServer().listen(port, '::1')
  await once(free, 'listening')
  free.close()
})

test('networks do not talk with each other; a container on both talks with both', async () => {
  await using lab = await Lab.start()
  await lab.network('front')
  await lab.network('back')
  const a = await lab.up('a', { endpoints: [{ network: 'front', settings: endpoint() }] })
  const b = await lab.up('b', { endpoints: [{ network: 'back', settings: endpoint() }] })
  assert.equal(pings(a.state.sandboxKey, v4(b, 'back')), false)
  const joined = await lab.networks.containers.connect(a.id, 'back', endpoint({ Aliases: ['al'] }))
  assert.equal(pings(a.state.sandboxKey, v4(b, 'back')), true)
  assert.equal(pings(b.state.sandboxKey, joined.IPAddress), true)
  await assert.rejects(lab.networks.containers.connect(a.id, 'back', endpoint()), {
    message: 'endpoint with name a already exists in network back',
  })
  await lab.networks.containers.disconnect(a.id, 'back')
  assert.equal(pings(a.state.sandboxKey, v4(b, 'back')), false)
  await assert.rejects(lab.networks.containers.disconnect(a.id, 'back'), {
    message: `container ${a.id} is not connected to network back`,
  })
  assert.deepEqual(
    lab.events.filter((event) => event.endsWith(' back')),
    ['network create back', 'network connect back', 'network connect back', 'network disconnect back'],
  )
})

test('an internal network leads nowhere; without inter-container traffic neighbours are mute', async () => {
  await using lab = await Lab.start()
  const outside = lab.outside()
  await lab.network('inside', { Internal: true })
  const own = () => ({ endpoints: [{ network: 'inside', settings: endpoint() }] })
  const [a, b] = [await lab.up('a', own()), await lab.up('b', own())]
  assert.equal(pings(a.state.sandboxKey, v4(b, 'inside')), true)
  assert.equal(pings(a.state.sandboxKey, outside.address), false)
  run(a.state.sandboxKey, 'ip', 'route', 'add', 'default', 'via', a.state.endpoints['inside']!.Gateway)
  assert.equal(pings(a.state.sandboxKey, outside.address), false, 'not with a route of its own either')
  await lab.network('mute', { Options: { 'com.docker.network.bridge.enable_icc': 'false' } })
  const mute = () => ({ endpoints: [{ network: 'mute', settings: endpoint() }] })
  const [c, d] = [await lab.up('c', mute()), await lab.up('d', mute())]
  assert.equal(pings(c.state.sandboxKey, v4(d, 'mute')), false)
  assert.equal(pings(c.state.sandboxKey, outside.address), true)
})

test('IPv6: addresses, neighbours, published ports', async () => {
  await using lab = await Lab.start()
  await lab.network('six', { EnableIPv6: true })
  const own = () => ({ endpoints: [{ network: 'six', settings: endpoint() }] })
  const a = await lab.up('a', { ...own(), portBindings: { '80/tcp': [{ HostIp: '::', HostPort: '' }] } })
  const b = await lab.up('b', own())
  const address = a.state.endpoints['six']!.GlobalIPv6Address
  assert.match(address, /^fd77:/)
  assert.equal(pings(b.state.sandboxKey, address), true)
  using _server = await serve(a.state.sandboxKey, 80, 'six', '::')
  const port = Number(a.state.ports!['80/tcp']![0]!.HostPort)
  assert.match(ask(undefined, a.state.endpoints['six']!.IPv6Gateway, port), /^six /)
})

test('none, host and another container’s sandbox', async () => {
  await using lab = await Lab.start()
  const none = await lab.up('none', { mode: 'none', endpoints: [] })
  assert.match(run(none.state.sandboxKey, 'ip', '-o', 'link').output, /^1: lo:[^\n]*\n$/)
  assert.deepEqual(Object.keys(none.state.endpoints), ['none'])
  const host = await lab.up('host', { mode: 'host', endpoints: [] })
  assert.equal(host.state.sandboxKey, '')
  assert.deepEqual(Object.keys(host.state.endpoints), ['host'])
  const first = await lab.up('first')
  const second = await lab.up('second', { mode: { container: first.id }, endpoints: [] })
  assert.equal(second.state.sandboxKey, first.state.sandboxKey)
  assert.deepEqual(second.state.etcFiles, first.state.etcFiles)
  await lab.networks.containers.remove(second.id, second.state)
  assert.equal(pings(undefined, v4(first)), true, 'the owner goes on')
  await assert.rejects(
    lab.networks.containers.connect(none.id, 'bridge', endpoint()),
    /private \(none\) mode/,
  )
  assert.deepEqual(await lab.networks.containers.counters(host.id, host.state), [])
})

test('/etc files: own lines, links that follow a restart, extra hosts', async () => {
  await using lab = await Lab.start()
  const db = await lab.up('db')
  const web = await lab.up('web', {
    links: [{ containerId: db.id, containerName: 'db', alias: 'store' }],
    extraHosts: ['api:192.0.2.7', 'me:host-gateway'],
    hostname: 'web',
    domainname: 'example.org',
  })
  const hosts = () => readFileSync(web.state.etcFiles.hosts!, 'utf8')
  const gateway = web.state.endpoints['bridge']!.Gateway
  assert.ok(hosts().includes(`\n${v4(web)}\tweb.example.org web\n`))
  assert.ok(hosts().includes(`\n${v4(db)}\tstore ${db.request.hostname} db\n`))
  assert.ok(hosts().includes('\n192.0.2.7\tapi\n'))
  assert.ok(hosts().includes(`\n${gateway}\tme\n`))
  await lab.networks.containers.remove(db.id, db.state)
  const other = await lab.up('other')
  assert.equal(v4(other), v4(db))
  const again = await lab.networks.containers.create(db.request, AbortSignal.timeout(5000))
  assert.ok(hosts().includes(`\n${again.endpoints['bridge']!.IPAddress}\tstore `))
  assert.equal(hosts().match(/\tstore /g)?.length, 1)
  await lab.network('more')
  const joined = await lab.networks.containers.connect(web.id, 'more', endpoint())
  assert.ok(hosts().includes(`\n${joined.IPAddress}\tweb.example.org web\n`))
  assert.match(readFileSync(web.state.etcFiles.resolvConf!, 'utf8'), /^nameserver 127\.0\.0\.11$/m)
  await lab.networks.containers.disconnect(web.id, 'more')
  assert.equal(hosts().includes(joined.IPAddress), false)
  assert.equal(existsSync(web.state.etcFiles.hostname!), true)
})

test('gateway modes are each family’s own: IPv4 routed, IPv6 translated, the same after a restart', async () => {
  await using lab = await Lab.start()
  const outside = lab.outside()
  const Options = { 'com.docker.network.bridge.gateway_mode_ipv4': 'routed' }
  await lab.network('mixed', { EnableIPv6: true, Options })
  const web = await lab.up('web', {
    endpoints: [{ network: 'mixed', settings: endpoint() }],
    portBindings: { '80/tcp': [{ HostIp: '', HostPort: '' }] },
  })
  const [routed, translated, ...more] = web.state.ports!['80/tcp']!
  assert.deepEqual([routed, translated?.HostIp, more], [{ HostIp: '', HostPort: '' }, '::', []])
  const set = (name: string) =>
    run(undefined, 'nft', 'list', 'set', 'inet', lab.settings.instance, name).output
  const subnetOf = (address: string) => address.replace(/[^.:]+$/, '')
  assert.equal(set('masquerade4').includes(subnetOf(v4(web, 'mixed'))), false)
  assert.ok(set('masquerade6').includes(subnetOf(web.state.endpoints['mixed']!.GlobalIPv6Address)))
  using _server = await serve(web.state.sandboxKey, 80, 'web')
  assert.equal(ask(outside.path, v4(web, 'mixed'), 80), `web ${outside.address}`, 'by its own address')
  assert.equal(pings(outside.path, v4(web, 'mixed')), false, 'by this port alone')
  const table = () => run(undefined, 'nft', 'list', 'table', 'inet', lab.settings.instance).output
  const before = table()
  await lab.restart()
  await lab.networks.containers.adopt(web.id, web.state)
  await lab.networks.reconcile([web.id])
  assert.equal(table(), before)
  await lab.networks.containers.remove(web.id, web.state)
  await lab.up('next', { portBindings: { '80/tcp': [{ HostIp: '::', HostPort: translated!.HostPort }] } })
})

test('without a firewall no rule is made, and published ports are relayed', async () => {
  await using lab = await Lab.start({ firewall: false })
  const outside = lab.outside()
  const web = await lab.up('web', { portBindings: { '80/tcp': [{ HostIp: '', HostPort: '' }] } })
  using _server = await serve(web.state.sandboxKey, 80, 'web')
  const { HostPort } = web.state.ports!['80/tcp']![0]!
  assert.match(ask(outside.path, outside.hostAddress, Number(HostPort)), /^web /)
  assert.doesNotMatch(
    run(undefined, 'nft', 'list', 'tables').output,
    new RegExp(`inet ${lab.settings.instance}$`, 'm'),
  )
})
