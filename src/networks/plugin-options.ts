/** What network plugins are told, in libnetwork's words (netlabel, driverapi, portallocator types). */
import type { OutsidePorts } from './driver.ts'
import { parsePrefix } from './ip-address.ts'
import type { NetworkRecord } from './network-record.ts'
import type { PoolRecord } from './pool-record.ts'
import { parsePortKey, type PortWish } from './published-ports.ts'

const protocolNumbers = { tcp: 6, udp: 17, sctp: 132 } as const

/** The body of `CreateNetwork`. */
export function networkRequest(network: NetworkRecord): object {
  return {
    NetworkID: network.id,
    Options: {
      'com.docker.network.enable_ipv4': network.enableIPv4,
      'com.docker.network.enable_ipv6': network.enableIPv6,
      'com.docker.network.generic': network.options,
      ...(network.internal ? { 'com.docker.network.internal': true } : {}),
    },
    IPv4Data: network.ipv4.map(poolData),
    IPv6Data: network.ipv6.map(poolData),
  }
}

function poolData({ subnet, gateway, auxiliary, reference }: PoolRecord): object {
  const length = parsePrefix(subnet)?.length ?? 0
  const names = Object.entries(auxiliary)
  return {
    AddressSpace: reference?.space ?? 'LocalDefault',
    Pool: subnet,
    ...(gateway === '' ? {} : { Gateway: `${gateway}/${length}` }),
    ...(names.length === 0
      ? {}
      : { AuxAddresses: Object.fromEntries(names.map(([name, address]) => [name, `${address}/${length}`])) }),
  }
}

/** The options that tell of a container's ports. */
export function portOptions({ published, exposed }: OutsidePorts): object {
  return {
    'com.docker.network.endpoint.exposedports': exposed.map((key) => {
      const { protocol, port } = parsePortKey(key)
      return { Proto: protocolNumbers[protocol], Port: port }
    }),
    'com.docker.network.portmap': published.map(binding),
  }
}

function binding(wish: PortWish): object {
  return {
    Proto: protocolNumbers[wish.protocol],
    IP: '',
    Port: wish.containerPort,
    HostIP: wish.hostAddress,
    HostPort: wish.first,
    HostPortEnd: wish.last,
  }
}
