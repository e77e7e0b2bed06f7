/** The networks' keeper (native/net): started, found again after the daemon's restart, ended. */
import {
  chmodSync,
  closeSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Socket } from 'node:net'
import { errorCode } from '../spec/errors.ts'
import type { BoundSocket } from '../kernel/netns-socket.ts'
import { PacketSocket } from '../kernel/packet-socket.ts'
import {
  isAlive,
  processStartTime,
  reap,
  signalProcess,
  spawnProcess,
  type ProcessIdentity,
} from '../kernel/process.ts'
import { socketPair, spawnDescriptor } from '../kernel/unix-sockets.ts'

/** The resolver's sockets inside one sandbox. */
export type ResolverSockets = { udp: BoundSocket; tcp: BoundSocket }

const killSignal = 9

/** Where the process is, and what it runs. */
export class KeeperProcess {
  readonly #program: string
  readonly #socketPath: string
  readonly #pidPath: string

  constructor(options: { program: string; runRoot: string }) {
    this.#program = options.program
    this.#socketPath = join(options.runRoot, 'keeper.sock')
    this.#pidPath = join(options.runRoot, 'keeper.pid')
  }

  /** The connection to the one that runs, with what it holds; undefined when none does, or it does not answer. */
  find(): KeeperConnection | undefined {
    try {
      return KeeperConnection.open(this.#socketPath, this.#isCurrent())
    } catch (error) {
      const code = errorCode(error)
      if (code === 'ENOENT' || code === 'ECONNREFUSED') return undefined
      if (code === 'EAGAIN' || code === 'EPIPE' || code === 'ECONNRESET') return undefined
      throw error
    }
  }

  /** Starts one. One that is there ends. */
  start(): KeeperConnection {
    this.end()
    const listener = PacketSocket.listen(this.#socketPath)
    // Who connects decides about names and ports, whatever the process's umask is.
    chmodSync(this.#socketPath, 0o600)
    const nothing = openSync('/dev/null', 'r+')
    const descriptor = spawnDescriptor(nothing)
    try {
      const pid = spawnProcess({
        file: this.#program,
        args: ['wharf-net', this.#socketPath],
        env: [],
        descriptors: [descriptor, descriptor, descriptor, listener],
      })
      writeFileSync(`${this.#pidPath}.new`, `${pid} ${processStartTime(pid) ?? ''}\n`)
      renameSync(`${this.#pidPath}.new`, this.#pidPath)
      const connection = KeeperConnection.open(this.#socketPath, true)
      connection.watch.once('close', () => reap(pid))
      return connection
    } finally {
      for (const fd of [listener, nothing, descriptor]) closeSync(fd)
    }
  }

  /** Ends the one that runs, if any; its socket's file goes, which another would end at. */
  end(): void {
    const identity = this.#identity()
    if (identity !== undefined && signalProcess(identity, killSignal)) reap(identity.pid)
    if (identity !== undefined) waitForEnd(identity)
    rmSync(this.#socketPath, { force: true })
    rmSync(this.#pidPath, { force: true })
  }

  /** Whether what runs is the program of today: an update of Wharf replaces the file. */
  #isCurrent(): boolean {
    const identity = this.#identity()
    const running = identity && statSync(`/proc/${identity.pid}/exe`, { throwIfNoEntry: false })
    const today = statSync(this.#program)
    return running !== undefined && running.dev === today.dev && running.ino === today.ino
  }

  #identity(): ProcessIdentity | undefined {
    try {
      const [pid = '', startTime = ''] = readFileSync(this.#pidPath, 'utf8').trim().split(' ')
      return /^\d+$/.test(pid) && /^\d+$/.test(startTime)
        ? { pid: Number(pid), startTime: BigInt(startTime) }
        : undefined
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined
      throw error
    }
  }
}

/** Its sockets are free once it is gone; the kernel ends it without asking it, so that is at once. */
function waitForEnd(identity: ProcessIdentity): void {
  let looks = 100_000
  while (looks > 0 && isAlive(identity)) looks -= 1
}

/** Descriptors that a keeper held: those of sandboxes, and those of published ports. */
export type HeldSockets = {
  sandboxes: Map<string, { udp: number; tcp: number }>
  ports: Map<string, number>
}

/** Lets go of all that is left in `held`. */
export function closeHeld(held: HeldSockets): void {
  for (const { udp, tcp } of held.sandboxes.values()) for (const fd of [udp, tcp]) closeSync(fd)
  for (const fd of held.ports.values()) closeSync(fd)
  held.sandboxes.clear()
  held.ports.clear()
}

/** An open connection. Disposing it leaves the process to itself. */
export class KeeperConnection implements Disposable {
  readonly #socket: PacketSocket
  /** Closes when the process ends. */
  readonly watch: Socket
  /** What it held when it was connected to: descriptors of our own. */
  readonly held: HeldSockets
  /** Whether it runs the program of today. */
  readonly current: boolean

  private constructor(socket: PacketSocket, held: HeldSockets, current: boolean) {
    this.#socket = socket
    this.held = held
    this.current = current
    const { socket: watch, peer } = socketPair()
    this.watch = watch
    this.watch.on('error', () => this.watch.destroy())
    this.watch.on('end', () => this.watch.destroy())
    this.watch.resume().unref()
    try {
      this.#socket.send(Buffer.from('watch'), [peer])
    } finally {
      closeSync(peer)
    }
  }

  static open(path: string, current: boolean): KeeperConnection {
    const socket = PacketSocket.connect(path)
    const held: HeldSockets = { sandboxes: new Map(), ports: new Map() }
    try {
      for (;;) {
        const packet = socket.receive()
        if (packet === undefined) throw Object.assign(new Error('the resolver hung up'), { code: 'EPIPE' })
        const [word, id] = packet.data.toString('latin1').split('\0')
        const [udp, tcp] = packet.descriptors
        if (word === 'ready') return new KeeperConnection(socket, held, current)
        if (id === undefined || udp === undefined) continue
        if (word === 'port') held.ports.set(id, udp)
        else if (tcp !== undefined) held.sandboxes.set(id, { udp, tcp })
      }
    } catch (error) {
      socket[Symbol.dispose]()
      closeHeld(held)
      throw error
    }
  }

  /** Says something. Throws when the process is gone or does not listen. */
  send(fields: readonly string[], sockets: readonly BoundSocket[] = []): void {
    const data = Buffer.from(fields.map((field) => `${field.replaceAll('\0', '')}\0`).join(''))
    this.#socket.send(
      data,
      sockets.map((socket) => socket.fd),
    )
  }

  /** Waits until all that was said is done. Throws when the process is gone or does not answer. */
  settle(): void {
    this.send(['ping'])
    if (this.#socket.receive()?.data.toString('latin1') !== 'pong') throw new Error('the keeper hung up')
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]()
    this.watch.destroy()
  }
}
