/** Published ports of a container: what was asked for, the host ports held for it, and what the firewall needs. */
import { EngineError, errorCode } from '../spec/errors.ts'
import type { PortMap } from '../spec/container-config.ts'
import type { TransportProtocol } from '../kernel/netns-socket.ts'
import type { PublishedPort } from './firewall.ts'
import { formatIp, parseIp, type IpAddress } from './ip-address.ts'
import type { HeldPort, PortReservations } from './port-reservations.ts'

/** A binding as asked for: a container port, a host address or none, a host port, a range or any. */
export type PortWish = {
  protocol: TransportProtocol
  containerPort: number
  hostAddress: string
  first: number
  last: number
  /** For a binding that is there already: it is a port of the host, or lets through to a routed address. */
  again?: 'held' | 'routed'
}

/** A binding as it is: kept beside the sandbox. */
export type PortRecord = {
  protocol: TransportProtocol
  containerPort: number
  hostAddress: string
  hostPort: number
}

/** Reads `80/tcp`. Throws invalid. */
export function parsePortKey(key: string): { protocol: TransportProtocol; port: number } {
  const match = /^(\d{1,5})(?:\/([a-zA-Z]+))?$/.exec(key)
  const port = Number(match?.[1])
  const protocol = (match?.[2] ?? 'tcp').toLowerCase()
  if (match === null || port > 65_535) {
    throw new EngineError('invalid', `invalid port specification: ${JSON.stringify(key.split('/')[0])}`)
  }
  if (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp') {
    throw new EngineError('invalid', `invalid proto: ${protocol}`)
  }
  return { protocol, port }
}

/** All that is to be published: bindings as asked for, and with `all` every exposed port without one. */
export function portWishes(bindings: PortMap, exposed: string[], all: boolean): PortWish[] {
  const wishes: PortWish[] = []
  const bound = new Set<string>()
  for (const [key, list] of Object.entries(bindings ?? {})) {
    const { protocol, port } = parsePortKey(key)
    bound.add(`${port}/${protocol}`)
    for (const { HostIp, HostPort } of list ?? []) {
      if (HostIp !== '' && parseIp(HostIp) === undefined) {
        throw new EngineError('invalid', `invalid IP address: ${HostIp}`)
      }
      wishes.push({ protocol, containerPort: port, hostAddress: HostIp, ...parseHostPort(HostPort) })
    }
  }
  for (const key of all ? exposed : []) {
    const { protocol, port } = parsePortKey(key)
    if (bound.has(`${port}/${protocol}`)) continue
    wishes.push({ protocol, containerPort: port, hostAddress: '', first: 0, last: 0 })
  }
  // A port of its own choice first: a range must not take what another binding names.
  return wishes.toSorted((a, b) => wishRank(a) - wishRank(b) || a.containerPort - b.containerPort)
}

function wishRank(wish: PortWish): number {
  if (wish.first === 0) return 2
  return wish.first === wish.last ? 0 : 1
}

function parseHostPort(text: string): { first: number; last: number } {
  if (text === '') return { first: 0, last: 0 }
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text)
  const first = Number(match?.[1])
  const last = Number(match?.[2] ?? match?.[1])
  if (match === null || last > 65_535 || first > last) {
    throw new EngineError('invalid', `invalid port specification: ${JSON.stringify(text)}`)
  }
  return { first, last }
}

/** Where a container's ports lead: its addresses on the network that publishes them. */
export type PortTarget = { address4: string; address6: string; routed4: boolean; routed6: boolean }

/** Host addresses that a wish means. IPv6 needs a container with IPv6, or a stream that can be relayed. */
function wishAddresses(
  wish: PortWish,
  target: PortTarget,
  { publishAddress: fallback, relays }: { publishAddress: string; relays: boolean },
): IpAddress[] {
  const text = wish.hostAddress === '' ? fallback : wish.hostAddress
  const address = text === '' ? undefined : parseIp(text)
  if (address !== undefined) {
    return (address.family === 4 ? target.routed4 : target.routed6) ? [] : [address]
  }
  const canReach6 = target.address6 !== '' || (relays && wish.protocol === 'tcp')
  return [
    ...(target.address4 === '' || target.routed4 ? [] : [parseIp('0.0.0.0')]),
    ...(canReach6 && !target.routed6 ? [parseIp('::')] : []),
  ].filter((any) => any !== undefined)
}

/** A way in that is relayed. */
type Relay = { held: HeldPort; address: IpAddress; containerPort: number }

/** Held host ports of one container. Disposing lets go of them. */
export class PublishedPorts implements Disposable {
  readonly records: PortRecord[]
  readonly #owned: DisposableStack
  readonly #relays: Relay[]

  private constructor(records: PortRecord[], owned: DisposableStack, relays: Relay[]) {
    this.records = records
    this.#owned = owned
    this.#relays = relays
  }

