/** Whether the settings of networks make sense: addresses, ranges, name servers, packet sizes. */
import {
  addressBits,
  contains,
  formatPrefix,
  masked,
  parseIp,
  parsePrefix,
  samePrefix,
  type IpPrefix,
} from '../networks/ip-address.ts'
import { EngineError } from '../spec/errors.ts'
import type { Settings } from './config-values.ts'

/** Throws `invalid` for the first that does not. */
export function checkNetworkValues(settings: Settings): void {
  checkBridge(settings, 4)
  checkBridge(settings, 6)
  checkAddress('ip', settings.text('ip'))
  for (const address of settings.list('host-gateway-ips')) checkAddress('host-gateway-ips', address)
  for (const address of settings.list('dns')) {
    if (parseIp(address) === undefined) {
      throw invalid('dns', `ip address is not correctly formatted: ${JSON.stringify(address)}`)
    }
  }
  for (const domain of settings.list('dns-search')) {
    if (!isSearchDomain(domain)) throw invalid('dns-search', `${domain} is not a valid domain`)
  }
  for (const option of settings.list('dns-opts')) {
    // One more line in resolv.conf would say something else.
    if (option.trim() === '' || /[\n\r]/.test(option)) {
      throw invalid('dns-opts', `${JSON.stringify(option)} is not a resolver option`)
    }
  }
  checkPools(settings)
  const mtu = settings.number('mtu', 0)
  // 68 is the least that carries IPv4 (RFC 791), 65535 the most that a bridge takes.
  if (mtu !== 0 && (mtu < 68 || mtu > 65_535)) {
    throw new EngineError('invalid', `invalid default MTU: ${mtu}`)
  }
}

function invalid(key: string, message: string): EngineError {
  return new EngineError('invalid', `${key}: ${message}`)
}

const keysOf = {
  4: { bip: 'bip', range: 'fixed-cidr', gateway: 'default-gateway' },
  6: { bip: 'bip6', range: 'fixed-cidr-v6', gateway: 'default-gateway-v6' },
} as const

function checkBridge(settings: Settings, family: 4 | 6): void {
  const keys = keysOf[family]
  const bip = prefixOf(settings, keys.bip, family)
  const range = prefixOf(settings, keys.range, family)
  const gateway = settings.text(keys.gateway)
  if (bip !== undefined && isNetworkAddress(bip)) {
    throw invalid(keys.bip, `${settings.text(keys.bip)} is the address of the subnet itself`)
  }
  if (bip !== undefined && range !== undefined) {
    if (range.length < bip.length || !contains(bip, range.address)) {
      throw invalid(keys.range, `${settings.text(keys.range)} is not within ${settings.text(keys.bip)}`)
    }
  }
  if (gateway === '') return
  const address = parseIp(gateway)
  if (address?.family !== family) throw invalid(keys.gateway, `invalid IP address: ${gateway}`)
  const subnet = bip ?? range
  if (subnet !== undefined && !contains(subnet, address)) {
    const pool = formatPrefix(masked(subnet))
    throw invalid(
      keys.gateway,
      `auxiliary address: (DefaultGatewayIPv${family}:${gateway}) must belong to the master pool: ${pool}`,
    )
  }
}

function prefixOf(settings: Settings, key: string, family: 4 | 6): IpPrefix | undefined {
  const text = settings.text(key)
  if (text === '') return undefined
  const prefix = parsePrefix(text)
  if (prefix?.address.family === family) return prefix
  throw invalid(key, `invalid CIDR address: ${text}`)
}

function isNetworkAddress(prefix: IpPrefix): boolean {
  const bits = addressBits(prefix.address.family)
  return prefix.length < bits - 1 && prefix.address.value === masked(prefix).address.value
}

function checkAddress(key: string, text: string): void {
  if (text !== '' && parseIp(text) === undefined) throw invalid(key, `invalid IP address: ${text}`)
}

const label = /^[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?$/

// moby opts/opts.go, ValidateDNSSearch: a lone dot is no domain at all, and all digits are none either.
function isSearchDomain(text: string): boolean {
  const domain = text.replace(/^ +| +$/g, '')
  if (domain === '.') return true
  const labels = domain.replace(/\.$/, '').split('.')
  return domain.length < 255 && /[a-zA-Z]/.test(domain) && labels.every((part) => label.test(part))
}

function checkPools(settings: Settings): void {
  const key = 'default-address-pools'
  const known: IpPrefix[] = []
  for (const { base, size } of settings.pools()) {
    const prefix = parsePrefix(base)
    const quoted = JSON.stringify(base)
    if (prefix === undefined) throw invalid(key, `invalid base pool ${quoted}: invalid CIDR address: ${base}`)
    if (!Number.isInteger(size) || size < prefix.length || size > addressBits(prefix.address.family)) {
      throw invalid(key, `invalid pool size ${size} for base pool ${quoted}`)
    }
    if (known.some((other) => samePrefix(masked(other), masked(prefix)))) {
      throw invalid(key, `base pool ${quoted} is given twice`)
    }
    known.push(prefix)
  }
}
