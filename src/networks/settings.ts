/** What the daemon's configuration says about networks. Every kernel object's name comes from here. */
import type { IdMapping } from '../lib/id-mapping.ts'
import { dockerDefaultPools, type DefaultPool } from './ipam.ts'

/** Settings of one daemon's networks. */
export type NetworkDaemonSettings = {
  /** Name of the nftables table; several daemons on a host differ in it. */
  instance: string
  /** Directory that is gone after a reboot: namespaces and what they belong to. */
  runRoot: string
  /** The program that resolves names (`build/wharf-net`). */
  keeperProgram: string
  /** The program that makes user namespaces (`build/wharf-shim`). */
  namespaceProgram: string
  /** What ids of containers are on the host; undefined for the same. */
  ids: IdMapping | undefined
  /** The default network's bridge; `none` for no default network. */
  bridgeName: string
  /** First letters of links on the host's side, at most 7. */
  linkPrefix: string
  /** Namespaces kept ready for the next containers. */
  warmSandboxes: number
  /** Address and prefix of the default bridge, empty to choose (daemon.json `bip`). */
  bip: string
  /** Range of the default bridge's addresses, empty for all (`fixed-cidr`). */
  fixedCidr: string
  /** `ipv6`: the default bridge has IPv6. */
  ipv6: boolean
  /** Its IPv6 address and prefix, empty to choose (`bip6`). */
  bip6: string
  /** Range of its IPv6 addresses; without `bip6` its IPv6 subnet, empty to choose (`fixed-cidr-v6`). */
  fixedCidr6: string
  /** Where its containers' default routes lead, empty for the bridge (`default-gateway`, `default-gateway-v6`). */
  defaultGateway4: string
  defaultGateway6: string
  defaultAddressPools: readonly DefaultPool[]
  /** ULA prefix that IPv6 subnets are cut from. */
  uniqueLocalPrefix: string
  /** Options that networks of a driver get unless they have them (`default-network-opts`). */
  defaultNetworkOptions: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** Host address of ports published without one; empty for all, both families (`ip`). */
  publishAddress: string
  mtu: number
  interContainer: boolean
  masquerade: boolean
  /** Whether to make rules in the host's firewall (`iptables`). Without, nothing is translated or kept apart. */
  firewall: boolean
  /** The same for IPv6 alone (`ip6tables`). */
  firewall6: boolean
  /** Whether to relay connections that the firewall cannot lead to a container (`userland-proxy`). */
  relays: boolean
  /** Whether to switch on forwarding in the kernel (`ip-forward`). */
  enableForwarding: boolean
  /** What `host-gateway` stands for; empty for the default bridge's gateway (`host-gateway-ips`). */
  hostGatewayAddresses: readonly string[]
  /** The daemon's own `dns`, `dns-search`, `dns-opts`. */
  dns: readonly string[]
  dnsSearch: readonly string[]
  dnsOptions: readonly string[]
}

/** The settings of a daemon that was configured with nothing. */
export const defaultNetworkSettings: NetworkDaemonSettings = {
  instance: 'wharf',
  runRoot: '/run/wharf',
  keeperProgram: 'wharf-net',
  namespaceProgram: 'wharf-shim',
  ids: undefined,
  bridgeName: 'wharf0',
  linkPrefix: 'veth',
  warmSandboxes: 4,
  bip: '',
  fixedCidr: '',
  ipv6: false,
  bip6: '',
  fixedCidr6: '',
  defaultGateway4: '',
  defaultGateway6: '',
  defaultAddressPools: dockerDefaultPools,
  uniqueLocalPrefix: 'fdc7:ab12:5d00::/48',
  defaultNetworkOptions: {},
  publishAddress: '',
  mtu: 1500,
  interContainer: true,
  masquerade: true,
  firewall: true,
  firewall6: true,
  relays: true,
  enableForwarding: true,
  hostGatewayAddresses: [],
  dns: [],
  dnsSearch: [],
  dnsOptions: [],
}
