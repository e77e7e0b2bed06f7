/** Docker network and IPAM plugins: by the stock client, over a restart, and those that hang, lie or are gone. */
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { startNetworkPlugin, type NetworkPlugin } from '../../fixtures/network-plugin.ts'
import type { PluginServer } from '../../fixtures/plugin-server.ts'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'
import { equalInTheEnd, endpoint, Lab, pings, run } from './lab.ts'
import { docker, World } from './world.ts'

const ipam = { Driver: 'own', Config: [{ Subnet: '10.249.7.0/24' }] }

/** A plugin of a daemon's or a lab's, found by the name `own`. */
async function pluginAt(
  root: string,
  options: Parameters<typeof startNetworkPlugin>[1],
): Promise<NetworkPlugin> {
  mkdirSync(join(root, 'plugins'), { recursive: true })
  return startNetworkPlugin(join(root, 'plugins/own.sock'), options)
}

function methods(plugin: PluginServer): string[] {
  return plugin.calls.map(({ method }) => method.replace(/^(Network|Ipam)Driver\./, ''))
}

async function settings(daemon: TestDaemon, container: string): Promise<Record<string, string>> {
  return JSON.parse(
    await docker(daemon, 'inspect', container, '-f', '{{json .NetworkSettings.Networks.net}}'),
  )
}

test('a plugin makes networks, links and addresses, by the stock client and over a crash of the daemon', async () => {
  using world = new World()
  await using daemon = await startDaemon({ namespace: world.host.path })
  await daemon.loadBusybox()
  await using plugin = await pluginAt(join(daemon.names.root, 'run'), {
    prefix: 'own',
    host: world.host,
    base: '10.248.0.0/16',
  })
  const sh = async (line: string) => docker(daemon, ...line.split(' '))
  const links = () => world.sh('ip', '-br', 'link').match(/^own\w+/gm) ?? []
  await sh(
    'network create -d own --ipam-driver own --ipam-opt a=b --subnet 10.248.0.0/24 -o colour=blue --label x=y net',
  )
  const [network] = JSON.parse(await sh('network inspect net'))
  assert.deepEqual(
    [network.Driver, network.Scope, network.IPAM, network.Options],
    [
      'own',
      'local',
      { Driver: 'own', Options: { a: 'b' }, Config: [{ Subnet: '10.248.0.0/24', Gateway: '10.248.0.1' }] },
      { colour: 'blue' },
    ],
  )
  const made = plugin.calls.find(({ method }) => method === 'NetworkDriver.CreateNetwork')
  assert.deepEqual(made?.request, {
    NetworkID: network.Id,
    Options: {
      'com.docker.network.enable_ipv4': true,
      'com.docker.network.enable_ipv6': false,
      'com.docker.network.generic': { colour: 'blue' },
    },
    IPv4Data: [{ AddressSpace: 'here', Pool: '10.248.0.0/24', Gateway: '10.248.0.1/24' }],
    IPv6Data: [],
  })
  assert.match(await sh('info -f {{.Plugins.Network}}'), /\bown\b/)
  const box = 'busybox sleep 1000'
  await sh(`run -d --name one --network net --network-alias uno -p 8080:80 --expose 81/udp ${box}`)
  await sh(`run -d --name two --network name=net,ip=10.248.0.99,mac-address=02:42:00:00:00:99 ${box}`)
  const [one, two] = [await settings(daemon, 'one'), await settings(daemon, 'two')]
  assert.deepEqual([one['IPAddress'], one['Gateway']], ['10.248.0.2', '10.248.0.1'])
  assert.deepEqual([two['IPAddress'], two['MacAddress']], ['10.248.0.99', '02:42:00:00:00:99'])
  assert.match(await sh('exec two ip link show eth0'), /02:42:00:00:00:99/)
  assert.match(
    await sh('exec two ip route'),
    /^default via 10\.248\.0\.1[^]*198\.51\.100\.0\/24 via 10\.248\.0\.1/,
  )
  assert.match(await sh('exec two ping -c1 -W2 uno'), /10\.248\.0\.2/)
  const { exposed } = plugin.endpoints.get(one['EndpointID'] ?? '')!
  assert.deepEqual(exposed, {
    'com.docker.network.endpoint.exposedports': [
      { Proto: 6, Port: 80 },
      { Proto: 17, Port: 81 },
    ],
    'com.docker.network.portmap': [
      { Proto: 6, IP: '', Port: 80, HostIP: '', HostPort: 8080, HostPortEnd: 8080 },
    ],
  })

  await daemon.kill9()
  assert.equal(pings(keyOf(one['NetworkID'] ?? '', plugin), '10.248.0.1'), true, 'it goes on')
  await daemon.start()
  assert.deepEqual(await settings(daemon, 'one'), one)
  await sh('exec two ping -c1 -W2 uno')
  await sh(`run -d --name three --network net ${box}`)
  assert.equal((await settings(daemon, 'three'))['IPAddress'], '10.248.0.3', 'the pool is still known')
  await sh('network create other')
  await sh('network connect other three')
  await sh('network disconnect net three')
  assert.equal(plugin.endpoints.size, 2)
  await sh('network connect --alias drei net three')
  await sh('exec one ping -c1 -W2 drei')
  await sh('stop -t 0 two')
  await sh('start two')
  assert.equal((await settings(daemon, 'two'))['IPAddress'], '10.248.0.99', 'asked for again')
  const refused = await daemon.docker(['network', 'rm', 'net'])
  assert.match(refused.stderr, /network net id [0-9a-f]{64} has active endpoints/)
  await sh('rm -f one two three')
  assert.deepEqual([plugin.endpoints.size, [...plugin.addresses]], [0, ['10.248.0.1']])
  await sh('network rm net')
  assert.deepEqual([plugin.networks.size, plugin.addresses.size, links()], [0, 0, []])
})

