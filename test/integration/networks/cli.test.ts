/** Networks by the stock client: every form of its flags, and the words of refusals. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually, runCommand } from '../../fixtures/processes.ts'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'
import { equalInTheEnd } from './lab.ts'
import { docker, World } from './world.ts'

async function refused(daemon: TestDaemon, args: string, expected: RegExp): Promise<void> {
  const { code, stderr } = await daemon.docker(args.split(' '))
  assert.notEqual(code, 0, args)
  assert.match(stderr, expected, args)
}

async function inspected(daemon: TestDaemon, container: string): Promise<Record<string, Endpoint>> {
  return JSON.parse(await docker(daemon, 'inspect', container, '-f', '{{json .NetworkSettings.Networks}}'))
}

type Endpoint = {
  IPAddress: string
  GlobalIPv6Address: string
  MacAddress: string
  Aliases: string[] | null
  DNSNames: string[]
  GwPriority: number
}

test('create, connect and run take every option', async () => {
  using world = new World()
  await using daemon = await startDaemon({ namespace: world.host.path })
  await daemon.loadBusybox()
  const sh = async (line: string) => docker(daemon, ...line.split(' '))
  await sh(
    'network create --subnet 10.77.0.0/24 --gateway 10.77.0.254 --ip-range 10.77.0.128/25 --aux-address one=10.77.0.128 --label x=y --attachable -o com.docker.network.bridge.name=own0 -o com.docker.network.driver.mtu=1400 a',
  )
  await sh('network create --ipv6 --subnet fd00:77::/64 b')
  await sh('network create --internal c')
  await sh(
    'run -d --name one --network name=a,ip=10.77.0.200,alias=uno,mac-address=02:42:0a:00:00:99,driver-opt=com.docker.network.endpoint.ifname=wan0 --network name=b,alias=eins,ip6=fd00:77::99,gw-priority=5,driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1 busybox sleep 1000',
  )
  const { a, b } = await inspected(daemon, 'one')
  assert.equal(a?.IPAddress, '10.77.0.200')
  assert.equal(a?.MacAddress, '02:42:0a:00:00:99')
  assert.deepEqual(a?.DNSNames.slice(0, 2), ['one', 'uno'])
  assert.equal(b?.GlobalIPv6Address, 'fd00:77::99')
  assert.deepEqual([b?.Aliases, b?.GwPriority], [['eins'], 5])
  const links = await sh('exec one ip addr')
  assert.match(links, /wan0@.*mtu 1400 [^]*10\.77\.0\.200\/24/)
  assert.equal(links.match(/^\d+: /gm)?.length, 3, links)
  assert.match(await sh('exec one ip route'), /^default via .* dev eth0/m, 'by gateway priority')
  assert.equal(await sh('exec one cat /proc/sys/net/ipv4/conf/eth0/log_martians'), '1')
  await sh('run -d --name two --network a busybox sleep 1000')
  assert.equal(
    (await inspected(daemon, 'two'))['a']?.IPAddress,
    '10.77.0.129',
    'first of the range that is free',
  )
  await sh('exec two ping -c1 -W2 uno')
  await sh(
    'network connect --alias deux --link one:other --link-local-ip 169.254.9.9 --driver-opt com.docker.network.endpoint.ifname=in0 c two',
  )
  await sh('network connect c one')
  assert.match(await sh('exec two ip addr show in0'), /169\.254\.9\.9\/16/)
  await sh('exec one ping -c1 -W2 deux')
  await sh('exec two ping -c1 -W2 other')
  await sh('network disconnect c two')
  assert.notEqual((await daemon.docker(['exec', 'one', 'ping', '-c1', '-W1', 'deux'])).code, 0)
  await sh('stop -t 0 two')
  await sh('network disconnect a two')
  await sh('network connect --ip 10.77.0.77 --alias later a two')
  await sh('start two')
  assert.equal((await inspected(daemon, 'two'))['a']?.IPAddress, '10.77.0.77', 'connected while stopped')
  await sh('exec one ping -c1 -W2 later')
  await sh('network create --config-only --subnet 10.80.0.0/24 cfg')
  await sh('network create --config-from cfg used')
  const config = await docker(
    daemon,
    'network',
    'inspect',
    '--verbose',
    'used',
    '-f',
    '{{json .IPAM.Config}}',
  )
  assert.match(config, /10\.80\.0\.0\/24/)
  assert.equal(
    await sh('network ls -q --filter label=x=y --filter driver=bridge'),
    (await sh('network inspect a -f {{.Id}}')).slice(0, 12),
  )
  await sh('network create --label keep=1 kept')
  assert.deepEqual((await sh('network prune -f --filter label!=keep')).split('\n').slice(1), ['used'])
  await sh('network rm kept')
})

test('ports are published in every form, and links give their variables', async () => {
  using world = new World()
  await using daemon = await startDaemon({ namespace: world.host.path })
  await daemon.loadBusybox()
  const sh = async (line: string) => docker(daemon, ...line.split(' '))
  await sh(
    'run -d --name web -p 127.0.0.1:8000:80 -p 8001:81/udp -p [::1]:8002:82 -p 8010-8012:90-92 -p 83 -p 8020-8029:84 -p 8030:85/sctp --expose 100-101 busybox sleep 1000',
  )
  const ports = JSON.parse(await docker(daemon, 'inspect', 'web', '-f', '{{json .NetworkSettings.Ports}}'))
  const both = (port: number) => ['0.0.0.0', '::'].map((HostIp) => ({ HostIp, HostPort: String(port) }))
  assert.deepEqual(ports['80/tcp'], [{ HostIp: '127.0.0.1', HostPort: '8000' }])
  assert.deepEqual(ports['81/udp'], [{ HostIp: '0.0.0.0', HostPort: '8001' }])
  assert.deepEqual(ports['82/tcp'], [{ HostIp: '::1', HostPort: '8002' }])
  assert.deepEqual([ports['90/tcp'], ports['91/tcp'], ports['92/tcp']], [both(8010), both(8011), both(8012)])
  assert.equal(ports['83/tcp'].length, 2)
  assert.deepEqual(ports['84/tcp'], both(8020))
  assert.deepEqual(ports['85/sctp'], [{ HostIp: '0.0.0.0', HostPort: '8030' }])
  assert.deepEqual([ports['100/tcp'], ports['101/tcp']], [null, null])
  await sh('run -d --name all -P --expose 100 --expose 7/udp busybox sleep 1000')
  assert.match(
    await sh('port all'),
    /^7\/udp -> 0\.0\.0\.0:\d+\n100\/tcp -> 0\.0\.0\.0:\d+\n100\/tcp -> \[::\]:\d+$/,
  )
  await sh('network create -o com.docker.network.bridge.host_binding_ipv4=127.0.0.1 near')
  await sh('run -d --name near --network near -p 80 busybox sleep 1000')
  assert.match(await sh('port near'), /^80\/tcp -> 127\.0\.0\.1:\d+$/)
  const address = (await inspected(daemon, 'all'))['bridge']?.IPAddress
  const environment = await sh('run --rm --link all:db busybox env')
  assert.match(environment, new RegExp(`^DB_PORT_100_TCP=tcp://${address}:100$`, 'm'))
  assert.match(environment, /^DB_NAME=\/\w+\/db$/m)
  const endpoint = 'driver failed programming external connectivity on endpoint late \\([0-9a-f]{64}\\)'
  await refused(
    daemon,
    'run --rm --name late -p 8000:80 busybox true',
    new RegExp(
      `: failed to set up container networking: ${endpoint}: Bind for 0\\.0\\.0\\.0:8000 failed: port is already allocated$`,
      'm',
    ),
  )
  await sh('run --rm -p 127.0.0.2:8000:80 busybox true')
})

test('bad input is refused in Docker’s words and leaves nothing', async () => {
  using world = new World()
  await using daemon = await startDaemon({ namespace: world.host.path })
  await daemon.loadBusybox()
  await docker(daemon, 'network', 'create', '--subnet', '10.77.0.0/24', 'a')
  await docker(daemon, 'run', '-d', '--name', 'one', '--network', 'a', 'busybox', 'sleep', '1000')
  const state = async () =>
    [await docker(daemon, 'network', 'ls'), world.sh('ip', '-br', 'addr')].map(withoutWarm)
  const before = await state()
  const cases: [string, RegExp][] = [
    ['network create a', /network with name a already exists/],
    [
      'network create --subnet 10.77.0.0/25 x',
      /invalid pool request: Pool overlaps with other one on this address space/,
    ],
    [
      'network create --subnet 10.78.0.1/24 x',
      /invalid network config:\ninvalid subnet 10\.78\.0\.1\/24: it should be 10\.78\.0\.0\/24/,
    ],
    [
      'network create --subnet foo x',
      /invalid network config:\ninvalid subnet foo: invalid CIDR block notation/,
    ],
    ['network create -d overlay x', /This node is not a swarm manager\./],
    ['network create --scope swarm x', /cannot create a swarm scoped network when swarm is not active/],
    [
      'network create -o com.docker.network.driver.mtu=abc x',
      /failed to parse com\.docker\.network\.driver\.mtu value: abc \(strconv\.Atoi: /,
    ],
    ['network create host', /operation is not permitted on predefined host network/],
    ['network create --config-from nothing x', /configuration network "nothing" does not exist/],
    ['network create -o com.docker.network.bridge.gateway_mode_ipv4=foo x', /unknown gateway mode foo/],
    [
      'network create -o com.docker.network.bridge.gateway_mode_ipv4=isolated x',
      /gateway mode isolated can only be used for an internal network/,
    ],
    ['network rm a', /error while removing network: network a id [0-9a-f]{64} has active endpoints/],
    ['network rm bridge', /bridge is a pre-defined network and cannot be removed/],
    ['network connect a one', /endpoint with name one already exists in network a/],
    [
      'network connect --ip 1.2.3.4 bridge one',
      /user specified IP address is supported on user defined networks only/,
    ],
    [
      'network connect host one',
      /cannot connect container to host network - container must be created in host network mode/,
    ],
    ['network disconnect bridge one', /container [0-9a-f]{64} is not connected to network bridge/],
    ['network disconnect nope one', /network nope not found/],
    ['network connect a nope', /No such container: nope/],
    ['run --rm --network nope busybox true', /failed to set up container networking: network nope not found/],
    [
      'run --rm --network a --ip 10.77.0.2 busybox true',
      /failed to set up container networking: Address already in use/,
    ],
    [
      'run --rm --network a --ip 10.78.0.2 busybox true',
      /no configured subnet or ip-range contain the IP address 10\.78\.0\.2/,
    ],
    ['run --rm --network container:nope busybox true', /No such container: nope/],
    [
      'run --rm --network container:one -p 1:1 busybox true',
      /conflicting options: port publishing and the container type network mode/,
    ],
    [
      'run --rm --network name=a,driver-opt=com.docker.network.endpoint.ifname=a/b busybox true',
      /invalid interface name: a\/b/,
    ],
    [
      'run --rm --network name=a,driver-opt=com.docker.network.endpoint.sysctls=kernel.x=1 busybox true',
      /invalid sysctl setting "kernel\.x=1"/,
    ],
    ['network ls --filter foo=bar', /invalid filter 'foo'/],
  ]
  for (const [line, expected] of cases) await refused(daemon, line, expected)
  const leftovers = (await docker(daemon, 'ps', '-aq', '--filter', 'status=created')).split('\n')
  if (leftovers[0] !== '') await docker(daemon, 'rm', ...leftovers)
  await equalInTheEnd(state, before, 'nothing is left behind')
})

/** Without the ends of links made ready, which come and go. */
function withoutWarm(text: string): string {
  return text
    .split('\n')
    .filter((line) => !/@/.test(line))
    .join('\n')
}

