/**
 * Settings of Docker's that this engine knows and cannot follow. Those whose absence would leave somebody less
 * protected, or waiting for something, are refused; the rest only tune what is done another way here, and are named in
 * the log, so that a `daemon.json` made for Docker still works.
 */
import { EngineError } from '../spec/errors.ts'
import type { Settings } from './config-values.ts'

const refusals: Readonly<Record<string, string>> = {
  'authorization-plugins': 'plugins that decide about requests',
  'metrics-addr': 'a metrics address',
}

const ineffective = [
  'allow-direct-routing',
  'allow-nondistributable-artifacts',
  'bridge-accept-fwmark',
  'builder',
  'containerd',
  'containerd-namespace',
  'containerd-plugin-namespace',
  'cri-containerd',
  'features',
  'ip-forward-no-drop',
  'network-control-plane-mtu',
  'network-diagnostic-port',
  'node-generic-resources',
  'oom-score-adjust',
  'raw-logs',
  'swarm-default-advertise-addr',
  'userland-proxy-path',
]

/** Throws `invalid` for a setting that must not be taken as if it were followed. */
export function refuseUnsupported(settings: Settings): void {
  for (const [key, what] of Object.entries(refusals)) {
    if (isSet(settings, key)) throw new EngineError('invalid', `${key}: this engine does not support ${what}`)
  }
  if (settings.flag('selinux-enabled')) {
    throw new EngineError('invalid', 'selinux-enabled: this engine does not label containers for SELinux')
  }
  if (settings.flag('rootless')) {
    throw new EngineError('invalid', 'rootless: this engine does not run without root')
  }
  const backend = settings.text('firewall-backend')
  if (!['', 'iptables', 'nftables'].includes(backend)) {
    throw new EngineError(
      'invalid',
      `firewall-backend ${JSON.stringify(backend)} is not known: there is nftables`,
    )
  }
  for (const option of settings.list('exec-opts')) {
    if (option === 'native.cgroupdriver=cgroupfs') continue
    const [name = ''] = option.split('=')
    const reason =
      name === 'native.cgroupdriver' ? 'this engine manages cgroups through cgroupfs' : 'unknown option'
    throw new EngineError('invalid', `invalid exec-opt ${option}: ${reason}`)
  }
}

/** Keys that were set and change nothing. */
export function ineffectiveKeys(settings: Settings): string[] {
  const keys = ineffective.filter((key) => isSet(settings, key))
  return settings.text('firewall-backend', 'nftables') === 'nftables' ? keys : [...keys, 'firewall-backend']
}

function isSet(settings: Settings, key: string): boolean {
  const value = settings.entries().get(key)
  if (value === undefined || value === '' || value === null) return false
  return typeof value !== 'object' || Object.keys(value).length > 0
}
