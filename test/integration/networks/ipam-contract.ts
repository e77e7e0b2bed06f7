/** What every driver of address management must do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  contains,
  formatIp,
  overlaps,
  parseIp,
  parsePrefix,
  type IpAddress,
  type IpPrefix,
} from '../../../src/networks/ip-address.ts'
import {
  requestAddress,
  type AddressPool,
  type IpamDriver,
  type PoolRequest,
} from '../../../src/networks/ipam.ts'

function prefix(text: string): IpPrefix {
  const parsed = parsePrefix(text)
  assert.ok(parsed)
  return parsed
}

function request(fields: Partial<PoolRequest> = {}): PoolRequest {
  return { family: 4, exclude: [], options: {}, ...fields }
}

/** Takes an address as the engine does, from wherever the pool is kept. */
async function take(pool: AddressPool, address?: IpAddress): Promise<IpAddress> {
  const given = await requestAddress(pool, address, { kind: 'endpoint', mac: '02:42:00:00:00:01' })
  assert.ok(given)
  return given
}

/** Runs the suite for a driver. `words` are those of its refusals, which are its own where it is a plugin. */
export function ipamContract(
  title: string,
  open: () => IpamDriver | Promise<IpamDriver>,
  words = {
    full: 'no available addresses on this pool',
    foreign: 'requested address is out of range',
    overlap: 'invalid pool request: Pool overlaps with other one on this address space',
  },
): void {
  test(`${title}: a pool gives every address once, none that has a meaning, and takes them back`, async () => {
    const pool = await (await open()).requestPool(request({ subnet: prefix('10.9.8.0/28') }))
    const given = new Set<string>()
    for (let count = 0; count < 14; count++) {
      const address = await take(pool)
      assert.equal(contains(pool.subnet, address), true)
      given.add(formatIp(address))
    }
    assert.equal(given.size, 14)
    assert.equal(given.has('10.9.8.0') || given.has('10.9.8.15'), false)
    await assert.rejects(take(pool), { message: words.full })
    const back = parseIp('10.9.8.7')
    assert.ok(back)
    await assert.rejects(take(pool, back), { message: 'Address already in use' })
    pool.release(back)
    pool.release(back)
    assert.deepEqual(await take(pool), back)
    if (pool.usage !== undefined) assert.deepEqual(pool.usage(), { inUse: 16n, available: 0n })
  })

  test(`${title}: addresses come from the range, fixed ones from all of the subnet`, async () => {
    const [subnet, range] = [prefix('10.9.0.0/16'), prefix('10.9.3.0/30')]
    const pool = await (await open()).requestPool(request({ subnet, range }))
    assert.equal(contains(range, await take(pool)), true)
    const [fixed, foreign] = [parseIp('10.9.200.1'), parseIp('10.10.0.1')]
    assert.ok(fixed && foreign)
    assert.deepEqual(await take(pool, fixed), fixed)
    await assert.rejects(take(pool, foreign), { message: words.foreign })
  })

  test(`${title}: subnets never overlap, neither each other nor what the host uses, until they are closed`, async () => {
    const driver = await open()
    const first = await driver.requestPool(request())
    const second = await driver.requestPool(request({ exclude: [first.subnet] }))
    assert.equal(overlaps(first.subnet, second.subnet), false)
    await assert.rejects(async () => driver.requestPool(request({ subnet: first.subnet })), {
      message: words.overlap,
    })
    first.close()
    first.close()
    await first.settled?.()
    await driver.requestPool(request({ subnet: first.subnet }))
  })

  test(`${title}: IPv6 subnets are chosen and given from, too`, async () => {
    const pool = await (await open()).requestPool(request({ family: 6 }))
    const [one, two] = [await take(pool), await take(pool)]
    assert.equal(one.family, 6)
    assert.notEqual(one.value, two.value)
  })
}