test('gateway modes: nat protects, nat-unprotected and routed are reached by their own address, isolated has no gateway', async () => {
  using world = new World()
  await using daemon = await startDaemon({ namespace: world.host.path })
  await daemon.loadBusybox()
  const mode = 'com.docker.network.bridge.gateway_mode_ipv4'
  const reached = new Map<string, boolean>()
  for (const [index, name] of ['nat', 'nat-unprotected', 'routed'].entries()) {
    const subnet = `10.9${index}.0`
    await docker(daemon, 'network', 'create', '--subnet', `${subnet}.0/24`, '-o', `${mode}=${name}`, name)
    const ports = ['-p', `800${index}:80`]
    const serve = ['busybox', 'nc', '-ll', '-p', '80', '-e', 'echo', 'hello']
    await docker(daemon, 'run', '-d', '--name', name, '--network', name, ...ports, ...serve)
    const command = ['nsenter', `--net=${world.outside.path}`, 'socat', '-T2', '-']
    await eventually('it listens', async () =>
      (await daemon.docker(['exec', name, 'netstat', '-tln'])).stdout.includes(':80 '),
    )
    const result = await runCommand(command[0]!, [
      ...command.slice(1),
      `TCP4:${subnet}.2:80,connect-timeout=1`,
    ])
    reached.set(name, result.stdout === 'hello\n')
    const seen = await docker(daemon, 'port', name)
    assert.equal(seen.includes(':800'), name !== 'routed', seen)
  }
  assert.deepEqual(Object.fromEntries(reached), { nat: false, 'nat-unprotected': true, routed: true })
  await docker(
    daemon,
    'network',
    'create',
    '--internal',
    '-o',
    `${mode}=isolated`,
    '-o',
    'com.docker.network.bridge.name=alone0',
    'alone',
  )
  assert.doesNotMatch(world.sh('ip', '-br', '-4', 'addr'), /alone0 .*10\./)
})

