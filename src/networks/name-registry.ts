/** Who is called what on which network: the names that containers resolve. */
import { formatIp, parseIp, type IpAddress } from './ip-address.ts'

/** An endpoint's entry. The first name answers reverse lookups. */
export type NameEntry = { names: string[]; addresses: IpAddress[] }

type NetworkNames = {
  entries: Map<string, NameEntry>
  byName: Map<string, Set<string>>
  byAddress: Map<string, string>
}

/** Names by network and endpoint. Names match whatever their case. */
export class NameRegistry {
  readonly #networks = new Map<string, NetworkNames>()

  /** Sets an endpoint's names and addresses, in place of those it had. */
  set(networkId: string, endpointId: string, entry: NameEntry): void {
    this.remove(networkId, endpointId)
    let network = this.#networks.get(networkId)
    if (network === undefined) {
      network = { entries: new Map(), byName: new Map(), byAddress: new Map() }
      this.#networks.set(networkId, network)
    }
    network.entries.set(endpointId, entry)
    for (const name of entry.names) {
      const key = name.toLowerCase()
      const holders = network.byName.get(key) ?? new Set()
      network.byName.set(key, holders.add(endpointId))
    }
    const [first] = entry.names
    if (first === undefined) return
    for (const address of entry.addresses) network.byAddress.set(formatIp(address), first)
  }

  /** Idempotent. */
  remove(networkId: string, endpointId: string): void {
    const network = this.#networks.get(networkId)
    const entry = network?.entries.get(endpointId)
    if (network === undefined || entry === undefined) return
    network.entries.delete(endpointId)
    for (const name of entry.names) {
      const key = name.toLowerCase()
      const holders = network.byName.get(key)
      holders?.delete(endpointId)
      if (holders?.size === 0) network.byName.delete(key)
    }
    for (const address of entry.addresses) {
      const key = formatIp(address)
      if (network.byAddress.get(key) === entry.names[0]) network.byAddress.delete(key)
    }
    if (network.entries.size === 0) this.#networks.delete(networkId)
  }

  /** All addresses of a name on a network, both families; undefined when nobody has that name. */
  lookup(networkId: string, name: string): IpAddress[] | undefined {
    const network = this.#networks.get(networkId)
    const holders = network?.byName.get(name.toLowerCase())
    if (network === undefined || holders === undefined) return undefined
    return [...holders].flatMap((holder) => network.entries.get(holder)?.addresses ?? [])
  }

  /** The first name of the endpoint that has the address. */
  nameOf(networkId: string, address: string): string | undefined {
    const parsed = parseIp(address)
    return parsed === undefined ? undefined : this.#networks.get(networkId)?.byAddress.get(formatIp(parsed))
  }
}

/** A network as one container sees it: `links` are further names for others (`alias` to name). */
export type VisibleNetwork = { id: string; name: string; links: ReadonlyMap<string, string> }

/** The addresses of a name as asked (`db`, `db.network`), over the container's networks in order. */
export function resolveName(
  registry: NameRegistry,
  networks: readonly VisibleNetwork[],
  asked: string,
): IpAddress[] | undefined {
  const name = asked.toLowerCase()
  for (const [host, networkName] of splits(name)) {
    const visible = networks.filter(
      (network) => networkName === '' || network.name.toLowerCase() === networkName,
    )
    for (const network of visible) {
      const target = network.links.get(host)
      const linked = target === undefined ? undefined : registry.lookup(network.id, target)
      if (linked !== undefined) return linked
    }
    for (const network of visible) {
      const found = registry.lookup(network.id, host)
      if (found !== undefined) return found
    }
  }
  return undefined
}

/** `NAME.NETWORK` of an address on one of the container's networks. */
export function resolveAddress(
  registry: NameRegistry,
  networks: readonly VisibleNetwork[],
  address: string,
): string | undefined {
  for (const network of networks) {
    const name = registry.nameOf(network.id, address)
    if (name !== undefined) return `${name}.${network.name}`
  }
  return undefined
}

/** The name alone, then every way to read it as name and network: either may hold dots. */
function splits(name: string): [string, string][] {
  const found: [string, string][] = [[name, '']]
  for (let dot = name.lastIndexOf('.'); dot > 0; dot = name.lastIndexOf('.', dot - 1)) {
    found.push([name.slice(0, dot), name.slice(dot + 1)])
  }
  return found
}
