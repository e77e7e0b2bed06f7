/**
 * The names of containers, as the process knows them that resolves them (`native/net`). It outlives the daemon, so
 * what it is told here stands until somebody says otherwise: at start what it holds is taken over, and what nobody
 * claims by the end of the start goes (`sweep`). Should it end, it is started again and told everything anew; the
 * sockets inside the sandboxes are held here, too, so not even a question in them is lost.
 */
import { closeSync } from 'node:fs'
import { EngineError } from '../spec/errors.ts'
import { BoundSocket } from '../kernel/netns-socket.ts'
import { packetBytes } from '../kernel/packet-socket.ts'
import type { Log } from '../lib/log.ts'
import { formatIp, type IpAddress } from './ip-address.ts'
import { KeeperProcess, type KeeperConnection, type ResolverSockets } from './name-keeper-process.ts'

/** An endpoint's entry. The first name answers reverse lookups. Services answer SRV: `_80._tcp` at a port. */
export type NameEntry = {
  names: readonly string[]
  addresses: readonly IpAddress[]
  services: readonly { name: string; port: number }[]
}

/** A network as one container sees it: `links` are further names for others (`alias` to name). */
export type VisibleNetwork = { id: string; name: string; links: ReadonlyMap<string, string> }

/** What a sandbox's resolver answers from. */
export type ResolverView = {
  networks: readonly VisibleNetwork[]
  /** Resolvers to pass other names to; none for a container that is kept inside. */
  servers: readonly string[]
  /** `--dns-opt ndots:N` with N above 0: names of one label stay here. */
  keepSingleLabels: boolean
}

type Served = { fields: string[]; sockets: ResolverSockets }

/** A process that ends sooner than this after its start is not started again at once. */
const shortLifeMs = 2000
const retryMs = 1000
/** A process that nobody needs any more is kept for so long. */
const idleMs = 5000

/** See the file's head. Disposing leaves the process and its answers where they are. */
export class NameKeeper implements Disposable {
  readonly #process: KeeperProcess
  readonly #log: Log
  readonly #endpoints = new Map<string, string[]>()
  readonly #served = new Map<string, Served>()
  /** Sockets of sandboxes of the daemon before, which nobody has claimed yet. */
  readonly #unclaimed = new Map<string, { udp: number; tcp: number }>()
  #connection: KeeperConnection | undefined
  #startedMs = Number.NEGATIVE_INFINITY
  #retry: NodeJS.Timeout | undefined
  #idle: NodeJS.Timeout | undefined
  #closed = false
  /** Not to be started before `sweep`; questions wait in the sockets. */
  #waits = false

  /** `program` is `build/wharf-net`. */
  constructor(options: { program: string; runRoot: string; log: Log }) {
    this.#process = new KeeperProcess(options)
    this.#log = options.log
  }

  /** Takes over what a daemon before has left running. */
  adopt(): void {
    const found = this.#process.find()
    if (found === undefined) return
    for (const [id, sockets] of found.held) this.#unclaimed.set(id, sockets)
    if (!found.current) {
      this.#log.info('the resolver is of another version and is replaced', { sandboxes: found.held.size })
      found.send(['quit'])
      found[Symbol.dispose]()
      this.#process.end()
      // One that knows only some names would say of others that they do not exist.
      this.#waits = true
      return
    }
    this.#use(found)
    this.#tell(['begin'])
  }