  /** Holds the ports of all wishes, or none. Where the firewall does not translate, all streams are relayed, if any. */
  static reserve(
    wishes: PortWish[],
    target: PortTarget,
    options: { reservations: PortReservations; publishAddress: string; translates: boolean; relays: boolean },
  ): PublishedPorts {
    using undo = new DisposableStack()
    if (wishes.length > 0) undo.defer(() => options.reservations.settle())
    const records: PortRecord[] = []
    const relays: Relay[] = []
    for (const wish of wishes) {
      const { protocol, containerPort } = wish
      const isRouted4 = target.routed4 && target.address4 !== ''
      const isRouted6 = target.routed6 && target.address6 !== ''
      if ((isRouted4 || isRouted6) && wish.again !== 'held') {
        records.push({ protocol, containerPort, hostAddress: '', hostPort: 0 })
      }
      const isRouted = (isRouted4 || target.address4 === '') && (isRouted6 || target.address6 === '')
      const addresses = isRouted ? [] : wishAddresses(wish, target, options)
      if (addresses.length === 0 || wish.again === 'routed') continue
      const held = holdPort(wish, target, { ...options, addresses })
      undo.use(held)
      for (const address of held.addresses) {
        records.push({ protocol, containerPort, hostAddress: formatIp(address), hostPort: held.port })
        if (!options.relays || protocol !== 'tcp' || (address.family === 4 && options.translates)) continue
        held.relay(address, relayTarget(target, containerPort))
        relays.push({ held, address, containerPort })
      }
    }
    return new PublishedPorts(records, undo.move(), relays)
  }

  /** The connections taken over go to another address from now on. */
  retarget(target: PortTarget): void {
    for (const { held, address, containerPort } of this.#relays) {
      held.relay(address, relayTarget(target, containerPort))
    }
  }

  [Symbol.dispose](): void {
    this.#owned.dispose()
  }
}

function relayTarget(target: PortTarget, port: number): { host: string; port: number } {
  return { host: target.address6 === '' ? target.address4 : target.address6, port }
}

function holdPort(
  wish: PortWish,
  target: PortTarget,
  options: { reservations: PortReservations; addresses: IpAddress[] },
): HeldPort {
  const { addresses } = options
  const shown = target.address4 === '' ? `[${target.address6}]` : target.address4
  const request = {
    protocol: wish.protocol,
    first: wish.first,
    last: wish.last,
    target: `${shown}:${wish.containerPort}/${wish.protocol}`,
  }
  try {
    return options.reservations.reserve({ ...request, addresses })
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined
    const hasNoIpv6 = errorCode(cause) === 'EAFNOSUPPORT' || errorCode(cause) === 'EADDRNOTAVAIL'
    const rest = addresses.filter((address) => address.family === 4)
    if (!hasNoIpv6 || rest.length === 0 || rest.length === addresses.length) throw error
    return options.reservations.reserve({ ...request, addresses: rest })
  }
}

/** What the firewall has to lead where. */
export function firewallPorts(records: PortRecord[], target: PortTarget): PublishedPort[] {
  return records.flatMap((record) => {
    const host = parseIp(record.hostAddress)
    const base = { protocol: record.protocol, hostPort: record.hostPort, containerPort: record.containerPort }
    if (host === undefined) return routedPorts(base, target)
    const container = parseIp(host.family === 4 ? target.address4 : target.address6)
    return container === undefined ? [] : [{ ...base, host, container, routed: false }]
  })
}

function routedPorts(
  base: Pick<PublishedPort, 'protocol' | 'hostPort' | 'containerPort'>,
  target: PortTarget,
): PublishedPort[] {
  return [target.routed4 ? target.address4 : '', target.routed6 ? target.address6 : '']
    .map(parseIp)
    .filter((address) => address !== undefined)
    .map((address) => ({ ...base, host: address, container: address, routed: true }))
}

/** The port map of inspect: published ports with their host address, exposed ones with null. */
export function portMap(records: PortRecord[], exposed: string[]): PortMap {
  const map: NonNullable<PortMap> = {}
  for (const key of exposed) {
    const { protocol, port } = parsePortKey(key)
    map[`${port}/${protocol}`] = null
  }
  for (const record of records) {
    const key = `${record.containerPort}/${record.protocol}`
    const list = map[key] ?? []
    list.push({
      HostIp: record.hostAddress,
      HostPort: record.hostPort === 0 ? '' : String(record.hostPort),
    })
    map[key] = list
  }
  return map
}

/** The wishes that lead to the same bindings again: how an adopted container's ports are held anew. */
export function wishesOf(records: PortRecord[]): PortWish[] {
  return records.map((record) => ({
    protocol: record.protocol,
    containerPort: record.containerPort,
    hostAddress: record.hostAddress,
    first: record.hostPort,
    last: record.hostPort,
    again: record.hostPort === 0 ? 'routed' : 'held',
  }))
}