test('exposure tells what is reachable from where', async () => {
  using world = new World()
  await using daemon = await startDaemon({ namespace: world.host.path })
  await daemon.loadBusybox()
  const sh = async (line: string) => docker(daemon, ...line.split(' '))
  await sh('network create --internal quiet')
  await sh('network create -o com.docker.network.bridge.enable_icc=false mute')
  await sh(
    'network create --subnet 10.91.0.0/24 -o com.docker.network.bridge.gateway_mode_ipv4=nat-unprotected open',
  )
  await sh('run -d --name web -p 8080:80 -p 127.0.0.1:8081:81 busybox sleep 1000')
  await sh(`run -d --name db --network quiet busybox sleep 1000`)
  await sh(`run -d --name some --network mute -p ${world.address}:8082:82/udp busybox sleep 1000`)
  await sh('run -d --name wide --network open busybox sleep 1000')
  await sh('run -d --name host --network host busybox sleep 1000')
  const answer = await daemon.wharf(['network', 'exposure'])
  assert.equal(answer.code, 0, answer.stderr)
  const [services = [], networks = []] = answer.stdout.split('\n\n').map((part) =>
    part
      .trim()
      .split('\n')
      .map((line) => line.split(/ {2,}/)),
  )
  assert.deepEqual(services.slice(1), [
    ['anywhere', '*', 'host', 'all', 'all'],
    ['anywhere', '0.0.0.0:8080', 'web', '80', 'tcp'],
    ['anywhere', '[::]:8080', 'web', '80', 'tcp'],
    ['hosts that reach this address', `${world.address}:8082`, 'some', '82', 'udp'],
    ['hosts with a route to it', '10.91.0.2', 'wide', 'all', 'all'],
    ['this host', '127.0.0.1:8081', 'web', '81', 'tcp'],
  ])
  assert.deepEqual(
    networks.slice(1).toSorted(([a = ''], [b = '']) => a.localeCompare(b)),
    [
      ['bridge', 'bridge', 'yes', 'yes', 'web'],
      ['mute', 'bridge', 'yes', 'no', 'some'],
      ['open', 'bridge', 'yes', 'yes', 'wide'],
      ['quiet', 'bridge', 'no', 'yes', 'db'],
    ],
  )
  const { Networks: all } = JSON.parse(
    (await daemon.wharf(['network', 'exposure', '--format', 'json'])).stdout,
  )
  assert.equal(all.length, 4)
})