  /** Lets go of what was not claimed since `adopt`. */
  sweep(): void {
    for (const { udp, tcp } of this.#unclaimed.values()) for (const fd of [udp, tcp]) closeSync(fd)
    this.#unclaimed.clear()
    this.#waits = false
    if (!this.#closed && this.#connection === undefined && this.#served.size > 0) this.#tell([])
    if (this.#connection === undefined) return
    this.#tell(['sweep'])
    this.#endWhenIdle()
  }

  /** Sets an endpoint's names, in place of those it had. They match whatever their case. Throws invalid. */
  set(networkId: string, endpointId: string, entry: NameEntry): void {
    const names = new Map(entry.names.map((name) => [name.toLowerCase(), name]))
    const fields = checked([
      'endpoint',
      networkId,
      endpointId,
      ...[...names.values()].flatMap((name) => ['name', name]),
      ...entry.addresses.flatMap((address) => ['address', formatIp(address)]),
      ...entry.services.flatMap(({ name, port }) => ['service', `${port} ${name}`]),
    ])
    this.#endpoints.set(`${networkId} ${endpointId}`, fields)
    if (this.#connection !== undefined) this.#tell(fields)
  }

  /** Idempotent. */
  remove(networkId: string, endpointId: string): void {
    const known = this.#endpoints.delete(`${networkId} ${endpointId}`)
    if (known && this.#connection !== undefined) this.#tell(['forget', networkId, endpointId])
  }

  /** Whether a sandbox has a resolver. */
  serves(sandboxId: string): boolean {
    return this.#served.has(sandboxId)
  }

  /** Sets what a sandbox sees. Its sockets are those held already, else what `open` answers. */
  serve(sandboxId: string, view: ResolverView, open: () => ResolverSockets): ResolverSockets {
    const fields = checked(['sandbox', sandboxId, ...viewFields(view)])
    const before = this.#served.get(sandboxId)
    if (before !== undefined) {
      before.fields = fields
      this.#tell(fields)
      return before.sockets
    }
    const held = this.#unclaimed.get(sandboxId)
    this.#unclaimed.delete(sandboxId)
    const sockets =
      held === undefined ? open() : { udp: new BoundSocket(held.udp, 0), tcp: new BoundSocket(held.tcp, 0) }
    this.#served.set(sandboxId, { fields, sockets })
    const isKnown = held !== undefined && this.#connection?.held.has(sandboxId) === true
    this.#tell(fields, isKnown ? undefined : sockets)
    return sockets
  }

  /** Ends a sandbox's resolver. Idempotent. */
  close(sandboxId: string): void {
    const served = this.#served.get(sandboxId)
    if (served === undefined) return
    this.#served.delete(sandboxId)
    closeSockets(served.sockets)
    if (this.#connection === undefined) return
    this.#tell(['close', sandboxId])
    this.#endWhenIdle()
  }

  /** Ends the process: for an uninstall, and for tests. */
  end(): void {
    this[Symbol.dispose]()
    this.#process.end()
  }

  [Symbol.dispose](): void {
    this.#closed = true
    clearTimeout(this.#retry)
    clearTimeout(this.#idle)
    this.#connection?.[Symbol.dispose]()
    this.#connection = undefined
    this.sweep()
    for (const { sockets } of this.#served.values()) closeSockets(sockets)
    this.#served.clear()
  }

  /** Says something to the process; starts one, and tells it everything, where none runs. */
  #tell(fields: readonly string[], sockets?: ResolverSockets): void {
    const connection = this.#connection
    try {
      if (connection === undefined) return this.#waits ? undefined : this.#start()
      return connection.send(fields, sockets)
    } catch (error) {
      // What it was to be told stands in the tables here.
      this.#lost(error)
    }
  }

  /** Without sandboxes there is nothing to resolve: the process ends, and another is started when there is. */
  #endWhenIdle(): void {
    clearTimeout(this.#idle)
    if (this.#closed || this.#served.size > 0) return
    this.#idle = setTimeout(() => {
      if (this.#served.size > 0 || this.#connection === undefined) return
      this.#tell(['quit'])
      this.#connection?.[Symbol.dispose]()
      this.#connection = undefined
      this.#process.end()
    }, idleMs)
    this.#idle.unref()
  }

  #start(): void {
    clearTimeout(this.#retry)
    this.#retry = undefined
    this.#startedMs = performance.now()
    this.#use(this.#process.start())
    for (const fields of this.#endpoints.values()) this.#connection?.send(fields)
    for (const { fields, sockets } of this.#served.values()) this.#connection?.send(fields, sockets)
  }

  #use(connection: KeeperConnection): void {
    this.#connection = connection
    connection.watch.once('close', () => {
      if (this.#connection === connection) this.#lost(new Error('it ended'))
    })
  }

  #lost(error: unknown): void {
    if (this.#closed) return
    this.#log.warn('the resolver of containers is started again', { error })
    const connection = this.#connection
    this.#connection = undefined
    connection?.[Symbol.dispose]()
    if (this.#retry !== undefined) return
    const isQuick = performance.now() - this.#startedMs < shortLifeMs
    this.#retry = setTimeout(
      () => {
        this.#retry = undefined
        if (this.#served.size > 0 && this.#connection === undefined) this.#tell([])
      },
      isQuick ? retryMs : 0,
    )
    this.#retry.unref()
  }
}

/** Refuses what is too much for one packet. */
function checked(fields: string[]): string[] {
  const bytes = fields.reduce((sum, field) => sum + Buffer.byteLength(field) + 1, 0)
  if (bytes > packetBytes) throw new EngineError('invalid', 'the names of the container are too long in all')
  return fields
}

function viewFields({ networks, servers, keepSingleLabels }: ResolverView): string[] {
  return [
    ...networks.flatMap(({ id, name, links }) => [
      'network',
      id,
      'called',
      name,
      ...[...links].flatMap(([alias, target]) => [
        'alias',
        alias.toLowerCase(),
        'target',
        target.toLowerCase(),
      ]),
    ]),
    ...servers.flatMap((server) => ['server', server]),
    ...(keepSingleLabels ? ['single', '-'] : []),
  ]
}

function closeSockets({ udp, tcp }: ResolverSockets): void {
  udp[Symbol.dispose]()
  tcp[Symbol.dispose]()
}
