/** What every network driver whose containers have addresses must do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { networkId } from '../../../src/spec/ids.ts'
import { NetlinkSocket, netlinkProtocols } from '../../../src/kernel/netlink.ts'
import { randomIds } from '../../../src/lib/clock.ts'
import type { EndpointPlan, JoinedLink, NetworkDriver } from '../../../src/networks/driver.ts'
import { formatIp, formatMac, parseIp } from '../../../src/networks/ip-address.ts'
import type { NetworkRecord } from '../../../src/networks/network-record.ts'
import { Sandbox } from '../../../src/networks/sandbox.ts'
import { equalInTheEnd, Lab, pings, run } from './lab.ts'

/** A driver under test, with the options its networks need. */
export type DriverUnderTest = {
  driver: NetworkDriver
  options: Record<string, string>
} & (Disposable | AsyncDisposable)

/** Opens a driver in a lab; `socket` stands in the host's namespace. */
export type OpenDriver = (lab: Lab, socket: NetlinkSocket) => DriverUnderTest | Promise<DriverUnderTest>

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

/** Endpoints of the test that runs. */
const made: string[] = []

/** Joins as the engine does: what somebody else has to make is made before, and given up when joining fails. */
async function join(
  driver: NetworkDriver,
  network: NetworkRecord,
  { sandbox, plan }: { sandbox: Sandbox; plan: EndpointPlan },
): Promise<JoinedLink> {
  const { outside } = driver
  made.push(plan.id)
  if (outside !== undefined) {
    const address = plan.addresses.map((one) => `${formatIp(one.address)}/${one.prefixLength}`)
    plan.outside = await outside.prepare(network, {
      endpointId: plan.id,
      address4: address[0] ?? '',
      address6: '',
      mac: formatMac(plan.mac),
      driverOptions: plan.driverOptions,
      sandboxKey: sandbox.path,
      ports: { published: [], exposed: [] },
    })
  }
  try {
    const link = driver.join(network, sandbox, plan)
    assert.ok(link)
    return link
  } catch (error) {
    await outside?.release(network.id, plan.id)
    throw error
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
    await using under = await open(lab, socket)
    const { driver, options } = under
    const network = networkOf(driver, options)
    driver.validate(network)
    const before = hostLinks(lab, network)
    await driver.create(network)
    try {
      await check({ ...under, lab, network })
    } finally {
      // What is left on it went with its sandbox.
      for (const id of made.splice(0)) await driver.outside?.release(network.id, id)
      await driver.remove(network)
      await driver.remove(network)
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
    await setUp(async ({ driver, lab, network }) => {
      const sandbox = box(lab)
      using _end = ending(sandbox)
      const plan = planOf(2)
      const link = await join(driver, network, { sandbox, plan })
      assert.equal(link.name, 'eth0')
      const found = sandbox.findLink('eth0')
      assert.equal(found?.index, link.index)
      assert.equal(found.up, true)
      if (link.mac === undefined) assert.deepEqual([...found.address], [2, 0x42, 10, 252, 7, 2])
      assert.match(run(sandbox.path, 'ip', '-4', '-o', 'addr').output, /eth0 +inet 10\.252\.7\.2\/24/)
      driver.leave(sandbox, link)
      driver.leave(sandbox, link)
      await driver.outside?.release(network.id, plan.id)
      assert.deepEqual(
        sandbox.links().map((one) => one.name),
        ['lo'],
      )
    })
  })

  test(`${title}: create() of what is there already changes nothing for those on it`, async () => {
    await setUp(async ({ driver, lab, network }) => {
      const [one, two] = [box(lab), box(lab)]
      using _one = ending(one)
      using _two = ending(two)
      await join(driver, network, { sandbox: one, plan: planOf(2) })
      await driver.create(network)
      await join(driver, network, { sandbox: two, plan: planOf(3) })
      assert.equal(pings(one.path, '10.252.7.3'), true)
    })
  })

  test(`${title}: a join() that fails leaves nothing`, async () => {
    await setUp(async ({ driver, lab, network }) => {
      const sandbox = box(lab)
      using _end = ending(sandbox)
      const links = hostLinks(lab, network)
      const taken = planOf(2, { 'com.docker.network.endpoint.ifname': 'lo' })
      await assert.rejects(join(driver, network, { sandbox, plan: taken }))
      assert.deepEqual(
        sandbox.links().map((one) => one.name),
        ['lo'],
      )
      await equalInTheEnd(() => hostLinks(lab, network), links, 'no end of a link on the host')
    })
  })

  test(`${title}: links are called as the network and the endpoint want it`, async () => {
    await setUp(async ({ driver, lab, network }) => {
      const sandbox = box(lab)
      using _end = ending(sandbox)
      const prefixed = {
        ...network,
        options: { ...network.options, 'com.docker.network.container_iface_prefix': 'lan' },
      }
      assert.equal((await join(driver, prefixed, { sandbox, plan: planOf(2) })).name, 'lan0')
      const named = planOf(3, { 'com.docker.network.endpoint.ifname': 'wan7' })
      assert.equal((await join(driver, network, { sandbox, plan: named })).name, 'wan7')
    })
  })
}
