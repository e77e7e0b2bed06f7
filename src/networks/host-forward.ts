/**
 * Makes room in the host's own firewall. A packet passes only if every table lets it, so where the host's FORWARD
 * chain drops by policy (Docker sets that, ufw too), our containers would reach nothing. Then a chain of ours is
 * hung at the END of FORWARD: whatever an administrator's rule there drops or rejects stays dropped, only the
 * policy's verdict is replaced, and only for packets of our bridges. What those may do, our own table decides.
 *
 * The rules are such as `iptables` itself writes, so that its listing goes on working.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { errorCode } from '../spec/errors.ts'
import { Nftables, NftablesError } from '../kernel/nftables.ts'
import type { Log } from '../lib/log.ts'

/** A chain of the host's that forwarded packets pass. */
export type ForwardChain = { family: string; table: string; chain: string; drops: boolean }

/** The forward chains in what `nft list chains` prints. */
export function parseForwardChains(listing: string): ForwardChain[] {
  const found: ForwardChain[] = []
  let table = ['', '']
  let chain = ''
  for (const line of listing.split('\n')) {
    const words = line.trim().split(/\s+/)
    if (words[0] === 'table') table = [words[1] ?? '', words[2] ?? '']
    else if (words[0] === 'chain') chain = words[1] ?? ''
    else if (/^\s*type filter hook forward /.test(line)) {
      const [family = '', name = ''] = table
      found.push({ family, table: name, chain, drops: /policy drop/.test(line) })
    }
  }
  return found
}

const families = [
  { nft: 'ip', program: 'iptables', names: '/proc/net/ip_tables_names' },
  { nft: 'ip6', program: 'ip6tables', names: '/proc/net/ip6_tables_names' },
] as const

type Family = (typeof families)[number]

/** See the file's head. */
export class HostForward implements Disposable {
  readonly #chain: string
  readonly #table: string
  readonly #log: Log
  readonly #enabled: boolean
  readonly #bridges = new Set<string>()
  readonly #warned = new Set<string>()
  #nftables: Nftables | undefined

  /** `instance` is the daemon's; the chain is called after it. One that is not `enabled` lets nothing through. */
  constructor(instance: string, log: Log, enabled = true) {
    this.#enabled = enabled
    this.#chain = forwardChainName(instance)
    this.#table = instance
    this.#log = log
  }

