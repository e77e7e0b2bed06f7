/** A network as it is kept: plain data, one row each. */
import { randomBytes } from 'node:crypto'
import type { NetworkId } from '../spec/ids.ts'
import { EngineError } from '../spec/errors.ts'
import type { PoolRecord } from './pool-record.ts'

/** See the file's head. Once made, a network never changes. */
export type NetworkRecord = {
  id: NetworkId
  name: string
  /** RFC 3339 with nanoseconds. */
  created: string
  driver: string
  /** How far it reaches, where that is beyond this machine. */
  scope?: 'global'
  enableIPv4: boolean
  enableIPv6: boolean
  internal: boolean
  attachable: boolean
  ingress: boolean
  configOnly: boolean
  configFrom: string
  ipamDriver: string
  ipamOptions: Record<string, string> | null
  ipv4: PoolRecord[]
  ipv6: PoolRecord[]
  options: Record<string, string>
  labels: Record<string, string>
}

/** Names of the networks that are always there. */
const predefinedNetworks: readonly string[] = ['bridge', 'host', 'none']

/** Whether the name is that of a predefined network, or `default`, which stands for one. */
export function isPredefined(name: string): boolean {
  return predefinedNetworks.includes(name) || name === 'default'
}

/** Options of the bridge driver, by Docker's names. */
export const bridgeOptions = {
  name: 'com.docker.network.bridge.name',
  icc: 'com.docker.network.bridge.enable_icc',
  masquerade: 'com.docker.network.bridge.enable_ip_masquerade',
  hostBinding4: 'com.docker.network.bridge.host_binding_ipv4',
  isDefault: 'com.docker.network.bridge.default_bridge',
  gatewayMode4: 'com.docker.network.bridge.gateway_mode_ipv4',
  gatewayMode6: 'com.docker.network.bridge.gateway_mode_ipv6',
  inhibit4: 'com.docker.network.bridge.inhibit_ipv4',
  mtu: 'com.docker.network.driver.mtu',
  interfacePrefix: 'com.docker.network.container_iface_prefix',
} as const

const booleans: Record<string, boolean> = {
  1: true,
  t: true,
  T: true,
  true: true,
  TRUE: true,
  True: true,
  0: false,
  f: false,
  F: false,
  false: false,
  FALSE: false,
  False: false,
}

/** An option's truth as Go reads it; `fallback` where it is not given. Throws invalid. */
export function booleanOption(options: Record<string, string>, key: string, fallback: boolean): boolean {
  const text = options[key]
  if (text === undefined) return fallback
  const value = booleans[text]
  if (value === undefined) {
    throw unparsable(key, text, `strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`)
  }
  return value
}

/** What is said of an option whose value cannot be read, with Go's reason. */
export function unparsable(key: string, text: string, reason: string): EngineError {
  return new EngineError('invalid', `failed to parse ${key} value: ${text} (${reason})`)
}

/** The network's MTU, or `fallback`. Throws invalid. */
export function mtuOption(options: Record<string, string>, fallback: number): number {
  const text = options[bridgeOptions.mtu]
  if (text === undefined) return fallback
  const value = Number(text)
  if (!/^[+-]?\d+$/.test(text)) {
    const reason = `strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`
    throw unparsable(bridgeOptions.mtu, text, reason)
  }
  if (value < 0 || value > 65_535) throw new EngineError('invalid', `invalid MTU number: ${text}`)
  return value === 0 ? fallback : value
}

/** The host's link of a bridge network. */
export function bridgeLinkName(network: NetworkRecord): string {
  return network.options[bridgeOptions.name] ?? `br-${network.id.slice(0, 12)}`
}

/** A random local unicast hardware address with Docker's first bytes. */
export function randomMac(): Buffer {
  return Buffer.concat([Buffer.from([0x02, 0x42]), randomBytes(4)])
}
