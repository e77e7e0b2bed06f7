import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatIp, formatPrefix, parseIp, parsePrefix, type IpPrefix } from './ip-address.ts'
import { DefaultIpam, dockerDefaultPools } from './ipam.ts'
import { openPool } from './pool-record.ts'

const none = { exclude: [] as IpPrefix[], options: {} }
const ipam = () => new DefaultIpam(dockerDefaultPools, 'fd12:3456:789a::/48')

test('default subnets come in Docker order and go round what the host uses', () => {
  const driver = ipam()
  const exclude = [
    parsePrefix('172.18.5.0/24')!,
    parsePrefix('172.20.0.0/14')!,
    parsePrefix('172.24.0.0/14')!,
  ]
  const got = Array.from({ length: 6 }, () => driver.requestPool({ family: 4, exclude, options: {} }).subnet)
  assert.deepEqual(got.map(formatPrefix), [
    '172.17.0.0/16',
    '172.19.0.0/16',
    '172.28.0.0/16',
    '172.29.0.0/16',
    '172.30.0.0/16',
    '172.31.0.0/16',
  ])
})

test('default pools end', () => {
  const driver = ipam()
  for (let count = 0; count < 31; count++) driver.requestPool({ family: 4, ...none })
  assert.throws(
    () => driver.requestPool({ family: 4, ...none }),
    /all predefined address pools have been fully subnetted/,
  )
})

test('IPv6 subnets are cut from the unique local prefix', () => {
  const driver = ipam()
  assert.equal(formatPrefix(driver.requestPool({ family: 6, ...none }).subnet), 'fd12:3456:789a::/64')
  assert.equal(formatPrefix(driver.requestPool({ family: 6, ...none }).subnet), 'fd12:3456:789a:1::/64')
})

test('a subnet that overlaps another is refused until that one is closed', () => {
  const driver = ipam()
  const subnet = parsePrefix('10.1.0.0/16')!
  const pool = driver.requestPool({ family: 4, subnet, ...none })
  assert.throws(() => driver.requestPool({ family: 4, subnet: parsePrefix('10.1.2.0/24')!, ...none }), {
    kind: 'forbidden',
    message: 'invalid pool request: Pool overlaps with other one on this address space',
  })
  pool.close()
  driver.requestPool({ family: 4, subnet, ...none })
})

test('addresses: lowest free first, bounds reserved, used up', () => {
  const pool = ipam().requestPool({ family: 4, subnet: parsePrefix('10.0.0.0/29')!, ...none })
  const got = Array.from({ length: 6 }, () => formatIp(pool.request()))
  assert.deepEqual(got, ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6'])
  assert.throws(() => pool.request(), /no available addresses on this pool/)
  pool.release(parseIp('10.0.0.3')!)
  assert.equal(formatIp(pool.request()), '10.0.0.3')
  assert.throws(() => pool.request(parseIp('10.0.0.3')), {
    kind: 'forbidden',
    message: 'Address already in use',
  })
  assert.throws(() => pool.request(parseIp('10.0.1.3')), /out of range/)
})

test('openPool() takes gateway, range and auxiliary addresses', async () => {
  const record = {
    subnet: '10.2.0.0/16',
    range: '10.2.3.0/24',
    gateway: '10.2.0.9',
    auxiliary: { router: '10.2.3.0' },
    asked: true,
  }
  const { pool, gateway } = await openPool(ipam(), record, { family: 4, wantsGateway: true, ...none })
  assert.equal(formatIp(gateway!), '10.2.0.9')
  assert.equal(formatIp(pool.request()!), '10.2.3.1')
})

test('openPool() gives the subnet back when an auxiliary address is wrong', async () => {
  const driver = ipam()
  const record = { subnet: '10.2.0.0/16', range: '', gateway: '', auxiliary: { a: '10.3.0.1' }, asked: true }
  const open = () => openPool(driver, record, { family: 4, wantsGateway: true, ...none })
  await assert.rejects(
    open,
    /auxiliary address: \(a:10\.3\.0\.1\) must belong to the master pool: 10\.2\.0\.0\/16/,
  )
  record.auxiliary = { a: '10.2.0.1' }
  await assert.rejects(
    open,
    /failed to allocate secondary ip address \(a:10\.2\.0\.1\): Address already in use/,
  )
  record.auxiliary = { a: '10.2.0.7' }
  await open()
})
