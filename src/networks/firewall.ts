/**
 * The firewall: one nftables table of ours, beside whatever the host has. Sets name the bridges and subnets, maps
 * lead from a published host port to its container; a start or stop is one transaction on map elements, and no
 * packet meets more rules because there are more ports.
 *
 * An `accept` here ends only our own chains: a host rule that drops a packet in a table of its own still drops it.
 * The chain `user-forward` is made once, empty, and never touched again: an administrator's rules for traffic to
 * and from containers go there, and are asked before ours.
 */
import { Nftables, NftablesError } from '../kernel/nftables.ts'
import type { TransportProtocol } from '../kernel/netns-socket.ts'
import type { Log } from '../lib/log.ts'
import { formatIp, formatPrefix, isUnspecified, type IpAddress, type IpPrefix } from './ip-address.ts'

/** What the firewall knows of a bridge network. */
export type BridgeRules = {
  bridge: string
  subnets: IpPrefix[]
  /** Nothing goes out of it and nothing comes in. */
  internal: boolean
  /** Containers may talk with each other. */
  interContainer: boolean
  /** Families whose outgoing connections take the host's address. */
  masquerade: readonly (4 | 6)[]
  /** Families whose container addresses may be reached from outside without a published port (`nat-unprotected`). */
  open: readonly (4 | 6)[]
}

/** A published port: packets to `host` go to `container`. A `host` of 0.0.0.0 or :: stands for all addresses. */
export type PublishedPort = {
  protocol: TransportProtocol
  host: IpAddress
  hostPort: number
  container: IpAddress
  containerPort: number
  /** Without translation: only lets packets to the container's own address and port through. */
  routed: boolean
}

/** Our table in the host's namespace. */
export class Firewall implements Disposable {
  readonly #table: string
  readonly #log: Log
  readonly #families: readonly (4 | 6)[]
  #nftables: Nftables | undefined

  /** `name` is the table's; several instances have one each. Of families that are not named no packet is touched. */
  constructor(name: string, log: Log, families: readonly (4 | 6)[] = [4, 6]) {
    this.#table = `inet ${name}`
    this.#log = log
    this.#families = families
  }

  /** Makes the table or brings it up to date. Port maps stay as they are, so that running containers keep theirs. */
  setup(bridges: BridgeRules[]): void {
    if (this.#families.length === 0) return this.teardown()
    const text =
      tableText(this.#table, this.#families) + bridges.map((rules) => this.#bridgeText('add', rules)).join('')
    this.#run(text)
  }

  /** Removes the table and all in it. */
  teardown(): void {
    this.#transact(`add table ${this.#table}\ndelete table ${this.#table}\n`)
  }

  /** A bridge network comes. */
  addBridge(rules: BridgeRules): void {
    this.#run(this.#bridgeText('add', rules))
  }

  /** A bridge network goes. */
  removeBridge(rules: BridgeRules): void {
    this.#runTolerant(this.#bridgeText('delete', rules))
  }

  /** Opens ports, all or none. */
  publish(ports: PublishedPort[]): void {
    if (ports.length > 0) this.#run(this.#portsText('add', ports))
  }

  /** Closes ports; those that are closed already do not matter. */
  unpublish(ports: PublishedPort[]): void {
    if (ports.length > 0) this.#runTolerant(this.#portsText('delete', ports))
  }

  /** Closes some ports and opens others, at once. */
  republish(before: PublishedPort[], after: PublishedPort[]): void {
    if (before.length + after.length === 0) return
    this.#run(this.#portsText('delete', before) + this.#portsText('add', after))
  }

  /** Makes these the only published ports, at once. */
  replacePublished(ports: PublishedPort[]): void {
    const flush = portMaps.map((name) => `flush map ${this.#table} ${name}\n`).join('')
    const flushRouted = routedSets.map((name) => `flush set ${this.#table} ${name}\n`).join('')
    this.#run(flush + flushRouted + this.#portsText('add', ports))
  }

  [Symbol.dispose](): void {
    this.#nftables?.[Symbol.dispose]()
    this.#nftables = undefined
  }

  #bridgeText(verb: 'add' | 'delete', rules: BridgeRules): string {
    const element = (set: string, value: string) => `${verb} element ${this.#table} ${set} { ${value} }\n`
    const name = `"${rules.bridge}"`
    let text = element('bridges', name)
    if (rules.interContainer) text += element('intra', `${name} . ${name}`)
    if (rules.internal) text += element('internal', name)
    for (const family of rules.open) text += element(`open${family}`, name)
    for (const subnet of rules.subnets) {
      const suffix = subnet.address.family
      text += element(`subnets${suffix}`, `${name} . ${formatPrefix(subnet)}`)
      if (rules.masquerade.includes(suffix) && !rules.internal)
        text += element(`masquerade${suffix}`, formatPrefix(subnet))
    }
    return text
  }

  #portsText(verb: 'add' | 'delete', ports: PublishedPort[]): string {
    const known = ports.filter((port) => this.#families.includes(port.container.family))
    return known.map((port) => `${verb} element ${this.#table} ${portElement(port)}\n`).join('')
  }

  #run(text: string): void {
    if (text !== '' && this.#families.length > 0) this.#transact(text)
  }

  #transact(text: string): void {
    this.#nftables ??= new Nftables()
    this.#nftables.run(text)
  }

