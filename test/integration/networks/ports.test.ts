/** Published ports where they are many, and where they move under a flow that goes on. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { eventually } from '../../fixtures/processes.ts'
import { ask, Lab, run, serve } from './lab.ts'

test('a flow of datagrams goes on to where the container is after it came back', async () => {
  await using lab = await Lab.start()
  const outside = lab.outside()
  const published = { portBindings: { '53/udp': [{ HostIp: outside.hostAddress, HostPort: '20353' }] } }
  const addresses: string[] = []
  for (const name of ['one', 'two']) {
    const box = await lab.up(name, published)
    addresses.push(box.state.endpoints['bridge']!.IPAddress)
    const answering = ['socat', 'UDP4-RECVFROM:53,fork', `SYSTEM:echo ${name}`]
    const server = spawn('nsenter', [`--net=${box.state.sandboxKey}`, ...answering], { stdio: 'ignore' })
    const client = `UDP4:${outside.hostAddress}:20353,sourceport=5353`
    // The same addresses and ports each time: for the kernel it is one flow, which it remembers for half a minute.
    await eventually(`${name} answers`, () => {
      const { output } = run(outside.path, 'sh', '-c', `echo x | socat -T0.3 - ${client}`)
      return output === `${name}\n`
    })
    server.kill('SIGKILL')
    await once(server, 'exit')
    await lab.networks.containers.remove(box.id, box.state)
    // Its address is somebody else's now.
    await lab.up(`after-${name}`)
  }
  assert.notEqual(addresses[0], addresses[1])
})

test('thousands of ports of one container are opened at once, and closed', async () => {
  await using lab = await Lab.start()
  const outside = lab.outside()
  const count = 3000
  const rules = () => run(undefined, 'nft', 'list', 'map', 'inet', lab.settings.instance, 'ports4').output
  const portBindings = Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `${1000 + index}/tcp`,
      [{ HostIp: outside.hostAddress, HostPort: String(21_000 + index) }],
    ]),
  )
  const box = await lab.up('wide', { portBindings })
  assert.equal(Object.keys(box.state.ports!).length, count)
  for (const index of [0, count - 1]) {
    using _server = await serve(box.state.sandboxKey, 1000 + index, `port ${index}`)
    assert.match(ask(outside.path, outside.hostAddress, 21_000 + index), new RegExp(`^port ${index} `))
  }
  assert.equal(rules().match(/tcp \. \d+ : /g)?.length, count)
  await lab.networks.containers.remove(box.id, box.state)
  assert.doesNotMatch(rules(), /tcp \. /)
  // One that cannot be held leaves none of the others.
  using _listener = await serve('/proc/self/ns/net', 21_500, 'mine', outside.hostAddress)
  await assert.rejects(lab.up('wide', { portBindings }), /21500:.*address already in use/)
  assert.doesNotMatch(rules(), /tcp \. /)
  assert.equal(ask(outside.path, outside.hostAddress, 21_001), '')
})