  /** These will come, one after the other: they are let through together with the first. */
  expect(bridges: readonly string[]): void {
    if (this.#enabled) for (const bridge of bridges) this.#bridges.add(bridge)
  }

  /** A bridge of ours comes. */
  add(bridge: string): void {
    if (!this.#enabled) return
    this.#bridges.add(bridge)
    this.check()
  }

  /** A bridge of ours goes. */
  remove(bridge: string): void {
    if (this.#bridges.delete(bridge)) this.check()
  }

  /** Sees to it that our rules are where they are needed: a firewall that reloads forgets them. Never throws. */
  check(): void {
    try {
      this.#checkNft()
      for (const family of families) this.#checkLegacy(family)
    } catch (error) {
      this.#log.warn('cannot adapt the forward chain of the host', { error })
    }
  }

  /** Takes our rules away. */
  teardown(): void {
    this.#bridges.clear()
    this.check()
  }

  [Symbol.dispose](): void {
    this.#nftables?.[Symbol.dispose]()
    this.#nftables = undefined
  }

  #checkNft(): void {
    this.#nftables ??= new Nftables()
    const chains = parseForwardChains(this.#nftables.run('list chains'))
    for (const chain of chains) {
      if (chain.family !== 'bridge' && chain.table === 'filter' && chain.chain === 'FORWARD') {
        this.#adapt(chain)
      } else if (chain.drops && chain.table !== this.#table) this.#warn(chain)
    }
  }

  #adapt({ family, drops }: ForwardChain): void {
    const nftables = (this.#nftables ??= new Nftables())
    const wanted = drops ? [...this.#bridges] : []
    const { jump, isLast } = hookOf(
      nftables.run(`list chain ${family} filter FORWARD`, { handles: true }),
      this.#chain,
    )
    const present = this.#present(nftables, family)
    const unhook = jump === undefined ? '' : `delete rule ${family} filter FORWARD handle ${jump}\n`
    if (wanted.length === 0) {
      if (present === undefined) return
      const chain = `chain ${family} filter ${this.#chain}`
      nftables.run(`${unhook}flush ${chain}\ndelete ${chain}\n`)
      return
    }
    if (isLast && present !== undefined && sameBridges(present, wanted)) return
    const hook = `add rule ${family} filter FORWARD counter jump ${this.#chain}\n`
    nftables.run(`${chainText(`${family} filter ${this.#chain}`, wanted)}${isLast ? '' : `${unhook}${hook}`}`)
    this.#log.info('the host drops what it forwards: letting the containers’ bridges through', { family })
  }

  /** The bridges that our chain names; undefined where there is no such chain. */
  #present(nftables: Nftables, family: string): string[] | undefined {
    try {
      const text = nftables.run(`list chain ${family} filter ${this.#chain}`)
      return [...text.matchAll(/iifname "([^"]+)"/g)].map((match) => match[1] ?? '')
    } catch (error) {
      if (error instanceof NftablesError) return undefined
      throw error
    }
  }

  /** The tables of `iptables-legacy` are out of nft's sight; where there are none, its program is never started. */
  #checkLegacy(family: Family): void {
    if (!hasLegacyFilter(family)) return
    const program = `${family.program}-legacy`
    const listing = run(program, ['-w', '-S'])
    if (listing === undefined) return
    const drops = /^-P FORWARD DROP$/m.test(listing)
    const lines = listing.split('\n')
    const present = lines
      .map((line) => new RegExp(`^-A ${this.#chain} -i (\\S+) -j ACCEPT$`).exec(line)?.[1])
      .filter((name) => name !== undefined)
    const forward = lines.filter((line) => line.startsWith('-A FORWARD '))
    const at = forward.indexOf(`-A FORWARD -j ${this.#chain}`)
    const isHooked = at >= 0
    const isLast = isHooked && at === forward.length - 1
    const wanted = drops ? [...this.#bridges] : []
    if (wanted.length === 0 ? !isHooked : isLast && sameBridges(present, wanted)) return
    const rules = wanted.flatMap((name) => [
      `-A ${this.#chain} -i ${name} -j ACCEPT`,
      `-A ${this.#chain} -o ${name} -j ACCEPT`,
    ])
    const unhook = isHooked ? [`-D FORWARD -j ${this.#chain}`] : []
    const end = wanted.length > 0 ? [`-A FORWARD -j ${this.#chain}`] : [`-X ${this.#chain}`]
    const text = ['*filter', `:${this.#chain} - [0:0]`, ...rules, ...unhook, ...end]
    run(`${program}-restore`, ['-w', '--noflush'], `${[...text, 'COMMIT'].join('\n')}\n`)
  }

  /** Tables that are nobody's but the administrator's are not touched. */
  #warn({ family, table, chain }: ForwardChain): void {
    const name = `${family} ${table} ${chain}`
    if (this.#warned.has(name) || this.#bridges.size === 0) return
    this.#warned.add(name)
    this.#log.warn('a chain of the host drops forwarded packets: containers need rules of its own there', {
      chain: name,
    })
  }
}

/** The name of our chain in the host's table, short enough for iptables. */
export function forwardChainName(instance: string): string {
  return `WHARF-FORWARD${instance === 'wharf' ? '' : `-${instance}`}`.slice(0, 28)
}

function chainText(chain: string, bridges: string[]): string {
  const accept = (side: 'iifname' | 'oifname') => (bridge: string) =>
    `add rule ${chain} ${side} "${bridge}" counter accept\n`
  return [
    `add chain ${chain}\nflush chain ${chain}\n`,
    ...bridges.map(accept('iifname')),
    ...bridges.map(accept('oifname')),
  ].join('')
}

function sameBridges(present: string[], wanted: string[]): boolean {
  return present.length === wanted.length && wanted.every((bridge) => present.includes(bridge))
}

/** The rule that leads to our chain, and whether it stands behind all others. */
function hookOf(listing: string, chain: string): { jump: string | undefined; isLast: boolean } {
  const rules = listing.split('\n').filter((line) => / # handle \d+$/.test(line) && !line.includes(' { # '))
  const at = rules.findLastIndex((rule) => rule.includes(`jump ${chain} `))
  const jump = / # handle (\d+)$/.exec(rules[at] ?? '')?.[1]
  return { jump, isLast: jump !== undefined && at === rules.length - 1 }
}

function hasLegacyFilter(family: Family): boolean {
  try {
    return readFileSync(family.names, 'utf8').split('\n').includes('filter')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false
    throw error
  }
}

function run(program: string, args: string[], input = ''): string | undefined {
  const result = spawnSync(program, args, { encoding: 'utf8', input })
  return result.status === 0 ? result.stdout : undefined
}
