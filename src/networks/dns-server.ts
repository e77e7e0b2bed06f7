/**
 * The resolver at 127.0.0.11 of one sandbox. Its sockets stand inside the sandbox's namespace on ports of the
 * kernel's choice, so that a container can have a name server of its own on port 53; a rule in there leads to them.
 * They end with the daemon: an adopted sandbox gets new ones on the same ports.
 */
import { createSocket, type Socket } from 'node:dgram'
import { createServer, type Server, type Socket as Stream } from 'node:net'
import { bindSocket } from '../kernel/netns-socket.ts'
import type { NetworkNamespace } from '../kernel/netns.ts'
import { Nftables } from '../kernel/nftables.ts'
import type { Log } from '../lib/log.ts'
import {
  encodeName,
  encodeResponse,
  parseQuery,
  recordTypes,
  responseCodes,
  reverseAddress,
  type DnsAnswer,
  type DnsQuery,
} from './dns-codec.ts'
import type { DnsCache } from './dns-cache.ts'
import { DnsForwarder, framed } from './dns-forwarder.ts'
import { ipBytes, type IpAddress } from './ip-address.ts'
import { resolveAddress, resolveName, type NameRegistry, type VisibleNetwork } from './name-registry.ts'

/** Where the resolver is reached inside every sandbox. */
export const resolverAddress = '127.0.0.11'

/** What the resolver answers from; read at every query. */
export type DnsView = {
  networks: readonly VisibleNetwork[]
  /** Resolvers to pass other names to; none for a container that is kept inside. */
  servers: readonly string[]
  /** `--dns-opt ndots:N` with N above 0: names of one label stay here. */
  keepSingleLabels: boolean
}

/** Ports inside the sandbox. 0 lets the kernel choose. */
export type DnsPorts = { udp: number; tcp: number }

const answerTtlSeconds = 600
const forwardTimeoutMs = 4000
/** A resolver that is slower than this is asked beside the next one; the first good answer counts. */
const forwardStaggerMs = 250
const streamIdleMs = 10_000
const streamLimit = 64
const loopbackBytes = Buffer.from([127, 0, 0, 11])

/** A running resolver. Disposing closes its sockets. */
export class DnsServer implements Disposable {
  readonly ports: DnsPorts
  readonly #registry: NameRegistry
  readonly #view: () => DnsView
  readonly #log: Log
  readonly #cache: DnsCache
  readonly #forwarder = new DnsForwarder()
  readonly #udp: Socket
  readonly #tcp: Server
  readonly #streams = new Set<Stream>()

