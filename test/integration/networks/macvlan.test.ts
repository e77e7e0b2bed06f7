/** Networks on a link of the host, by the stock client. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startDaemon, type TestDaemon } from '../../fixtures/test-daemon.ts'
import { pings } from './lab.ts'
import { docker, World } from './world.ts'

const network = ['network', 'create', '-d', 'macvlan']
const subnet = ['--subnet', '10.253.1.0/24', '--gateway', '10.253.1.2']

async function refused(daemon: TestDaemon, expected: RegExp, ...args: string[]): Promise<void> {
  const { code, stderr } = await daemon.docker(args)
  assert.notEqual(code, 0)
  assert.match(stderr, expected)
}

test('macvlan: containers are hosts of the parent’s network, with names and a fixed address', async () => {
  using world = new World()
  await using daemon = await startDaemon({ namespace: world.host.path })
  await daemon.loadBusybox()
  const before = world.sh('ip', '-br', 'link')
  const on = ['--network', 'lan', 'busybox', 'sleep', '1000']
  await docker(daemon, ...network, ...subnet, '-o', 'parent=cable', 'lan')
  await docker(
    daemon,
    'run',
    '-d',
    '--name',
    'one',
    '--ip',
    '10.253.1.50',
    '--mac-address',
    '02:42:00:00:00:50',
    ...on,
  )
  await docker(daemon, 'run', '-d', '--name', 'two', '-p', '8080:80', ...on)
  assert.equal(pings(world.outside.path, '10.253.1.50'), true)
  await docker(daemon, 'exec', 'two', 'ping', '-c1', '-W2', 'one')
  const links = await docker(daemon, 'exec', 'one', 'ip', 'addr')
  assert.match(links, /eth0@.*\n.*02:42:00:00:00:50[^]*10\.253\.1\.50\/24/)
  assert.equal(links.match(/^\d+: /gm)?.length, 2, links)
  assert.match(await docker(daemon, 'exec', 'one', 'ip', 'route'), /^default via 10\.253\.1\.2 /)
  await daemon.kill9()
  assert.equal(pings(world.outside.path, '10.253.1.50'), true, 'without a daemon')
  await daemon.start()
  await docker(daemon, 'network', 'connect', 'bridge', 'one')
  await docker(daemon, 'network', 'disconnect', 'lan', 'one')
  assert.equal(pings(world.outside.path, '10.253.1.50'), false)
  await docker(daemon, 'rm', '-f', 'one', 'two')
  await docker(daemon, 'network', 'rm', 'lan')
  assert.equal(world.sh('ip', '-br', 'link').includes('cable'), before.includes('cable'))
})

for (const [mode, hears] of Object.entries({ bridge: true, private: false, vepa: false })) {
  test(`macvlan in mode ${mode}: containers ${hears ? '' : 'do not '}reach each other directly`, async () => {
    using world = new World()
    await using daemon = await startDaemon({ namespace: world.host.path })
    await daemon.loadBusybox()
    await docker(daemon, ...network, ...subnet, '-o', 'parent=cable', '-o', `macvlan_mode=${mode}`, 'lan')
    for (const last of ['50', '51']) {
      const fixed = ['--network', 'lan', '--ip', `10.253.1.${last}`]
      await docker(daemon, 'run', '-d', '--name', `c${last}`, ...fixed, 'busybox', 'sleep', '1000')
      assert.equal(pings(world.outside.path, `10.253.1.${last}`), true)
    }
    const reached = await daemon.docker(['exec', 'c50', 'ping', '-c1', '-W1', '10.253.1.51'])
    assert.equal(reached.code === 0, hears)
  })
}

test('macvlan in mode passthru has its parent for itself, and its hardware address', async () => {
  using world = new World()
  await using daemon = await startDaemon({ namespace: world.host.path })
  await daemon.loadBusybox()
  const passthru = ['-o', 'parent=cable', '-o', 'macvlan_mode=passthru']
  await docker(daemon, ...network, ...subnet, ...passthru, 'lan')
  await refused(
    daemon,
    /macvlan network [0-9a-f]{12} is already using parent interface cable in mode passthru/,
    ...network,
    '-o',
    'parent=cable',
    'late',
  )
  const run = ['run', '-d', '--network', 'lan', '--ip', '10.253.1.50']
  const id = await docker(daemon, ...run, 'busybox', 'sleep', '1000')
  const inspected = await docker(daemon, 'inspect', id, '-f', '{{.NetworkSettings.Networks.lan.MacAddress}}')
  assert.equal(inspected, /link\/ether (\S+)/.exec(world.sh('ip', 'link', 'show', 'cable'))?.[1])
  await refused(daemon, /failed to create the macvlan port: /, ...run.slice(0, 4), 'busybox', 'true')
})

test('macvlan without a parent joins containers with each other alone; its parent goes with it', async () => {
  using world = new World()
  await using daemon = await startDaemon({ namespace: world.host.path })
  await daemon.loadBusybox()
  const id = await docker(daemon, ...network, '--internal', 'lan')
  assert.match(world.sh('ip', '-br', 'link'), new RegExp(`dm-${id.slice(0, 12)}`))
  const on = ['--network', 'lan', 'busybox']
  await docker(daemon, 'run', '-d', '--name', 'one', ...on, 'sleep', '1000')
  await docker(daemon, 'run', '--rm', ...on, 'ping', '-c1', '-W2', 'one')
  assert.doesNotMatch(await docker(daemon, 'exec', 'one', 'ip', 'route'), /^default/m)
  await daemon.restart()
  await docker(daemon, 'run', '--rm', ...on, 'ping', '-c1', '-W2', 'one')
  await docker(daemon, 'rm', '-f', 'one')
  await docker(daemon, 'network', 'rm', 'lan')
  assert.doesNotMatch(world.sh('ip', '-br', 'link'), /d[mp]-/)
})

test('what cannot be is refused in Docker’s words, the kernel’s reason included', async () => {
  using world = new World()
  await using daemon = await startDaemon({ namespace: world.host.path })
  const parent = async (name: string, expected: RegExp) =>
    refused(daemon, expected, ...network, '-o', `parent=${name}`, 'x')
  await parent('nosuch', /invalid subinterface vlan name nosuch, example formatting is eth0\.10$/m)
  await parent('lo', /loopback interface is not a valid macvlan parent link$/m)
  await parent('cable.5000', /vlan id must be between 1-4094, received: 5000$/m)
  await parent('cable.x', /unable to parse a valid vlan id from: x \(ex\. eth0\.10 for vlan 10\)$/m)
  await parent('a.b.c', /required interface name format is: name\.vlan_id/)
  await refused(
    daemon,
    /requested macvlan mode 'foo' is not valid, 'bridge' mode is the macvlan driver default$/m,
    ...network,
    '-o',
    'macvlan_mode=foo',
    'x',
  )
  const vlan = await daemon.docker([...network, '-o', 'parent=cable.10', 'x'])
  if (vlan.code !== 0)
    assert.match(vlan.stderr, /failed to create cable\.10 vlan link: operation not supported$/m)
  const ipvlan = ['network', 'create', '-d', 'ipvlan', '-o', 'parent=cable', '--subnet', '10.253.1.0/24']
  for (const option of ['ipvlan_mode=l4', 'ipvlan_flag=bridged']) {
    await refused(
      daemon,
      /requested ipvlan (mode 'l4'|flag 'bridged') is not valid/,
      ...ipvlan,
      '-o',
      option,
      'y',
    )
  }
  for (const mode of ['l2', 'l3', 'l3s']) {
    const result = await daemon.docker([...ipvlan, '-o', `ipvlan_mode=${mode}`, mode])
    if (result.code !== 0) {
      assert.match(result.stderr, /failed to create the ipvlan port: operation not supported$/m, mode)
      continue
    }
    const route = ['run', '--rm', '--network', mode, 'busybox', 'ip', 'route']
    assert.match(await docker(daemon, ...route), mode === 'l2' ? /default via/ : /default dev eth0/)
    await docker(daemon, 'network', 'rm', mode)
  }
  assert.equal((await docker(daemon, 'network', 'prune', '-f')) === '', vlan.code !== 0)
  assert.doesNotMatch(world.sh('ip', '-br', 'link'), /cable\./)
})
