import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ineffectiveKeys, refuseUnsupported } from './config-support.ts'
import { Settings } from './config-values.ts'

const settings = (entries: Record<string, unknown>) =>
  new Settings(new Map(Object.entries(entries)) as ConstructorParameters<typeof Settings>[0])

test('what would be missed is refused, what is done another way is told', () => {
  const refused: [entries: Record<string, unknown>, text: RegExp][] = [
    [{ 'authorization-plugins': ['x'] }, /^authorization-plugins: this engine does not support plugins/],
    [{ 'selinux-enabled': true }, /^selinux-enabled: /],
    [{ 'exec-opts': ['native.cgroupdriver=systemd'] }, /^invalid exec-opt native.cgroupdriver=systemd: /],
    [{ rootless: true }, /^rootless: /],
    [{ 'exec-opts': ['foo'] }, /^invalid exec-opt foo: unknown option/],
    [{ 'firewall-backend': 'pf' }, /^firewall-backend "pf" is not known: there is nftables$/],
  ]
  for (const [entries, message] of refused) {
    assert.throws(() => refuseUnsupported(settings(entries)), { kind: 'invalid', message })
  }
  refuseUnsupported(
    settings({
      'authorization-plugins': [],
      'userns-remap': 'default',
      'selinux-enabled': false,
      'exec-opts': ['native.cgroupdriver=cgroupfs'],
      'storage-opts': [],
    }),
  )
  assert.deepEqual(
    ineffectiveKeys(settings({ 'userland-proxy': false, features: {}, mtu: 1400, 'raw-logs': true })),
    ['raw-logs'],
  )
  assert.deepEqual(ineffectiveKeys(settings({ 'firewall-backend': 'nftables' })), [])
  assert.deepEqual(ineffectiveKeys(settings({ 'firewall-backend': 'iptables' })), ['firewall-backend'])
})
