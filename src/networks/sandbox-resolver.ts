/**
 * The resolver at 127.0.0.11 of one sandbox. Its sockets stand inside the sandbox's namespace on ports of the
 * kernel's choice, so that a container can have a name server of its own on port 53; a rule in there leads to them.
 */
import { bindSocket } from '../kernel/netns-socket.ts'
import type { NetworkNamespace } from '../kernel/netns.ts'
import { Nftables } from '../kernel/nftables.ts'
import type { ResolverSockets } from './keeper-process.ts'

/** Where the resolver is reached inside every sandbox. */
export const resolverAddress = '127.0.0.11'

/** Ports inside the sandbox. 0 lets the kernel choose. */
export type DnsPorts = { udp: number; tcp: number }

const addressBytes = Buffer.from([127, 0, 0, 11])
const backlog = 64

/** Opens the sockets inside a sandbox. `ports` are those of before, for one that is adopted. */
export function openResolverSockets(namespace: NetworkNamespace, ports: DnsPorts): ResolverSockets {
  return namespace.run(() => {
    using undo = new DisposableStack()
    const udp = undo.use(bindSocket({ protocol: 'udp', address: addressBytes, port: ports.udp }))
    const tcp = undo.use(bindSocket({ protocol: 'tcp', address: addressBytes, port: ports.tcp }))
    tcp.listen(backlog)
    undo.move()
    return { udp, tcp }
  })
}

/** Leads port 53 of the resolver's address to the sockets. Once in a sandbox's life. */
export function redirectResolver(namespace: NetworkNamespace, ports: DnsPorts): void {
  const table = 'ip wharf-dns'
  const text = [
    `add table ${table}`,
    `flush table ${table}`,
    `add chain ${table} output { type nat hook output priority -100; policy accept; }`,
    `add rule ${table} output ip daddr ${resolverAddress} udp dport 53 dnat to ${resolverAddress}:${ports.udp}`,
    `add rule ${table} output ip daddr ${resolverAddress} tcp dport 53 dnat to ${resolverAddress}:${ports.tcp}`,
    '',
  ].join('\n')
  namespace.run(() => {
    using nftables = new Nftables()
    nftables.run(text)
  })
}
