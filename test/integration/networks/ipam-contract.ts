/** What every driver of address management must do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  contains,
  formatIp,
  overlaps,
  parseIp,
  parsePrefix,
  type IpPrefix,
} from '../../../src/networks/ip-address.ts'
import type { IpamDriver, PoolRequest } from '../../../src/networks/ipam.ts'

function prefix(text: string): IpPrefix {
  const parsed = parsePrefix(text)
  assert.ok(parsed)
  return parsed
}

function request(fields: Partial<PoolRequest> = {}): PoolRequest {
  return { family: 4, exclude: [], options: {}, ...fields }
}

/** Runs the suite for a driver. */
export function ipamContract(title: string, open: () => IpamDriver): void {
  test(`${title}: a pool gives every address once, none that has a meaning, and takes them back`, () => {
    const pool = open().requestPool(request({ subnet: prefix('10.9.8.0/28') }))
    const given = new Set<string>()
    for (let count = 0; count < 14; count++) {
      const address = pool.request()
      assert.equal(contains(pool.subnet, address), true)
      given.add(formatIp(address))
    }
    assert.equal(given.size, 14)
    assert.equal(given.has('10.9.8.0') || given.has('10.9.8.15'), false)
    assert.throws(() => pool.request(), { message: 'no available addresses on this pool' })
    const back = parseIp('10.9.8.7')
    assert.ok(back)
    assert.throws(() => pool.request(back), { message: 'Address already in use' })
    pool.release(back)
    pool.release(back)
    assert.deepEqual(pool.request(), back)
  })

  test(`${title}: addresses come from the range, fixed ones from all of the subnet`, () => {
    const [subnet, range] = [prefix('10.9.0.0/16'), prefix('10.9.3.0/30')]
    const pool = open().requestPool(request({ subnet, range }))
    assert.equal(contains(range, pool.request()), true)
    const [fixed, foreign] = [parseIp('10.9.200.1'), parseIp('10.10.0.1')]
    assert.ok(fixed && foreign)
    assert.deepEqual(pool.request(fixed), fixed)
    assert.throws(() => pool.request(foreign), { message: 'requested address is out of range' })
  })

  test(`${title}: subnets never overlap, neither each other nor what the host uses, until they are closed`, () => {
    const driver = open()
    const first = driver.requestPool(request())
    const second = driver.requestPool(request({ exclude: [first.subnet] }))
    assert.equal(overlaps(first.subnet, second.subnet), false)
    const avoided = open().requestPool(request({ exclude: [first.subnet] }))
    assert.equal(overlaps(avoided.subnet, first.subnet), false)
    assert.throws(() => driver.requestPool(request({ subnet: first.subnet })), {
      message: 'invalid pool request: Pool overlaps with other one on this address space',
    })
    first.close()
    first.close()
    driver.requestPool(request({ subnet: first.subnet }))
  })

  test(`${title}: IPv6 subnets are chosen and given from, too`, () => {
    const pool = open().requestPool(request({ family: 6 }))
    const [one, two] = [pool.request(), pool.request()]
    assert.equal(one.family, 6)
    assert.notEqual(one.value, two.value)
  })
}
