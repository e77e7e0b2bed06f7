/**
 * What goes on without the daemon in a process of its own (`native/net`): names are resolved, ports are held, and
 * connections to them relayed that the kernel cannot lead. What it is told here stands until somebody says otherwise:
 * at start what it holds is taken over, and what nobody claims by the end of the start goes (`sweep`). Should it end,
 * it is started again and told everything anew; its sockets are held here, too, so not even a question is lost.
 */
import { EngineError } from '../spec/errors.ts'
import { BoundSocket } from '../kernel/netns-socket.ts'
import { packetBytes } from '../kernel/packet-socket.ts'
import type { Log } from '../lib/log.ts'
import { formatIp, type IpAddress } from './ip-address.ts'
import {
  closeHeld,
  KeeperProcess,
  type HeldSockets,
  type KeeperConnection,
  type ResolverSockets,
} from './keeper-process.ts'

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

type Kept = { fields: string[]; sockets: readonly BoundSocket[] }
type Served = Kept & { resolver: ResolverSockets }

/** A process that ends sooner than this after its start is not started again at once. */
const shortLifeMs = 2000
const retryMs = 1000
/** A process that nobody needs any more is kept for so long. */
const idleMs = 5000

/** See the file's head. Disposing leaves the process and its answers where they are. */
export class NetworkKeeper implements Disposable {
  readonly #process: KeeperProcess
  readonly #log: Log
  readonly #endpoints = new Map<string, string[]>()
  readonly #served = new Map<string, Served>()
  readonly #ports = new Map<string, Kept>()
  /** What the daemon before had, and nobody has claimed yet. */
  #unclaimed: HeldSockets = { sandboxes: new Map(), ports: new Map() }
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
    this.#unclaimed = { sandboxes: new Map(found.held.sandboxes), ports: new Map(found.held.ports) }
    if (!found.current) {
      this.#log.info('the resolver is of another version and is replaced', {
        sandboxes: found.held.sandboxes.size,
      })
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
    closeHeld(this.#unclaimed)
    this.#waits = false
    if (!this.#closed && this.#connection === undefined && this.#isNeeded()) this.#tell([])
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
      return before.resolver
    }
    const held = this.#unclaimed.sandboxes.get(sandboxId)
    this.#unclaimed.sandboxes.delete(sandboxId)
    const resolver =
      held === undefined ? open() : { udp: new BoundSocket(held.udp, 0), tcp: new BoundSocket(held.tcp, 0) }
    const sockets = [resolver.udp, resolver.tcp]
    this.#served.set(sandboxId, { fields, sockets, resolver })
    const isKnown = held !== undefined && this.#connection?.held.sandboxes.has(sandboxId) === true
    this.#tell(fields, isKnown ? [] : sockets)
    return resolver
  }

  /** Ends a sandbox's resolver. Idempotent. */
  close(sandboxId: string): void {
    const served = this.#served.get(sandboxId)
    if (served === undefined) return
    this.#served.delete(sandboxId)
    closeSockets(served)
    if (this.#connection === undefined) return
    this.#tell(['close', sandboxId])
    this.#endWhenIdle()
  }

  /** A port that was held before the daemon was: its socket, once. */
  claimPort(id: string): BoundSocket | undefined {
    const fd = this.#unclaimed.ports.get(id)
    this.#unclaimed.ports.delete(id)
    return fd === undefined ? undefined : new BoundSocket(fd, 0)
  }

  /** Holds a port's socket, which it owns from then on, until `releasePorts`. */
  holdPort(id: string, socket: BoundSocket): void {
    const kept = { fields: ['port', id], sockets: [socket] }
    this.#ports.set(id, kept)
    this.#tell(kept.fields, kept.sockets)
  }

  /** Relays connections to a held port from now on; open ones stay where they are. */
  relayPort(id: string, target: { host: string; port: number }): void {
    const kept = this.#ports.get(id)
    if (kept === undefined) return
    kept.fields = ['port', id, target.host, String(target.port)]
    this.#tell(kept.fields)
  }

  /** Lets go of ports: they are free after the next `settle`. Idempotent. */
  releasePorts(ids: readonly string[]): void {
    const held = ids.filter((id) => this.#ports.has(id))
    for (const id of held) {
      const kept = this.#ports.get(id)
      this.#ports.delete(id)
      if (kept !== undefined) closeSockets(kept)
      if (this.#connection !== undefined) this.#tell(['unport', id])
    }
    if (held.length > 0 && this.#connection !== undefined) this.#endWhenIdle()
  }

  /** Waits, for a moment, until what was let go of is free. */
  settle(): void {
    try {
      this.#connection?.settle()
    } catch (error) {
      this.#lost(error)
    }
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
    for (const kept of [...this.#served.values(), ...this.#ports.values()]) closeSockets(kept)
    this.#served.clear()
    this.#ports.clear()
  }

  /** Says something to the process; starts one, and tells it everything, where none runs. */
  #tell(fields: readonly string[], sockets: readonly BoundSocket[] = []): void {
    const connection = this.#connection
    try {
      if (connection === undefined) return this.#waits ? undefined : this.#start()
      return connection.send(fields, sockets)
    } catch (error) {
      // What it was to be told stands in the tables here.
      this.#lost(error)
    }
  }

  #isNeeded(): boolean {
    return this.#served.size > 0 || this.#ports.size > 0
  }

  /** Without sandboxes and ports there is nothing to do: the process ends, and another is started when there is. */
  #endWhenIdle(): void {
    clearTimeout(this.#idle)
    if (this.#closed || this.#isNeeded()) return
    this.#idle = setTimeout(() => {
      if (this.#isNeeded() || this.#connection === undefined) return
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
    for (const { fields, sockets } of [...this.#served.values(), ...this.#ports.values()]) {
      this.#connection?.send(fields, sockets)
    }
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
        if (this.#isNeeded() && this.#connection === undefined) this.#tell([])
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

function closeSockets({ sockets }: Kept): void {
  for (const socket of sockets) socket[Symbol.dispose]()
}
