/**
 * Published host ports are held by a bound socket each, so that nobody else on the host takes them. Stream sockets
 * listen too, or another program could still start to; connections never arrive at them, except over IPv6 where
 * the kernel cannot translate: those are relayed.
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

/** Where sockets are kept that hold ports, beyond the daemon's end. */
export interface PortHolder {
  claimPort(id: string): BoundSocket | undefined
  holdPort(id: string, socket: BoundSocket): void
  relayPort(id: string, target: { host: string; port: number }): void
  /** They are free after the next `settle`. */
  releasePorts(ids: readonly string[]): void
  settle(): void
}

/** A held port. Disposing lets go. */
export type HeldPort = Disposable & {
  readonly port: number
  readonly addresses: readonly IpAddress[]
  /** Connections to one of the addresses that the kernel does not lead elsewhere are relayed from now on. */
  relay(address: IpAddress, target: { host: string; port: number }): void
}

type Entry = { protocol: TransportProtocol; address: IpAddress; port: number }

/** All ports of one daemon. */
export class PortReservations {
  /** By protocol and port. */
  readonly #entries = new Map<string, Set<Entry>>()
  readonly #range: () => { first: number; last: number }
  readonly #holder: PortHolder
  #lastRandom = 0

  /** `range` reads the range for random ports: that of the kernel's ephemeral ports. */
  constructor(range: () => { first: number; last: number }, holder: PortHolder) {
    this.#range = range
    this.#holder = holder
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

  /** Waits, for a moment, until held ports that were let go of are free. */
  settle(): void {
    this.#holder.settle()
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
    const ids = new Map(addresses.map((address) => [address, `${protocol} ${formatIp(address)} ${port}`]))
    using undo = new DisposableStack()
    const sockets = new Map<string, BoundSocket>()
    for (const [address, id] of ids) {
      const socket = this.#holder.claimPort(id) ?? openSocket({ protocol, address, port })
      if (socket === undefined) continue
      sockets.set(id, undo.use(socket))
      if (protocol !== 'udp') socket.listen(0)
    }
    undo.move()
    for (const [id, socket] of sockets) this.#holder.holdPort(id, socket)
    const forget = this.#enter(addresses.map((address): Entry => ({ protocol, address, port })))
    return {
      port,
      addresses,
      relay: (address, target) => this.#holder.relayPort(ids.get(address) ?? '', target),
      [Symbol.dispose]: () => {
        forget()
        this.#holder.releasePorts([...sockets.keys()])
      },
    }
  }

  /** Enters ports of one protocol and number; answers what takes them out. */
  #enter(entries: Entry[]): () => void {
    const [first] = entries
    const key = `${first?.protocol} ${first?.port}`
    const present = this.#entries.get(key) ?? new Set()
    this.#entries.set(key, present)
    for (const entry of entries) present.add(entry)
    return () => {
      for (const entry of entries) present.delete(entry)
      if (present.size === 0 && this.#entries.get(key) === present) this.#entries.delete(key)
    }
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
