import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { ask, endpoint, equalInTheEnd, Lab, pings, run, runBeside, serve } from './lab.ts'
import { eventually } from '../../fixtures/processes.ts'

const publish = (port: number | string, ip = '', key = '80/tcp') => ({
  portBindings: { [key]: [{ HostIp: ip, HostPort: String(port) }] },
})
const hostPort = (
  box: { state: { ports: Record<string, { HostPort: string }[] | null> | null } },
  key = '80/tcp',
) => Number(box.state.ports![key]![0]!.HostPort)

test('a host port is published once; a failed start leaves nothing', async () => {
  await using lab = await Lab.start()
  const web = await lab.up('web', publish(''))
  const port = hostPort(web)
  const names = () => readdirSync(join(lab.settings.runRoot, 'sandboxes'))
  const before = names()
  await assert.rejects(lab.up('late', publish(port)), ({ message }: Error) => {
    assert.match(
      message,
      new RegExp(
        `^driver failed programming external connectivity on endpoint late \\([0-9a-f]{64}\\): Bind for 0\\.0\\.0\\.0:${port} failed: port is already allocated$`,
      ),
    )
    return true
  })
  assert.deepEqual(names(), before)
  const other = await lab.up('other')
  assert.equal(
    other.state.endpoints['bridge']!.IPAddress.endsWith('.3'),
    true,
    'the failed one’s address is free',
  )
  await lab.networks.containers.remove(web.id, web.state)
  await lab.up('late', publish(port))
})

test('a port that another program listens on is refused, and one of ours cannot be taken', async () => {
  await using lab = await Lab.start()
  const server = createServer().listen(0, '0.0.0.0')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await assert.rejects(
    lab.up('web', publish(port)),
    /failed to bind host port for 0\.0\.0\.0:\d+:10\.[\d.]+:80\/tcp: address already in use$/,
  )
  server.close()
  const web = await lab.up('web', publish(''))
  const late = createServer().listen(hostPort(web), '0.0.0.0')
  const [error] = await once(late, 'error')
  assert.equal((error as NodeJS.ErrnoException).code, 'EADDRINUSE')
})

test('ranges, fixed addresses, exposed ports and datagrams', async () => {
  await using lab = await Lab.start()
  const outside = lab.outside()
  const first = await lab.up('first', publish('20310-20312', outside.hostAddress))
  const second = await lab.up('second', publish('20310-20312', outside.hostAddress))
  assert.deepEqual([hostPort(first), hostPort(second)], [20_310, 20_311])
  const all = await lab.up('all', { exposedPorts: ['80/tcp', '53/udp'], publishAllPorts: true })
  assert.deepEqual(Object.keys(all.state.ports!).toSorted(), ['53/udp', '80/tcp'])
  const some = await lab.up('some', { exposedPorts: ['90/tcp'] })
  assert.deepEqual(some.state.ports, { '90/tcp': null })
  const command = ['socat', '-T1', 'UDP4-RECVFROM:53,fork', 'EXEC:cat']
  const echo = spawn('nsenter', [`--net=${all.state.sandboxKey}`, ...command], { stdio: 'ignore' })
  const port = hostPort(all, '53/udp')
  const client = createSocket('udp4')
  // Datagrams are lost until the server listens: send until one comes back.
  const answered = once(client, 'message')
  const timer = setInterval(() => client.send('ping', port, '127.0.0.1'), 20)
  const [message] = await answered
  clearInterval(timer)
  assert.equal(String(message), 'ping')
  client.close()
  echo.kill('SIGKILL')
  await once(echo, 'exit')
})

