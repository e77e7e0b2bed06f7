import assert from 'node:assert/strict'
import { test } from 'node:test'
import { networkId } from '../spec/ids.ts'
import { formatTimeNs } from '../lib/clock.ts'
import { filterNetworks, prunableNetworks } from './network-filters.ts'
import type { NetworkRecord } from './network-record.ts'

const nowNs = 1_700_000_000n * 1_000_000_000n

function network(name: string, ageSeconds: number, fields: Partial<NetworkRecord> = {}): NetworkRecord {
  return {
    id: networkId(Buffer.from(name.padEnd(32, '.')).toString('hex')),
    name,
    created: formatTimeNs(nowNs - BigInt(ageSeconds) * 1_000_000_000n),
    driver: 'bridge',
    enableIPv4: true,
    enableIPv6: false,
    internal: false,
    attachable: false,
    ingress: false,
    configOnly: false,
    configFrom: '',
    ipamDriver: 'default',
    ipamOptions: null,
    ipv4: [],
    ipv6: [],
    options: {},
    labels: {},
    ...fields,
  }
}

const networks = [
  network('bridge', 9000),
  network('host', 9000, { driver: 'host' }),
  network('front', 7200, { labels: { tier: 'web', keep: '' } }),
  network('back', 60, { labels: { tier: 'data' } }),
  network('wide', 5, { driver: 'own', scope: 'global' }),
]

test('every filter of a list, alone and together', () => {
  const cases: [Record<string, string[]>, string[]][] = [
    [{}, ['bridge', 'host', 'front', 'back', 'wide']],
    [{ driver: ['host', 'own'] }, ['host', 'wide']],
    [{ scope: ['global'] }, ['wide']],
    [{ scope: ['swarm'] }, []],
    [{ type: ['builtin'] }, ['bridge', 'host']],
    [{ type: ['custom'], name: ['a', '^fr'] }, ['front', 'back']],
    [{ name: ['['] }, []],
    [{ id: [networks[3]!.id.slice(0, 12)] }, ['back']],
    [{ label: ['tier'] }, ['front', 'back']],
    [{ label: ['tier=web', 'keep'] }, ['front']],
    [{ label: ['tier=web', 'none'] }, []],
    [{ dangling: ['1'] }, ['front', 'wide']],
    [{ dangling: ['false'] }, ['bridge', 'host', 'back']],
  ]
  for (const [filters, expected] of cases) {
    const found = filterNetworks(networks, new Map(Object.entries(filters)), ({ name }) => name === 'back')
    assert.deepEqual(
      found.map(({ name }) => name),
      expected,
      JSON.stringify(filters),
    )
  }
  const refused: [Record<string, string[]>, RegExp][] = [
    [{ until: ['1h'] }, /^invalid filter 'until'$/],
    [{ type: ['both'] }, /^invalid filter: 'type'='both'$/],
    [{ dangling: ['true', 'false'] }, /^got more than one value for filter key "dangling"$/],
  ]
  for (const [filters, message] of refused) {
    assert.throws(() => filterNetworks(networks, new Map(Object.entries(filters)), () => false), { message })
  }
})

test('prune takes what is old enough and labelled so, never what is predefined', () => {
  const cases: [Record<string, string[]>, string[]][] = [
    [{}, ['front', 'back', 'wide']],
    [{ until: ['1h'] }, ['front']],
    [{ until: ['30s'] }, ['front', 'back']],
    [{ until: ['1h30m'] }, ['front']],
    [{ until: [String(1_700_000_000 - 3600)] }, ['front']],
    [{ until: ['2023-11-14T22:13:00Z'] }, ['front', 'back']],
    [{ until: ['2001-01-01'] }, []],
    [{ label: ['tier'] }, ['front', 'back']],
    [{ 'label!': ['tier=web'] }, ['back', 'wide']],
    [{ label: ['tier'], 'label!': ['keep'] }, ['back']],
  ]
  for (const [filters, expected] of cases) {
    const found = prunableNetworks(networks, new Map(Object.entries(filters)), nowNs)
    assert.deepEqual(
      found.map(({ name }) => name),
      expected,
      JSON.stringify(filters),
    )
  }
  const refused: [Record<string, string[]>, RegExp][] = [
    [{ driver: ['x'] }, /^invalid filter 'driver'$/],
    [{ until: ['1h', '2h'] }, /^more than one until filter specified$/],
    [{ until: ['soon'] }, /^failed to parse value as time or duration: "soon"$/],
  ]
  for (const [filters, message] of refused) {
    assert.throws(() => prunableNetworks(networks, new Map(Object.entries(filters)), nowNs), { message })
  }
})
