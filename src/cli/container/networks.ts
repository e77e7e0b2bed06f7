/** `--network`, in its short and long forms, and the flags that speak of the first network. Error texts are Docker's. */
import { parseInteger } from '../../lib/flags.ts'
import { cut, parseCsvRecord } from './csv.ts'

/** One network asked for. */
export type NetworkAttachment = {
  target: string
  aliases: string[]
  driverOptions: Record<string, string>
  links: string[]
  ip: string
  ip6: string
  linkLocalIps: string[]
  macAddress: string
  gatewayPriority: number
}

/** The flags that speak of the first network. */
export type FirstNetworkFlags = {
  aliases: readonly string[]
  links: readonly string[]
  ip: string
  ip6: string
  linkLocalIps: readonly string[]
  macAddress: string
}

function attachment(target: string): NetworkAttachment {
  return {
    target,
    aliases: [],
    driverOptions: {},
    links: [],
    ip: '',
    ip6: '',
    linkLocalIps: [],
    macAddress: '',
    gatewayPriority: 0,
  }
}

function setField(network: NetworkAttachment, field: string): void {
  const [name, raw] = cut(field, '=')
  const key = name.trim().toLowerCase()
  if (raw === undefined || key === '') throw new Error(`invalid field ${field}`)
  const value = raw.trim()
  switch (key) {
    case 'name':
      network.target = value
      break
    case 'alias':
      network.aliases.push(value)
      break
    case 'driver-opt': {
      const [option, setting] = cut(value, '=')
      if (setting === undefined) throw new Error('invalid key value pair format in driver options')
      network.driverOptions[option.toLowerCase()] = setting
      break
    }
    case 'ip':
      network.ip = value
      break
    case 'ip6':
      network.ip6 = value
      break
    case 'mac-address':
      network.macAddress = value
      break
    case 'link-local-ip':
      network.linkLocalIps.push(value)
      break
    case 'gw-priority':
      network.gatewayPriority = gatewayPriority(value)
      break
    default:
      throw new Error(`invalid field key ${key}`)
  }
}

function gatewayPriority(value: string): number {
  try {
    return parseInteger(value)
  } catch (error) {
    throw new Error(`invalid gw-priority (${value}): invalid syntax`, { cause: error })
  }
}

/** Reads one `--network` value. */
export function parseNetwork(text: string): NetworkAttachment {
  if (!/\w+=\w+(,\w+=\w+)*/.test(text)) return attachment(text)
  const network = attachment('')
  for (const field of parseCsvRecord(text)) setField(network, field)
  if (network.target === '') throw new Error('network name/id is not specified')
  return network
}

/** Whether the mode names a network of the user's making. */
export function isUserDefined(mode: string): boolean {
  return !['default', 'bridge', 'host', 'none', ''].includes(mode) && !mode.startsWith('container:')
}

function applyFlags(network: NetworkAttachment, flags: FirstNetworkFlags): void {
  const conflict = (both: boolean, text: string) => {
    if (both) throw new Error(`conflicting options: cannot specify both ${text}`)
  }
  conflict(network.aliases.length > 0 && flags.aliases.length > 0, '--network-alias and per-network alias')
  conflict(network.links.length > 0 && flags.links.length > 0, '--link and per-network links')
  conflict(network.ip !== '' && flags.ip !== '', '--ip and per-network IPv4 address')
  conflict(network.ip6 !== '' && flags.ip6 !== '', '--ip6 and per-network IPv6 address')
  conflict(network.macAddress !== '' && flags.macAddress !== '', '--mac-address and per-network MAC address')
  conflict(
    network.linkLocalIps.length > 0 && flags.linkLocalIps.length > 0,
    '--link-local-ip and per-network link-local IP addresses',
  )
  if (flags.aliases.length > 0) network.aliases = [...flags.aliases]
  if (flags.links.length > 0 && isUserDefined(network.target)) network.links = [...flags.links]
  if (flags.ip !== '') network.ip = flags.ip
  if (flags.ip6 !== '') network.ip6 = flags.ip6
  if (flags.macAddress !== '') network.macAddress = flags.macAddress
  if (flags.linkLocalIps.length > 0) network.linkLocalIps = [...flags.linkLocalIps]
}

function endpointSettings(network: NetworkAttachment): Record<string, unknown> {
  if (network.target.trim() === '') throw new Error('no name set for network')
  if (!isUserDefined(network.target)) {
    if (network.aliases.length > 0) {
      throw new Error('network-scoped aliases are only supported for user-defined networks')
    }
    if (network.links.length > 0) throw new Error('links are only supported for user-defined networks')
  }
  const settings: Record<string, unknown> = {}
  if (network.aliases.length > 0) settings['Aliases'] = network.aliases
  if (Object.keys(network.driverOptions).length > 0) settings['DriverOpts'] = network.driverOptions
  if (network.links.length > 0) settings['Links'] = network.links
  if (network.ip !== '' || network.ip6 !== '' || network.linkLocalIps.length > 0) {
    settings['IPAMConfig'] = {
      ...(network.ip === '' ? {} : { IPv4Address: network.ip }),
      ...(network.ip6 === '' ? {} : { IPv6Address: network.ip6 }),
      ...(network.linkLocalIps.length === 0 ? {} : { LinkLocalIPs: network.linkLocalIps }),
    }
  }
  if (network.macAddress !== '') settings['MacAddress'] = checkMac(network.macAddress)
  if (network.gatewayPriority !== 0) settings['GwPriority'] = network.gatewayPriority
  return settings
}

/** Checks a MAC address. */
export function checkMac(text: string): string {
  if (!/^([0-9a-fA-F]{2}([:-]|$)){6}$/.test(text)) throw new Error(`${text} is not a valid mac address`)
  return text
}

/** The network mode and the endpoints of a create request. */
export function parseNetworks(
  networks: readonly NetworkAttachment[],
  flags: FirstNetworkFlags,
): { mode: string; endpoints: Record<string, unknown> } {
  const endpoints: Record<string, unknown> = {}
  const asked = networks.length === 0 ? [attachment('default')] : networks.map((network) => ({ ...network }))
  asked.forEach((network, index) => {
    if (index === 0) applyFlags(network, flags)
    const settings = endpointSettings(network)
    if (Object.hasOwn(endpoints, network.target)) {
      throw new Error(`network ${JSON.stringify(network.target)} is specified multiple times`)
    }
    if (asked.length > 1 || Object.keys(settings).length > 0) endpoints[network.target] = settings
  })
  const own = asked.filter((network) => isUserDefined(network.target)).length
  if (own > 0 && own < asked.length) {
    throw new Error('conflicting options: cannot attach both user-defined and non-user-defined network-modes')
  }
  return { mode: asked[0]?.target ?? 'default', endpoints }
}
