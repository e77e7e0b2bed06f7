/** What every network driver whose containers have addresses must do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { networkId } from '../../../src/spec/ids.ts'
import { NetlinkSocket, netlinkProtocols } from '../../../src/kernel/netlink.ts'
import { randomIds } from '../../../src/lib/clock.ts'
import type { EndpointPlan, NetworkDriver } from '../../../src/networks/driver.ts'
import { parseIp } from '../../../src/networks/ip-address.ts'
import type { NetworkRecord } from '../../../src/networks/network-record.ts'
import { Sandbox } from '../../../src/networks/sandbox.ts'
import { equalInTheEnd, Lab, pings, run } from './lab.ts'

/** A driver under test, with the options its networks need. */
export type DriverUnderTest = { driver: NetworkDriver; options: Record<string, string> } & Disposable

/** Opens a driver in a lab; `socket` stands in the host's namespace. */
export type OpenDriver = (lab: Lab, socket: NetlinkSocket) => DriverUnderTest

function networkOf(driver: NetworkDriver, options: Record<string, string>): NetworkRecord {
  const pool = { subnet: '10.252.7.0/24', range: '', gateway: '10.252.7.1', auxiliary: {}, asked: true }
  return {
    id: networkId(randomIds.hex64()),
    name: 'contract',
    created: '2020-01-01T00:00:00Z',
    driver: driver.name,
    enableIPv4: true,
    enableIPv6: false,
    internal: false,
    attachable: false,
    ingress: false,
    configOnly: false,
    configFrom: '',
    ipamDriver: 'default',
    ipamOptions: null,
    ipv4: [pool],
    ipv6: [],
    options,
    labels: {},
  }
}

function planOf(last: number, driverOptions: Record<string, string> = {}): EndpointPlan {
  const address = parseIp(`10.252.7.${last}`)
  assert.ok(address)
  const mac = Buffer.from([2, 0x42, 10, 252, 7, last])
  return {
    id: randomIds.hex64(),
    mac,
    addresses: [{ address, prefixLength: 24, linkLocal: false }],
    driverOptions,
  }
}

/** Links of the host that are nobody else's: those of the network, by its id, and of the lab. */
function hostLinks(lab: Lab, network: NetworkRecord): string[] {
  const names = run(undefined, 'ip', '-o', 'link').output.matchAll(/^\d+: ([^:@]+)/gm)
  return [...names]
    .map((match) => match[1] ?? '')
    .filter((name) => name.includes(network.id.slice(0, 12)) || name.startsWith(lab.settings.instance))
    .toSorted()
}

/** Runs the suite for a driver. */
export function driverContract(title: string, open: OpenDriver): void {
  const setUp = async (
    check: (parts: DriverUnderTest & { lab: Lab; network: NetworkRecord }) => void | Promise<void>,
  ) => {
    await using lab = await Lab.start({ warmSandboxes: 0 })
    using socket = new NetlinkSocket(netlinkProtocols.route)
    using under = open(lab, socket)
    const { driver, options } = under
    const network = networkOf(driver, options)
    driver.validate(network)
    const before = hostLinks(lab, network)
    driver.create(network)
    try {
      await check({ ...under, lab, network })
    } finally {
      driver.remove(network)
      driver.remove(network)
    }
    await equalInTheEnd(
      () => hostLinks(lab, network),
      before,
      'remove() leaves no link, and may be called again',
    )
  }
  const box = (lab: Lab) => Sandbox.create(`${lab.root}/boxes`)
  const ending = (sandbox: Sandbox): Disposable => ({ [Symbol.dispose]: () => sandbox.remove() })

  test(`${title}: join() makes a link that is up, with its addresses; leave() takes it away, twice`, async () => {
    await setUp(({ driver, lab, network }) => {
      const sandbox = box(lab)
      using _end = ending(sandbox)
      const link = driver.join(network, sandbox, planOf(2))
      assert.equal(link.name, 'eth0')
      const found = sandbox.findLink('eth0')
      assert.equal(found?.index, link.index)
      assert.equal(found.up, true)
      if (link.mac === undefined) assert.deepEqual([...found.address], [2, 0x42, 10, 252, 7, 2])
      assert.match(run(sandbox.path, 'ip', '-4', '-o', 'addr').output, /eth0 +inet 10\.252\.7\.2\/24/)
      driver.leave(sandbox, link)
      driver.leave(sandbox, link)
      assert.deepEqual(
        sandbox.links().map((one) => one.name),
        ['lo'],
      )
    })
  })

  test(`${title}: create() of what is there already changes nothing for those on it`, async () => {
    await setUp(({ driver, lab, network }) => {
      const [one, two] = [box(lab), box(lab)]
      using _one = ending(one)
      using _two = ending(two)
      driver.join(network, one, planOf(2))
      driver.create(network)
      driver.join(network, two, planOf(3))
      assert.equal(pings(one.path, '10.252.7.3'), true)
    })
  })

  test(`${title}: a join() that fails leaves nothing`, async () => {
    await setUp(async ({ driver, lab, network }) => {
      const sandbox = box(lab)
      using _end = ending(sandbox)
      const links = hostLinks(lab, network)
      const taken = planOf(2, { 'com.docker.network.endpoint.ifname': 'lo' })
      assert.throws(() => driver.join(network, sandbox, taken))
      assert.deepEqual(
        sandbox.links().map((one) => one.name),
        ['lo'],
      )
      await equalInTheEnd(() => hostLinks(lab, network), links, 'no end of a link on the host')
    })
  })

  test(`${title}: links are called as the network and the endpoint want it`, async () => {
    await setUp(({ driver, lab, network }) => {
      const sandbox = box(lab)
      using _end = ending(sandbox)
      const prefixed = {
        ...network,
        options: { ...network.options, 'com.docker.network.container_iface_prefix': 'lan' },
      }
      assert.equal(driver.join(prefixed, sandbox, planOf(2)).name, 'lan0')
      const named = planOf(3, { 'com.docker.network.endpoint.ifname': 'wan7' })
      assert.equal(driver.join(network, sandbox, named).name, 'wan7')
    })
  })
}
