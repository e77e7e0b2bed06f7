/** The networks that are always there, as the daemon's settings want them. */
import { EngineError } from '../spec/errors.ts'
import type { NetworkId } from '../spec/ids.ts'
import { formatIp, formatPrefix, masked, parseIp, parsePrefix } from './ip-address.ts'
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
  return poolsOf(4, former?.ipv4 ?? [], {
    bip: settings.bip,
    range: prefixSetting('fixed-cidr', settings.fixedCidr),
    auxiliary: gatewayOf('DefaultGatewayIPv4', settings.defaultGateway4, 4),
  })
}

function bridgePools6(settings: NetworkDaemonSettings, former: NetworkRecord | undefined): PoolRecord[] {
  if (!settings.ipv6) return []
  return poolsOf(6, former?.ipv6 ?? [], {
    bip: settings.bip6,
    range: prefixSetting('fixed-cidr-v6', settings.fixedCidr6),
    auxiliary: gatewayOf('DefaultGatewayIPv6', settings.defaultGateway6, 6),
  })
}

function poolsOf(
  family: 4 | 6,
  former: PoolRecord[],
  wanted: { bip: string; range: string | undefined; auxiliary: Record<string, string> },
): PoolRecord[] {
  const { bip: text, range, auxiliary } = wanted
  const open = { range: '', gateway: '', auxiliary, asked: false }
  if (text !== '') {
    const bip = parsePrefix(text)
    if (bip?.address.family !== family) {
      throw new EngineError('invalid', `invalid ${family === 4 ? 'bip' : 'bip6'}: ${text}`)
    }
    const subnet = formatPrefix(masked(bip))
    return [{ ...open, subnet, range: range ?? '', gateway: formatIp(bip.address) }]
  }
  if (range !== undefined) return [{ ...open, subnet: range }]
  if (former.length === 0 && Object.keys(auxiliary).length > 0) return [{ ...open, subnet: '' }]
  return former.map((pool) => ({ ...pool, auxiliary, asked: false }))
}

/** Docker's way to keep it: an address of the pool's that is called so. */
function gatewayOf(key: string, text: string, family: 4 | 6): Record<string, string> {
  if (text === '') return {}
  if (parseIp(text)?.family === family) return { [key]: text }
  throw new EngineError('invalid', `invalid default-gateway${family === 4 ? '' : '-v6'}: ${text}`)
}

function prefixSetting(name: string, text: string): string | undefined {
  if (text === '') return undefined
  const prefix = parsePrefix(text)
  if (prefix === undefined) throw new EngineError('invalid', `invalid ${name}: ${text}`)
  return formatPrefix(masked(prefix))
}