/** A namespace that the plugin was told, while no daemon is there to ask. */
function keyOf(networkId: string, plugin: NetworkPlugin): string {
  const call = plugin.calls.find(
    ({ method, request }) => method === 'NetworkDriver.Join' && request['NetworkID'] === networkId,
  )
  return String(call?.request['SandboxKey'])
}

test('what ended with the daemon away is given up with the plugin when it comes back', async () => {
  using world = new World()
  await using daemon = await startDaemon({ namespace: world.host.path })
  await daemon.loadBusybox()
  await using plugin = await pluginAt(join(daemon.names.root, 'run'), {
    prefix: 'own',
    host: world.host,
    base: '10.248.0.0/16',
  })
  await docker(daemon, 'network', 'create', '-d', 'own', '--subnet', '10.247.1.0/24', 'net')
  await docker(daemon, 'run', '-d', '--name', 'one', '--network', 'net', 'busybox', 'sleep', '1000')
  const pid = Number(await docker(daemon, 'inspect', 'one', '-f', '{{.State.Pid}}'))
  await daemon.kill9()
  process.kill(pid, 'SIGKILL')
  await daemon.start()
  await equalInTheEnd(() => plugin.endpoints.size, 0, 'the endpoint is deleted')
  await docker(daemon, 'start', 'one')
  assert.equal(plugin.endpoints.size, 1)
  await docker(daemon, 'rm', '-f', 'one')
  await docker(daemon, 'network', 'rm', 'net')
})