  /** All at once if possible, else command by command, leaving out what fails. */
  #runTolerant(text: string): void {
    try {
      this.#run(text)
    } catch (error) {
      if (!(error instanceof NftablesError)) throw error
      for (const line of text.trimEnd().split('\n')) {
        try {
          this.#run(`${line}\n`)
        } catch (single) {
          if (!(single instanceof NftablesError)) throw single
          this.#log.debug('firewall element was gone already', { line, error: single.text })
        }
      }
    }
  }
}

const portMaps = ['ports4', 'anyports4', 'ports6', 'anyports6']
const routedSets = ['routed4', 'routed6']

function portElement(port: PublishedPort): string {
  const family = port.container.family
  const target = `${formatIp(port.container)} . ${port.containerPort}`
  if (port.routed) {
    return `routed${family} { ${formatIp(port.container)} . ${port.protocol} . ${port.containerPort} }`
  }
  return isUnspecified(port.host)
    ? `anyports${family} { ${port.protocol} . ${port.hostPort} : ${target} }`
    : `ports${family} { ${formatIp(port.host)} . ${port.protocol} . ${port.hostPort} : ${target} }`
}

/** The table with its chains rebuilt, its sets of bridges empty, its port maps untouched. */
function tableText(table: string, families: readonly (4 | 6)[]): string {
  return `${declarations(table)}${rules(table, families)}`
}

function declarations(table: string): string {
  const set = (name: string, type: string, flags = '') =>
    `add set ${table} ${name} { type ${type}; ${flags} }\nflush set ${table} ${name}\n`
  const family = (suffix: 4 | 6) => {
    const address = `ipv${suffix}_addr`
    const service = 'inet_proto . inet_service'
    return [
      set(`subnets${suffix}`, `ifname . ${address}`, 'flags interval;'),
      set(`masquerade${suffix}`, address, 'flags interval;'),
      `add set ${table} routed${suffix} { type ${address} . ${service}; }\n`,
      `add map ${table} ports${suffix} { type ${address} . ${service} : ${address} . inet_service; }\n`,
      `add map ${table} anyports${suffix} { type ${service} : ${address} . inet_service; }\n`,
    ].join('')
  }
  return [
    `add table ${table}\n`,
    set('bridges', 'ifname'),
    set('intra', 'ifname . ifname'),
    set('internal', 'ifname'),
    set('open4', 'ifname'),
    set('open6', 'ifname'),
    family(4),
    family(6),
  ].join('')
}

const pass6 = 'meta nfproto ipv6 accept'

function rules(table: string, families: readonly (4 | 6)[]): string {
  // Without IPv6 there is nothing that matches it, but for the first rule of the chain that would drop it.
  const has6 = families.includes(6)
  const concerns = (line: string) => has6 || line === pass6 || !/\bip6 |ipv6/.test(line)
  const chain = (name: string, hook: string, lines: string[]) =>
    [
      `add chain ${table} ${name} ${hook === '' ? '' : `{ type ${hook}; policy accept; }`}\n`,
      `flush chain ${table} ${name}\n`,
      ...lines.filter(concerns).map((line) => `add rule ${table} ${name} ${line}\n`),
    ].join('')
  return [
    `add chain ${table} user-forward\n`,
    chain('publish', '', [
      'dnat ip to ip daddr . meta l4proto . th dport map @ports4',
      'dnat ip to meta l4proto . th dport map @anyports4',
      // Nothing routes a packet from ::1 to another host: connections to [::1] are relayed.
      'ip6 daddr ::1 return',
      'dnat ip6 to ip6 daddr . meta l4proto . th dport map @ports6',
      'dnat ip6 to meta l4proto . th dport map @anyports6',
    ]),
    // Bridges route 127/8 for ports published on the host's loopback; containers must not reach it through that.
    chain('raw', 'filter hook prerouting priority raw', ['iifname @bridges ip daddr 127.0.0.0/8 drop']),
    chain('prerouting', 'nat hook prerouting priority dstnat', ['fib daddr type local jump publish']),
    chain('output', 'nat hook output priority -100', ['fib daddr type local jump publish']),
    chain('postrouting', 'nat hook postrouting priority srcnat', [
      // Back into the subnet it came from through a published port: the answer must come back this way too.
      'oifname . ip saddr @subnets4 ct status dnat masquerade',
      'oifname . ip saddr @subnets4 return',
      'oifname . ip6 saddr @subnets6 ct status dnat masquerade',
      'oifname . ip6 saddr @subnets6 return',
      'oifname @bridges ip saddr 127.0.0.0/8 masquerade',
      'ip saddr @masquerade4 masquerade',
      'ip6 saddr @masquerade6 masquerade',
    ]),
    chain('forward', 'filter hook forward priority filter', [
      ...(has6 ? [] : [pass6]),
      'iifname @bridges jump user-forward',
      'iifname != @bridges oifname @bridges jump user-forward',
      'ct state established,related accept',
      'iifname . oifname @intra accept',
      'iifname @internal drop',
      'oifname @internal drop',
      'ct status dnat accept',
      'meta nfproto ipv4 oifname @open4 accept',
      'meta nfproto ipv6 oifname @open6 accept',
      'ip daddr . meta l4proto . th dport @routed4 accept',
      'ip6 daddr . meta l4proto . th dport @routed6 accept',
      'oifname @bridges drop',
    ]),
  ].join('')
}
