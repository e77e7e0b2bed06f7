import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpoint, Lab, run } from './lab.ts'

const refused = async (action: Promise<unknown>, kind: string, message: string | RegExp) =>
  assert.rejects(action, (error: Error & { kind?: string }) => {
    if (typeof message === 'string') assert.equal(error.message, message)
    else assert.match(error.message, message)
    assert.equal(error.kind, kind)
    return true
  })

test('create refuses what Docker refuses, in its words, and leaves no link', async () => {
  await using lab = await Lab.start()
  const bridges = () =>
    run(undefined, 'ip', '-o', 'link', 'show', 'type', 'bridge').output.match(/br-[0-9a-f]{12}/g)
  const config = (...Config: Record<string, unknown>[]) => ({ IPAM: { Config } })
  await refused(
    lab.network('bridge'),
    'forbidden',
    'operation is not permitted on predefined bridge network ',
  )
  await refused(lab.network(' '), 'invalid', 'invalid name: name is empty')
  await refused(
    lab.network('x', config({ Subnet: '10.99.0.5/16', Gateway: '10.98.0.1' })),
    'invalid',
    "invalid network config:\n* invalid subnet 10.99.0.5/16: it should be 10.99.0.0/16\n* invalid gateway 10.98.0.1: parent subnet 10.99.0.5/16 doesn't contain this address",
  )
  await refused(
    lab.network('x', config({ Subnet: 'nonsense' })),
    'invalid',
    'invalid network config:\ninvalid subnet nonsense: invalid CIDR block notation',
  )
  await refused(lab.network('x', { Driver: 'nope' }), 'notFound', /plugin "nope" not found$/)
  await refused(
    lab.network('x', { Driver: 'host' }),
    'forbidden',
    'only one instance of "host" network is allowed',
  )
  await refused(lab.network('x', { Driver: 'overlay' }), 'forbidden', /^This node is not a swarm manager\./)
  const [subnet] = (await lab.networks.service.inspect('bridge')).IPAM.Config ?? []
  await refused(
    lab.network('x', config({ Subnet: subnet?.['Subnet'] })),
    'forbidden',
    'invalid pool request: Pool overlaps with other one on this address space',
  )
  await lab.network('x')
  await refused(lab.network('x'), 'conflict', 'network with name x already exists')
  const after = bridges()
  assert.ok(after)
  const { Id } = await lab.networks.service.inspect('x')
  assert.ok(after.includes(`br-${Id.slice(0, 12)}`))
})

test('inspect, list and its filters, remove, prune', async () => {
  await using lab = await Lab.start()
  const { service, containers } = lab.networks
  const subnet = { Subnet: '10.251.7.0/24', Gateway: '10.251.7.9', IPRange: '10.251.7.128/25' }
  const id = await lab.network('app', {
    IPAM: { Config: [subnet] },
    Labels: { tier: 'one' },
    Options: { a: 'b' },
  })
  const box = await lab.up('web', {
    endpoints: [{ network: 'app', settings: endpoint({ IPAMConfig: { IPv4Address: '10.251.7.200' } }) }],
  })
  const inspect = await service.inspect(id.slice(0, 10))
  const { Created, ...rest } = inspect
  assert.match(Created, /^\d{4}-/)
  assert.deepEqual(rest, {
    Name: 'app',
    Id: id,
    Scope: 'local',
    Driver: 'bridge',
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: { Driver: 'default', Options: null, Config: [subnet] },
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: {
      [box.id]: {
        Name: 'web',
        EndpointID: box.state.endpoints['app']!.EndpointID,
        MacAddress: '02:42:0a:fb:07:c8',
        IPv4Address: '10.251.7.200/24',
        IPv6Address: '',
      },
    },
    Options: { a: 'b' },
    Labels: { tier: 'one' },
    // The subnet's ends, the gateway and the container; of the range, its end and the container.
    Status: { IPAM: { Subnets: { '10.251.7.0/24': { IPsInUse: 4n, DynamicIPsAvailable: 126n } } } },
  })
  const names = async (filters: Record<string, string[]>) =>
    (await service.list(new Map(Object.entries(filters))))
      .map((network) => network.Name)
      .toSorted((a, b) => (a < b ? -1 : 1))
  await lab.network('spare')
  assert.deepEqual(await names({ type: ['custom'] }), ['app', 'spare'])
  assert.deepEqual(await names({ dangling: ['true'] }), ['spare'])
  assert.deepEqual(await names({ label: ['tier=one'] }), ['app'])
  assert.deepEqual(await names({ driver: ['null'] }), ['none'])
  assert.deepEqual(await names({ name: ['pp'] }), ['app'])
  await refused(names({ bogus: ['1'] }), 'invalid', "invalid filter 'bogus'")
  await refused(service.remove('host'), 'forbidden', 'host is a pre-defined network and cannot be removed')
  await refused(service.remove('gone'), 'notFound', 'network gone not found')
  await refused(
    service.remove('app'),
    'forbidden',
    `error while removing network: network app id ${id} has active endpoints`,
  )
  const taken = lab.up('b', {
    endpoints: [{ network: 'app', settings: endpoint({ IPAMConfig: { IPv4Address: '10.251.7.200' } }) }],
  })
  await refused(taken, 'forbidden', 'Address already in use')
  const wrong = lab.request('b', {
    endpoints: [{ network: 'bridge', settings: endpoint({ IPAMConfig: { IPv4Address: '10.251.7.3' } }) }],
  })
  assert.throws(() => containers.validate(wrong), {
    message:
      'invalid config for network bridge: invalid endpoint settings:\n* user specified IP address is supported on user defined networks only\n* user specified IP address is supported only when connecting to networks with user configured subnets',
  })
  assert.deepEqual(await service.prune(new Map()), { NetworksDeleted: ['spare'] })
  await containers.remove(box.id, box.state)
  await service.remove('app')
  assert.deepEqual(await names({ type: ['custom'] }), [])
})