test('a plugin that says no, hangs, lies or is gone is an error in its words, and leaves nothing', async () => {
  await using lab = await Lab.start({ warmSandboxes: 0 })
  const { instance } = lab.settings
  await using plugin = await pluginAt(lab.root, { prefix: instance, base: '10.246.0.0/16' })
  const { service } = lab.networks
  const kernel = () => [
    run(undefined, 'ip', '-br', 'link').output.match(new RegExp(`^${instance}\\S*`, 'gm')),
    run(undefined, 'find', join(lab.root, 'run'), '-path', '*/netns/*').output,
  ]
  const empty = kernel()
  const answers = (method: string, body: string | undefined) => {
    plugin.instead = (call, response) => {
      if (!call.method.endsWith(`.${method}`)) return false
      // Without a body it hangs.
      if (body !== undefined) response.end(body)
      return true
    }
  }
  const cases: [string, string | undefined, RegExp][] = [
    [
      'GetCapabilities',
      '{"Scope":"galactic"}',
      /^invalid capability: expecting 'local' or 'global', got galactic$/,
    ],
    ['CreateNetwork', '{"Err":"no such colour"}', /^NetworkDriver\.CreateNetwork: no such colour$/],
    ['CreateNetwork', undefined, /^NetworkDriver\.CreateNetwork: the plugin has not answered within 1\.5 s$/],
    ['CreateNetwork', 'nonsense', /^NetworkDriver\.CreateNetwork: the plugin's answer is no JSON$/],
    [
      'RequestPool',
      '{"PoolID":"x","Pool":"10.1.0.0/24"}',
      /the plugin's pool "10\.1\.0\.0\/24" is not what was asked/,
    ],
    [
      'RequestPool',
      '{"Pool":7}',
      /^IpamDriver\.RequestPool: the plugin's answer has not the shape it should$/,
    ],
    [
      'RequestAddress',
      '{"Address":"10.1.0.1/24"}',
      /the plugin's address "10\.1\.0\.1\/24" is not of the pool/,
    ],
  ]
  for (const [method, body, expected] of cases) {
    answers(method, body)
    await assert.rejects(lab.network('x', { Driver: 'own', IPAM: ipam }), { message: expected }, method)
    plugin.instead = () => false
    assert.deepEqual((await service.list(new Map([['type', ['custom']]]))).length, 0)
    for (const id of plugin.networks.keys()) assert.fail(`${method} left network ${id}`)
    assert.deepEqual([...plugin.addresses], [], `${method} left an address`)
  }
  await assert.rejects(lab.network('x', { Driver: 'absent' }), {
    kind: 'notFound',
    message: 'plugin "absent" not found',
  })
  await assert.rejects(lab.network('x', { IPAM: { Driver: 'absent' } }), {
    message: 'plugin "absent" not found',
  })
  assert.deepEqual(kernel(), empty)

  await lab.network('net', { Driver: 'own', IPAM: ipam })
  const bare = kernel()
  const up = async () => lab.up('one', { endpoints: [{ network: 'net', settings: endpoint() }] })
  const joins: [string, string | undefined, RegExp][] = [
    ['CreateEndpoint', '{"Err":"full"}', /^NetworkDriver\.CreateEndpoint: full$/],
    ['CreateEndpoint', undefined, /^NetworkDriver\.CreateEndpoint: the plugin has not answered/],
    [
      'CreateEndpoint',
      '{"Interface":{"Address":"10.1.1.1/24"}}',
      /^driver modified interface address: endpoint interface IP present \(10\.249\.7\.2\/24\)\. Cannot be modified/,
    ],
    [
      'CreateEndpoint',
      '{"Interface":{"MacAddress":"zz"}}',
      /driver modified interface MAC address|invalid MAC/,
    ],
    ['Join', '{"Err":"not today"}', /^NetworkDriver\.Join: not today$/],
    ['Join', '{"InterfaceName":{"SrcName":"nosuch"}}', /could not find the link nosuch/],
    ['Join', '{"Gateway":"here"}', /^unable to parse Gateway "here"$/],
    ['Join', '{"StaticRoutes":[{"Destination":"there"}]}', /^invalid CIDR address: there$/],
    [
      'ProgramExternalConnectivity',
      '{"Err":"taken"}',
      /^driver failed programming external connectivity on endpoint one \([0-9a-f]{64}\): .*taken$/,
    ],
    ['RequestAddress', '{"Address":"10.249.7.1/24"}', /^Address already in use$/],
    ['RequestAddress', '{}', /no IP was returned/],
  ]
  for (const [method, body, expected] of joins) {
    answers(method, body)
    await assert.rejects(up(), { message: expected }, method)
    plugin.instead = () => false
    assert.deepEqual([...plugin.addresses], ['10.249.7.1'], `${method} left an address`)
    await equalInTheEnd(kernel, bare, `${method} left something`)
    assert.deepEqual((await service.inspect('net')).Containers, {}, method)
  }
  assert.equal(plugin.endpoints.size, 0)
  const box = await up()
  plugin.calls.length = 0
  answers('Leave', undefined)
  await lab.networks.containers.remove(box.id, box.state)
  plugin.instead = () => false
  assert.deepEqual(
    methods(plugin),
    ['RevokeExternalConnectivity', 'Leave', 'ReleaseAddress'],
    'one that hangs is not asked the next thing as well',
  )

  await plugin[Symbol.asyncDispose]()
  await assert.rejects(up(), /plugin "own" not found|ECONNREFUSED|ENOENT/)
  await assert.rejects(
    service.remove('net'),
    /^EngineError: error while removing network: plugin "own" not found$/,
  )
  await lab.restart()
  assert.equal((await lab.networks.service.inspect('net')).Driver, 'own', 'it is shown without its plugin')
  await using again = await pluginAt(lab.root, { prefix: instance, base: '10.246.0.0/16' })
  again.instead = ({ method }, response) => {
    response.end(method.endsWith('Activate') ? '{"Implements":["NetworkDriver","IpamDriver"]}' : '{}')
    return true
  }
  await lab.networks.service.remove('net')
  assert.ok(
    methods(again).includes('DeleteNetwork') && methods(again).includes('ReleasePool'),
    String(methods(again)),
  )
  run(undefined, 'ip', 'link', 'del', `${instance}b0`)
})

test('addresses may be the plugin’s own without IPAM, and the IPAM plugin’s on a bridge', async () => {
  await using lab = await Lab.start({ warmSandboxes: 0 })
  await using plugin = await pluginAt(lab.root, { prefix: lab.settings.instance, base: '10.245.0.0/16' })
  await lab.network('bare', { Driver: 'own', IPAM: { Driver: 'null' } })
  const own = await lab.up('own', {
    endpoints: [{ network: 'bare', settings: endpoint({ DriverOpts: { address: '10.244.3.4/28' } }) }],
  })
  const { IPAddress, IPPrefixLen } = own.state.endpoints['bare']!
  assert.deepEqual([IPAddress, IPPrefixLen], ['10.244.3.4', 28])
  assert.match(run(own.state.sandboxKey, 'ip', '-4', 'addr').output, /inet 10\.244\.3\.4\/28/)
  const none = await lab.up('none', { endpoints: [{ network: 'bare', settings: endpoint() }] })
  assert.equal(none.state.endpoints['bare']!.IPAddress, '')

  await lab.network('mixed', { IPAM: { Driver: 'own' } })
  const [one, two] = [await on(lab, 'mixed', 'one'), await on(lab, 'mixed', 'two')]
  assert.deepEqual(
    [one, two].map(({ state }) => state.endpoints['mixed']!.IPAddress),
    ['10.245.0.2', '10.245.0.3'],
  )
  assert.equal(pings(one.state.sandboxKey, '10.245.0.3'), true)
  const asked = plugin.calls.find(
    ({ request }) => request['Address'] === '' && request['Options'] !== undefined,
  )
  assert.match(JSON.stringify(asked?.request['Options']), /RequestAddressType|endpoint\.macaddress/)
  await assert.rejects(lab.network('clash', { IPAM: { Config: [{ Subnet: '10.245.0.0/25' }] } }), {
    message: /networks have overlapping IPv4$/,
  })
  await lab.networks.containers.remove(one.id, one.state)
  await equalInTheEnd(() => [...plugin.addresses].toSorted(), ['10.245.0.1', '10.245.0.3'], 'given back')
  for (const box of [two, own, none]) await lab.networks.containers.remove(box.id, box.state)
  for (const name of ['mixed', 'bare']) await lab.networks.service.remove(name)
  assert.deepEqual([plugin.networks.size, plugin.endpoints.size, plugin.addresses.size], [0, 0, 0])
})

async function on(lab: Lab, network: string, name: string) {
  return lab.up(name, { endpoints: [{ network, settings: endpoint() }] })
}

test('an IPAM plugin that forgets is told again what it gave', async () => {
  await using lab = await Lab.start({ warmSandboxes: 0 })
  const options = { prefix: lab.settings.instance, base: '10.245.0.0/16', forgets: true }
  const first = await pluginAt(lab.root, options)
  await lab.network('net', { IPAM: { Driver: 'own' } })
  const one = await on(lab, 'net', 'one')
  assert.equal(one.state.endpoints['net']!.IPAddress, '10.245.0.2')
  await first[Symbol.asyncDispose]()
  await lab.restart()
  await lab.networks.containers.adopt(one.id, one.state)
  await using again = await pluginAt(lab.root, options)
  const two = await on(lab, 'net', 'two')
  assert.equal(two.state.endpoints['net']!.IPAddress, '10.245.0.3')
  assert.deepEqual([...again.addresses].toSorted(), ['10.245.0.1', '10.245.0.2', '10.245.0.3'])
  for (const box of [one, two]) await lab.networks.containers.remove(box.id, box.state)
  await lab.networks.service.remove('net')
  assert.equal(again.addresses.size, 0)
})
