/** The networks that are always there, as the daemon's settings want them. */
import { EngineError } from '../spec/errors.ts'
import type { NetworkId } from '../spec/ids.ts'
import { formatIp, formatPrefix, masked, parsePrefix } from './ip-address.ts'
import type { PoolRecord } from './pool-record.ts'
import { bridgeOptions, type NetworkRecord } from './network-record.ts'
import type { NetworkDaemonSettings } from './settings.ts'

/** An id and a time for a network that is new. */
export type Birth = { id: NetworkId; created: string }

function base(name: string, driver: string, birth: Birth): NetworkRecord {
  return {
    ...birth,
    name,
    driver,
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
  }
}

/** The network `host` or `none`. */
export function specialNetwork(name: 'host' | 'none', birth: Birth): NetworkRecord {
  return base(name, name === 'host' ? 'host' : 'null', birth)
}

/**
 * The network `bridge`. Where the settings leave its subnet open, `former` says what it was before. Throws invalid
 * for settings that make no sense.
 */
export function defaultBridge(
  settings: NetworkDaemonSettings,
  birth: Birth,
  former: NetworkRecord | undefined,
): NetworkRecord {
  return {
    ...base('bridge', 'bridge', former === undefined ? birth : { id: former.id, created: former.created }),
    enableIPv6: settings.ipv6,
    ipv4: bridgePools(settings, former),
    ipv6: bridgePools6(settings, former),
    options: {
      [bridgeOptions.isDefault]: 'true',
      [bridgeOptions.icc]: String(settings.interContainer),
      [bridgeOptions.masquerade]: String(settings.masquerade),
      [bridgeOptions.hostBinding4]: settings.publishAddress === '' ? '0.0.0.0' : settings.publishAddress,
      [bridgeOptions.name]: settings.bridgeName,
      [bridgeOptions.mtu]: String(settings.mtu),
    },
  }
}

function bridgePools(settings: NetworkDaemonSettings, former: NetworkRecord | undefined): PoolRecord[] {
  const range = prefixSetting('fixed-cidr', settings.fixedCidr)
  if (settings.bip === '') {
    if (range !== undefined) {
      return [{ subnet: range, range: '', gateway: '', auxiliary: {}, asked: false }]
    }
    return (former?.ipv4 ?? []).map((pool) => ({ ...pool, asked: false }))
  }
  const bip = parsePrefix(settings.bip)
  if (bip === undefined || bip.address.family !== 4) {
    throw new EngineError('invalid', `invalid bip: ${settings.bip}`)
  }
  return [
    {
      subnet: formatPrefix(masked(bip)),
      range: range ?? '',
      gateway: formatIp(bip.address),
      auxiliary: {},
      asked: false,
    },
  ]
}

function bridgePools6(settings: NetworkDaemonSettings, former: NetworkRecord | undefined): PoolRecord[] {
  if (!settings.ipv6) return []
  const subnet = prefixSetting('fixed-cidr-v6', settings.fixedCidr6)
  if (subnet === undefined) return former?.ipv6 ?? []
  return [{ subnet, range: '', gateway: '', auxiliary: {}, asked: false }]
}

function prefixSetting(name: string, text: string): string | undefined {
  if (text === '') return undefined
  const prefix = parsePrefix(text)
  if (prefix === undefined) throw new EngineError('invalid', `invalid ${name}: ${text}`)
  return formatPrefix(masked(prefix))
}