  /** Opens the sockets inside `namespace`. `ports` are those of before, for a sandbox that is adopted. */
  constructor(options: {
    namespace: NetworkNamespace
    ports: DnsPorts
    registry: NameRegistry
    view: () => DnsView
    cache: DnsCache
    log: Log
  }) {
    this.#cache = options.cache
    this.#registry = options.registry
    this.#view = options.view
    this.#log = options.log
    const { udp, tcp } = options.namespace.run(() => openSockets(options.ports))
    this.ports = { udp: udp.port, tcp: tcp.port }
    this.#udp = createSocket({
      type: 'udp4',
      // Addresses of clients are numbers: nothing is to be looked up.
      lookup: (host, _options, done) => done(null, host, 4),
    })
    this.#udp.on('message', (message, from) => {
      void this.#answer(message, 'udp').then((answer) => {
        if (answer !== undefined) this.#udp.send(answer, from.port, from.address, () => {})
        return undefined
      })
    })
    this.#udp.on('error', (error) => this.#log.warn('resolver socket failed', { error }))
    this.#udp.bind({ fd: udp.release(), exclusive: true })
    this.#tcp = createServer({ allowHalfOpen: false }, (stream) => this.#serve(stream))
    this.#tcp.maxConnections = streamLimit
    this.#tcp.on('error', (error) => this.#log.warn('resolver socket failed', { error }))
    this.#tcp.listen({ fd: tcp.release() })
  }

  /** Leads port 53 of the resolver's address to the sockets. Once in a sandbox's life. */
  static redirect(namespace: NetworkNamespace, ports: DnsPorts): void {
    using nftables = namespace.run(() => new Nftables())
    const table = 'ip wharf-dns'
    nftables.run(
      [
        `add table ${table}`,
        `flush table ${table}`,
        `add chain ${table} output { type nat hook output priority -100; policy accept; }`,
        `add rule ${table} output ip daddr ${resolverAddress} udp dport 53 dnat to ${resolverAddress}:${ports.udp}`,
        `add rule ${table} output ip daddr ${resolverAddress} tcp dport 53 dnat to ${resolverAddress}:${ports.tcp}`,
        '',
      ].join('\n'),
    )
  }

  [Symbol.dispose](): void {
    this.#udp.close()
    this.#tcp.close()
    for (const stream of this.#streams) stream.destroy()
  }

  #serve(stream: Stream): void {
    this.#streams.add(stream)
    let received = Buffer.alloc(0)
    stream.setTimeout(streamIdleMs, () => stream.destroy())
    stream.on('error', () => stream.destroy())
    stream.on('close', () => this.#streams.delete(stream))
    stream.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const length = received.readUInt16BE(0)
        const message = Buffer.from(received.subarray(2, 2 + length))
        received = received.subarray(2 + length)
        void this.#answer(message, 'tcp').then((answer) => {
          if (answer !== undefined && !stream.destroyed) stream.write(framed(answer))
          return undefined
        })
      }
    })
  }

  async #answer(message: Buffer, transport: 'udp' | 'tcp'): Promise<Buffer | undefined> {
    const query = parseQuery(message)
    // What cannot be read is not worth an answer: its sender may not be who it says.
    if (query === undefined) return undefined
    const view = this.#view()
    const maxBytes = transport === 'tcp' ? 65_535 : query.maxBytes
    const own = answerLocally(query, this.#registry, view)
    if (own !== undefined) return encodeResponse(query, responseCodes.ok, own, maxBytes)
    const isAddress = query.type === recordTypes.a || query.type === recordTypes.aaaa
    if (isAddress && view.keepSingleLabels && !query.name.includes('.')) {
      return encodeResponse(query, responseCodes.ok, [], maxBytes)
    }
    const answer = await this.#cache.resolve(message, `${transport} ${view.servers.join(',')}`, async () =>
      this.#forwarder.forward(message, transport, {
        servers: view.servers,
        port: 53,
        timeoutMs: forwardTimeoutMs,
        staggerMs: forwardStaggerMs,
      }),
    )
    return answer ?? encodeResponse(query, responseCodes.serverFailure, [], maxBytes)
  }
}

function openSockets(ports: DnsPorts) {
  using undo = new DisposableStack()
  const udp = undo.use(bindSocket({ protocol: 'udp', address: loopbackBytes, port: ports.udp }))
  const tcp = undo.use(bindSocket({ protocol: 'tcp', address: loopbackBytes, port: ports.tcp }))
  tcp.listen(streamLimit)
  undo.move()
  return { udp, tcp }
}

/** Answers from our own names: records, an empty list for a name without such, undefined for names of others. */
export function answerLocally(
  query: DnsQuery,
  registry: NameRegistry,
  view: DnsView,
): DnsAnswer[] | undefined {
  if (query.class !== 1) return undefined
  if (query.type === recordTypes.ptr) return answerReverse(query, registry, view)
  const isOurs =
    query.type === recordTypes.a || query.type === recordTypes.aaaa || query.type === recordTypes.mx
  // A container may be called like a host of the world, which has other records too (TXT, HTTPS).
  if (!isOurs && query.name.includes('.')) return undefined
  const addresses = resolveName(registry, view.networks, query.name)
  if (addresses === undefined) return undefined
  const family = query.type === recordTypes.a ? 4 : query.type === recordTypes.aaaa ? 6 : 0
  return shuffled(addresses.filter((address) => address.family === family)).map((address) => ({
    type: query.type,
    ttlSeconds: answerTtlSeconds,
    data: ipBytes(address),
  }))
}

function answerReverse(query: DnsQuery, registry: NameRegistry, view: DnsView): DnsAnswer[] | undefined {
  const address = reverseAddress(query.name)
  if (address === undefined) return undefined
  const name = resolveAddress(registry, view.networks, address)
  if (name === undefined) return undefined
  return [{ type: recordTypes.ptr, ttlSeconds: answerTtlSeconds, data: encodeName(name) }]
}

function shuffled(addresses: IpAddress[]): IpAddress[] {
  const result = [...addresses]
  for (let index = result.length - 1; index > 0; index--) {
    const other = Math.floor(Math.random() * (index + 1))
    const [a, b] = [result[index], result[other]]
    if (a !== undefined && b !== undefined) [result[index], result[other]] = [b, a]
  }
  return result
}
