/**
 * A connection to a unix socket by Bun's own means: in the compiled command line, loading Node's net costs a quarter of
 * a short command's time. Reading begins with `resume`, as with Node's streams.
 */
import type { Connection } from './connection.ts'

/** What is used of Bun (https://bun.sh/docs/api/tcp). `write` answers how many bytes were taken. */
type BunSocket = {
  readonly fd: number
  write(bytes: Uint8Array): number
  pause(): void
  resume(): void
  /** Ends the sending side. */
  shutdown(): void
  terminate(): void
}
type BunHandlers = {
  binaryType: 'buffer'
  open(socket: BunSocket): void
  data(socket: BunSocket, chunk: Buffer): void
  drain(socket: BunSocket): void
  end(socket: BunSocket): void
  close(socket: BunSocket, error?: Error): void
  error(socket: BunSocket, error: Error): void
}
type BunRuntime = {
  connect(options: { unix: string; allowHalfOpen: boolean; socket: BunHandlers }): Promise<unknown>
}
declare const Bun: BunRuntime | undefined

type Event = 'data' | 'end' | 'close' | 'drain' | 'error'

/** Connects where this program runs on Bun; undefined elsewhere. Rejects as Node does, with `code`. */
export async function connectWithBun(path: string): Promise<Connection | undefined> {
  if (typeof Bun === 'undefined') return undefined
  const connection = new BunConnection()
  await Bun.connect({ unix: path, allowHalfOpen: true, socket: connection.handlers })
  return connection
}

/** See the file's head. Exported for its test. */
export class BunConnection implements Connection {
  destroyed = false
  readonly #listeners = new Map<Event, { listener: unknown; isOnce: boolean }[]>()
  #socket: BunSocket | undefined
  #read: Buffer[] = []
  #unsent: Uint8Array[] = []
  #flowing = false
  #isPaused = false
  #isEnding = false
  /** What came from the other side and is yet to be told of, once all that was read has been given out. */
  #over: { ended: boolean; closed: boolean } = { ended: false, closed: false }

  /** What Bun calls. */
  readonly handlers: BunHandlers = {
    binaryType: 'buffer',
    open: (socket) => void (this.#socket = socket),
    data: (_socket, chunk) => {
      this.#read.push(chunk)
      this.#giveOut()
    },
    drain: () => {
      if (this.#unsent.length === 0) return
      this.#send()
      if (this.#unsent.length === 0) this.#emit('drain')
    },
    end: () => {
      this.#over.ended = true
      this.#giveOut()
    },
    close: () => {
      // Its descriptor may be somebody else's from now on.
      this.#socket = undefined
      this.#over = { ended: true, closed: true }
      this.#giveOut()
    },
    error: (_socket, error) => this.#emit('error', error),
  }

  /** As a socket of Node has it, for those who read from the descriptor itself. */
  get _handle(): { fd: number } | undefined {
    return this.#socket
  }

  get readableLength(): number {
    return this.#read.reduce((sum, chunk) => sum + chunk.length, 0)
  }

  on(event: Event, listener: unknown): this {
    return this.#add(event, listener, false)
  }

  once(event: Event, listener: unknown): this {
    return this.#add(event, listener, true)
  }

  off(event: Event, listener: unknown): this {
    const kept = this.#listeners.get(event)?.filter((each) => each.listener !== listener) ?? []
    this.#listeners.set(event, kept)
    return this
  }

  pause(): void {
    this.#isPaused = true
    this.#socket?.pause()
    this.#flowing = false
  }

  resume(): void {
    if (this.destroyed) return
    if (this.#isPaused) this.#socket?.resume()
    this.#isPaused = false
    this.#flowing = true
    // Not within the caller, who may be about to add listeners.
    if (this.#read.length > 0 || this.#over.ended) queueMicrotask(() => this.#giveOut())
  }

  write(bytes: Uint8Array): boolean {
    if (this.destroyed) return true
    this.#unsent.push(bytes)
    this.#send()
    return this.#unsent.length === 0
  }

  end(): void {
    this.#isEnding = true
    this.#send()
  }

  destroy(): void {
    if (this.destroyed) return
    this.destroyed = true
    this.#socket?.terminate()
    queueMicrotask(() => this.#emit('close'))
  }

  #add(event: Event, listener: unknown, isOnce: boolean): this {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), { listener, isOnce }])
    return this
  }

  #emit(event: Event, value?: unknown): void {
    for (const { listener, isOnce } of this.#listeners.get(event) ?? []) {
      if (isOnce) this.off(event, listener)
      if (typeof listener === 'function') Reflect.apply(listener, this, [value])
    }
  }

  #giveOut(): void {
    while (this.#flowing && !this.destroyed) {
      const chunk = this.#read.shift()
      if (chunk === undefined) break
      this.#emit('data', chunk)
    }
    if (!this.#flowing || this.destroyed || this.#read.length > 0) return
    const { ended, closed } = this.#over
    this.#over = { ended: false, closed: false }
    if (ended) this.#emit('end')
    if (closed) this.destroy()
  }

  /** Sends what waits, as far as it is taken: `drain` comes when there is room again. */
  #send(): void {
    for (let next = this.#unsent.shift(); next !== undefined; next = this.#unsent.shift()) {
      const taken = Math.max(0, this.#socket?.write(next) ?? 0)
      if (taken === next.length) continue
      this.#unsent.unshift(next.subarray(taken))
      return
    }
    if (this.#isEnding) this.#socket?.shutdown()
    this.#isEnding = false
  }
}
