/** What daemon.json says about networks, as networks/ takes it. */
import { defaultNetworkSettings, type NetworkDaemonSettings } from '../networks/settings.ts'
import type { Settings } from './config-values.ts'

/** See the file's head. `instance` names the kernel's objects of this daemon apart from another's; empty for the usual names. */
export function networkSettings(
  settings: Settings,
  surroundings: Pick<NetworkDaemonSettings, 'keeperProgram' | 'namespaceProgram' | 'ids'> & {
    execRoot: string
    instance: string
  },
): NetworkDaemonSettings {
  const defaults = defaultNetworkSettings
  const { instance, execRoot, ...programs } = surroundings
  const own = instance === ''
  const pools = settings.pools()
  return {
    ...defaults,
    instance: own ? defaults.instance : instance,
    runRoot: execRoot,
    ...programs,
    bridgeName: settings.text('bridge', own ? defaults.bridgeName : `${instance}b`.slice(-15)),
    linkPrefix: own ? defaults.linkPrefix : instance.slice(0, 7),
    bip: settings.text('bip'),
    fixedCidr: settings.text('fixed-cidr'),
    ipv6: settings.flag('ipv6'),
    bip6: settings.text('bip6'),
    fixedCidr6: settings.text('fixed-cidr-v6'),
    defaultGateway4: settings.text('default-gateway'),
    defaultGateway6: settings.text('default-gateway-v6'),
    defaultAddressPools:
      pools.length === 0 ? defaults.defaultAddressPools : pools.map(({ base, size }) => ({ base, size })),
    defaultNetworkOptions: nestedTexts(settings.record('default-network-opts')),
    publishAddress: settings.text('ip'),
    mtu: settings.number('mtu', defaults.mtu),
    interContainer: settings.flag('icc', true),
    masquerade: settings.flag('ip-masq', true),
    firewall: settings.flag('iptables', true),
    firewall6: settings.flag('ip6tables', true),
    relays: settings.flag('userland-proxy', true),
    enableForwarding: settings.flag('ip-forward', true),
    hostGatewayAddresses: settings.list('host-gateway-ips'),
    dns: settings.list('dns'),
    dnsSearch: settings.list('dns-search'),
    dnsOptions: settings.list('dns-opts'),
  }
}

function nestedTexts(record: Record<string, unknown>): Record<string, Record<string, string>> {
  return Object.fromEntries(
    Object.entries(record).map(([name, value]) => [
      name,
      Object.fromEntries(
        Object.entries(typeof value === 'object' && value !== null ? value : {}).map(([key, text]) => [
          key,
          String(text),
        ]),
      ),
    ]),
  )
}