test('containers go on while the daemon is dead, and are adopted: addresses, ports, names', async () => {
  await using lab = await Lab.start()
  const outside = lab.outside()
  await lab.network('net')
  const on = { endpoints: [{ network: 'net', settings: endpoint() }] }
  const web = await lab.up('web', { ...on, ...publish('') })
  const client = await lab.up('client', on)
  const gone = await lab.up('gone', publish(''))
  using _server = await serve(web.state.sandboxKey, 80, 'web')
  const port = hostPort(web)
  await lab.networks[Symbol.asyncDispose]()
  assert.equal(ask(outside.path, outside.hostAddress, port), `web ${outside.address}`, 'without any daemon')
  const resolve = async () => runBeside(client.state.sandboxKey, 'busybox', 'nslookup', 'web', '127.0.0.11')
  const alone = await resolve()
  assert.ok(alone.output.includes(web.state.endpoints['net']!.IPAddress), alone.output)
  await lab.restart()
  assert.equal(ask(outside.path, outside.hostAddress, port), `web ${outside.address}`, 'before it is adopted')
  for (const box of [web, client]) await lab.networks.containers.adopt(box.id, box.state)
  await lab.networks.reconcile([web.id, client.id])
  assert.equal(ask(outside.path, outside.hostAddress, port), `web ${outside.address}`)
  // The kernel ends a namespace some time after its last user has gone.
  await eventually(
    'nobody wanted that one',
    () => !pings(undefined, gone.state.endpoints['bridge']!.IPAddress),
  )
  const found = await resolve()
  assert.ok(found.output.includes(web.state.endpoints['net']!.IPAddress), found.output)
  await assert.rejects(lab.up('thief', publish(port)), /port is already allocated/)
  const next = await lab.up('next', on)
  assert.equal(next.state.endpoints['net']!.IPAddress.endsWith('.4'), true)
  const inspect = await lab.networks.service.inspect('net')
  assert.equal(Object.keys(inspect.Containers).length, 3)
  assert.deepEqual((await lab.networks.containers.list()).toSorted(), [web.id, client.id, next.id].toSorted())
})

test('the default networks keep their ids and subnets over restarts', async () => {
  await using lab = await Lab.start()
  const before = await lab.networks.service.list(new Map())
  await lab.restart()
  assert.deepEqual(await lab.networks.service.list(new Map()), before)
  assert.deepEqual(before.map((network) => network.Name).toSorted(), ['bridge', 'host', 'none'])
})

test('a published port follows the container to another network', async () => {
  await using lab = await Lab.start()
  const outside = lab.outside()
  await lab.network('zz')
  const web = await lab.up('web', publish(''))
  using _server = await serve(web.state.sandboxKey, 80, 'web')
  await lab.networks.containers.connect(web.id, 'zz', endpoint())
  assert.match(ask(outside.path, outside.hostAddress, hostPort(web)), /^web /)
  await lab.networks.containers.disconnect(web.id, 'bridge')
  assert.match(run(web.state.sandboxKey, 'ip', 'route').output, /^default via /)
  assert.match(ask(outside.path, outside.hostAddress, hostPort(web)), /^web /)
})

test('after everything is gone the host is as it was', async () => {
  const lab = await Lab.start()
  const snapshot = () => ({
    links: run(undefined, 'ip', '-o', 'link').output,
    routes: run(undefined, 'ip', 'route').output,
    tables: run(undefined, 'nft', 'list', 'tables').output,
    mounts: readFileSync('/proc/self/mountinfo', 'utf8').includes(lab.root) ? lab.settings.instance : '',
  })
  const ours = () => JSON.stringify(snapshot()).includes(lab.settings.instance)
  try {
    await lab.network('one', { EnableIPv6: true })
    for (let number = 0; number < 5; number++) {
      const box = await lab.up(`b${number}`, {
        ...publish(''),
        endpoints: [{ network: 'one', settings: endpoint() }],
      })
      await lab.networks.containers.connect(box.id, 'bridge', endpoint())
      if (number % 2 === 0) await lab.networks.containers.remove(box.id, box.state)
    }
    assert.equal(ours(), true)
  } finally {
    await lab[Symbol.asyncDispose]()
  }
  await equalInTheEnd(ours, false, 'nothing on the host bears our name')
})
