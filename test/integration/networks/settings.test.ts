/** What daemon.json says about networks, followed by a whole daemon: addresses, gateways, firewall and relays. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../../fixtures/processes.ts'
import { startDaemon } from '../../fixtures/test-daemon.ts'
import { ask, run } from './lab.ts'
import { docker, World } from './world.ts'

const serving = ['busybox', 'nc', '-ll', '-p', '80', '-e', 'echo', 'hello']

test('the default bridge has the addresses, ranges, gateways and options that the file gives it', async () => {
  using world = new World()
  await using daemon = await startDaemon({
    namespace: world.host.path,
    config: {
      bip: '10.140.7.1/24',
      'fixed-cidr': '10.140.7.64/26',
      'default-gateway': '10.140.7.9',
      ipv6: true,
      bip6: 'fd00:7::1/64',
      'fixed-cidr-v6': 'fd00:7::100/120',
      'default-gateway-v6': 'fd00:7::9',
      mtu: 1400,
      icc: false,
      ip: '127.0.0.1',
      'default-network-opts': { bridge: { 'com.docker.network.driver.mtu': '1300' } },
      'default-address-pools': [{ base: '10.141.0.0/16', size: 26 }],
    },
  })
  await daemon.loadBusybox()
  const sh = async (line: string) => docker(daemon, ...line.split(' '))
  await sh('run -d --name one -p 8000:80 busybox sleep 1000')
  const bridge = JSON.parse(
    await docker(daemon, 'network', 'inspect', 'bridge', '-f', '{{json .IPAM.Config}}'),
  )
  assert.deepEqual(bridge, [
    {
      Subnet: '10.140.7.0/24',
      IPRange: '10.140.7.64/26',
      Gateway: '10.140.7.1',
      AuxiliaryAddresses: { DefaultGatewayIPv4: '10.140.7.9' },
    },
    {
      Subnet: 'fd00:7::/64',
      IPRange: 'fd00:7::100/120',
      Gateway: 'fd00:7::1',
      AuxiliaryAddresses: { DefaultGatewayIPv6: 'fd00:7::9' },
    },
  ])
  const inside = await sh('exec one ip addr')
  assert.match(inside, /mtu 1400 [^]*inet 10\.140\.7\.64\/24[^]*inet6 fd00:7::100\/64/)
  assert.match(await sh('exec one ip route'), /^default via 10\.140\.7\.9 /m)
  assert.match(await sh('exec one ip -6 route'), /^default via fd00:7::9 /m)
  assert.match(
    await docker(daemon, 'inspect', 'one', '-f', '{{.NetworkSettings.Networks.bridge.Gateway}}'),
    /\.9$/,
  )
  assert.equal(await sh('port one'), '80/tcp -> 127.0.0.1:8000')
  await sh('run -d --name two busybox sleep 1000')
  assert.notEqual(
    (await daemon.docker(['exec', 'one', 'ping', '-c1', '-W1', '10.140.7.65'])).code,
    0,
    'no icc',
  )
  await sh('network create net')
  assert.match(await sh('network inspect net'), /"Subnet": "10\.141\.0\.0\/26"[^]*driver\.mtu": "1300"/)
  await daemon.restart()
  assert.match(await sh('exec one ip route'), /^default via 10\.140\.7\.9 /m)
})

test('settings of the default bridge that make no sense end the start, in Docker’s words', async () => {
  using world = new World()
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ bip: '10.140.7.1' }, /bip: invalid CIDR address: 10\.140\.7\.1/],
    [{ ipv6: true, bip6: '10.140.7.1/24' }, /bip6: invalid CIDR address: 10\.140\.7\.1\/24/],
    [
      { bip: '10.140.7.1/24', 'default-gateway': '10.140.8.1' },
      /auxiliary address: \(DefaultGatewayIPv4:10\.140\.8\.1\) must belong to the master pool: 10\.140\.7\.0\/24/,
    ],
    [{ 'default-gateway': 'nowhere' }, /default-gateway: invalid IP address: nowhere/],
    [{ 'firewall-backend': 'pf' }, /firewall-backend "pf" is not known: there is nftables/],
  ]
  for (const [config, expected] of cases) {
    await assert.rejects(startDaemon({ namespace: world.host.path, config }), expected)
  }
})

test('without a relay what the firewall cannot lead is not published; without ip6tables nothing of IPv6 is led', async () => {
  using world = new World()
  await using daemon = await startDaemon({
    namespace: world.host.path,
    config: { 'userland-proxy': false, ip6tables: false, ipv6: true },
  })
  await daemon.loadBusybox()
  world.sh('ip', 'link', 'set', 'lo', 'up')
  await docker(daemon, 'network', 'create', 'four')
  await docker(daemon, 'run', '-d', '--name', 'web', '--network', 'four', '-p', '8080:80', ...serving)
  assert.equal(await docker(daemon, 'port', 'web'), '80/tcp -> 0.0.0.0:8080')
  await eventually('it is reached over IPv4', () => ask(world.outside.path, world.address, 8080) === 'hello')
  assert.equal(ask(world.host.path, '127.0.0.1', 8080), 'hello')
  assert.equal(ask(world.host.path, '::1', 8080), '')
  const rules = run(world.host.path, 'nft', 'list', 'table', 'inet', daemon.names.instance).output
  assert.match(rules, /meta nfproto ipv6 accept/)
  assert.doesNotMatch(rules, /ip6 daddr|ip6 saddr|dnat ip6/)
})

test('the default pool is 172.17.0.0/16, and another where the host uses that one', async () => {
  const subnet = async (world: World) => {
    await using daemon = await startDaemon({
      namespace: world.host.path,
      config: { bip: '', 'default-address-pools': [] },
    })
    return await docker(
      daemon,
      'network',
      'inspect',
      'bridge',
      '-f',
      '{{range .IPAM.Config}}{{.Subnet}}{{end}}',
    )
  }
  using free = new World()
  assert.equal(await subnet(free), '172.17.0.0/16')
  using used = new World()
  used.sh('ip', 'addr', 'add', '172.17.5.5/24', 'dev', 'cable')
  used.sh('ip', 'route', 'add', '172.18.7.0/24', 'via', used.outsideAddress)
  assert.equal(await subnet(used), '172.19.0.0/16')
})

test('a network may have IPv6 alone; a network connected later leads outside if it is wanted more', async () => {
  using world = new World()
  world.sh('sh', '-c', 'echo 0 >/proc/sys/net/ipv4/ip_forward')
  await using daemon = await startDaemon({ namespace: world.host.path, config: { 'ip-forward': false } })
  await daemon.loadBusybox()
  const sh = async (line: string) => docker(daemon, ...line.split(' '))
  assert.equal(world.sh('cat', '/proc/sys/net/ipv4/ip_forward').trim(), '0', 'left as it was')
  await sh('network create --ipv4=false --ipv6 --subnet fd00:64::/64 six')
  await sh('network create --subnet 10.142.1.0/24 one')
  await sh('network create --subnet 10.142.2.0/24 two')
  await sh('run -d --name box --network six busybox sleep 1000')
  assert.doesNotMatch(await sh('exec box ip -4 addr'), /inet .* eth0/)
  assert.match(await sh('exec box ip -6 route'), /^default via fd00:64::1 /m)
  await sh('run -d --name peer --network six busybox sleep 1000')
  await sh('exec box ping -6 -c1 -W2 peer')
  const status =
    /"Status":\{"IPAM":\{"Subnets":\{"fd00:64::\/64":\{"IPsInUse":4,"DynamicIPsAvailable":18446744073709551612\}/
  assert.match((await daemon.api('GET', '/networks/six')).body, status)
  assert.doesNotMatch((await daemon.api('GET', '/v1.51/networks/six')).body, /"Status"/)
  await sh('network connect one box')
  await sh('network connect --gw-priority 7 --ip 10.142.2.9 two box')
  assert.match(await sh('exec box ip route'), /^default via 10\.142\.2\.1 /m)
  await sh('network disconnect two box')
  assert.match(await sh('exec box ip route'), /^default via 10\.142\.1\.1 /m)
  const mac = '02:42:00:00:00:07'
  const answer = await daemon.api('POST', '/networks/two/connect', {
    Container: 'box',
    EndpointConfig: { MacAddress: mac, GwPriority: -1, IPAMConfig: { LinkLocalIPs: ['169.254.3.3'] } },
  })
  assert.equal(answer.status, 200, answer.body)
  assert.match(await sh('exec box ip addr'), new RegExp(`${mac}[^]*inet 169\\.254\\.3\\.3/16`))
  assert.match(await sh('exec box ip route'), /^default via 10\.142\.1\.1 /m, 'wanted less')
  await sh('network disconnect one box')
  await sh('stop -t 0 box')
  await sh(
    'network connect --gw-priority 9 --alias again --link-local-ip 169.254.4.4 --link peer:friend one box',
  )
  await sh('start box')
  assert.match(await sh('exec box ip addr'), /inet 169\.254\.4\.4\/16/)
  assert.match(await sh('exec box ip route'), /^default via 10\.142\.1\.1 /m)
})
