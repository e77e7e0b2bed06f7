/**
 * Published host ports are held by a bound socket each, so that nobody else on the host takes them. Stream sockets
 * listen too, or another program could still start to; connections never arrive at them, except over IPv6 where
 * the kernel cannot translate (see `port-relay.ts`).
 */
import { EngineError, errorCode } from '../spec/errors.ts'
import { bindSocket, type BoundSocket, type TransportProtocol } from '../kernel/netns-socket.ts'
import { formatIp, ipBytes, isUnspecified, type IpAddress } from './ip-address.ts'

/** Ports wanted on all of `addresses` under one number: `first` to `last`, or 0 and 0 for any. */
export type PortRequest = {
  protocol: TransportProtocol
  addresses: IpAddress[]
  first: number
  last: number
  /** For messages: `172.17.0.2:80/tcp`. */
  target: string
}

/** A held port. Disposing lets go. */
export type HeldPort = Disposable & {
  readonly port: number
  readonly addresses: readonly IpAddress[]
  /** The socket of each address; none where the kernel has no sockets of the protocol. */
  readonly sockets: ReadonlyMap<IpAddress, BoundSocket>
}

type Entry = { protocol: TransportProtocol; address: IpAddress; port: number }

/** All ports of one daemon. */
export class PortReservations {
  /** By protocol and port. */
  readonly #entries = new Map<string, Set<Entry>>()
  readonly #range: () => { first: number; last: number }
  #lastRandom = 0

  /** `range` reads the range for random ports: that of the kernel's ephemeral ports. */
  constructor(range: () => { first: number; last: number }) {
    this.#range = range
  }

  /** Holds a port. Throws as Docker words it. */
  reserve(request: PortRequest): HeldPort {
    if (request.first !== 0 && request.first === request.last) return this.#take(request, request.first)
    const random = request.first === 0
    const { first, last } = random ? this.#range() : request
    const count = last - first + 1
    const isInside = random && this.#lastRandom >= first && this.#lastRandom <= last
    const start = isInside ? this.#lastRandom - first + 1 : 0
    for (let step = 0; step < count; step++) {
      const port = first + ((start + step) % count)
      const held = this.#tryTake(request, port)
      if (held === undefined) continue
      if (random) this.#lastRandom = port
      return held
    }
    throw new EngineError('internal', 'all ports are allocated')
  }

  #tryTake(request: PortRequest, port: number): HeldPort | undefined {
    if (request.addresses.some((address) => this.#conflict(request.protocol, address, port))) return undefined
    try {
      return this.#bind(request, port)
    } catch (error) {
      if (errorCode(error) === 'EADDRINUSE' || errorCode(error) === 'EACCES') return undefined
      throw bindError(request, port, error)
    }
  }

  #take(request: PortRequest, port: number): HeldPort {
    for (const address of request.addresses) {
      if (!this.#conflict(request.protocol, address, port)) continue
      const text = address.family === 6 ? `[${formatIp(address)}]` : formatIp(address)
      throw new EngineError('internal', `Bind for ${text}:${port} failed: port is already allocated`)
    }
    try {
      return this.#bind(request, port)
    } catch (error) {
      throw bindError(request, port, error)
    }
  }

  #conflict(protocol: TransportProtocol, address: IpAddress, port: number): boolean {
    for (const entry of this.#entries.get(`${protocol} ${port}`) ?? []) {
      if (entry.address.family !== address.family) continue
      if (entry.address.value === address.value || isUnspecified(entry.address) || isUnspecified(address)) {
        return true
      }
    }
    return false
  }

  #bind(request: PortRequest, port: number): HeldPort {
    const { protocol, addresses } = request
    using undo = new DisposableStack()
    const sockets = new Map<IpAddress, BoundSocket>()
    for (const address of addresses) {
      const socket = openSocket({ protocol, address, port })
      if (socket === undefined) continue
      sockets.set(address, undo.use(socket))
      if (protocol !== 'udp') socket.listen(0)
    }
    const entries = addresses.map((address): Entry => ({ protocol, address, port }))
    const key = `${protocol} ${port}`
    const present = this.#entries.get(key) ?? new Set()
    this.#entries.set(key, present)
    for (const entry of entries) present.add(entry)
    const held = undo.move()
    held.defer(() => {
      for (const entry of entries) present.delete(entry)
      if (present.size === 0) this.#entries.delete(key)
    })
    return { port, addresses, sockets, [Symbol.dispose]: () => held.dispose() }
  }
}

function openSocket(entry: Entry): BoundSocket | undefined {
  try {
    return bindSocket({ protocol: entry.protocol, address: ipBytes(entry.address), port: entry.port })
  } catch (error) {
    // SCTP may not be built in; then no program can take such a port either.
    if (errorCode(error) === 'EPROTONOSUPPORT' || errorCode(error) === 'ESOCKTNOSUPPORT') return undefined
    throw error
  }
}

function bindError(request: PortRequest, port: number, error: unknown): EngineError {
  const [address] = request.addresses
  const host = address === undefined ? '' : formatIp(address)
  const shown = address?.family === 6 ? `[${host}]` : host
  const reason = reasons[errorCode(error) ?? ''] ?? (error instanceof Error ? error.message : String(error))
  return new EngineError(
    'internal',
    `failed to bind host port for ${shown}:${port}:${request.target}: ${reason}`,
    { cause: error },
  )
}

const reasons: Record<string, string> = {
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EACCES: 'permission denied',
}
