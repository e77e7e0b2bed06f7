/**
 * The stream that an attached client gets. It exists before the task does: what is written waits, and reading waits,
 * until `join` joins it to the task's stdio. For terminals it watches for the detach keys. Where there are none to watch
 * for, the client's connection itself is given to the task's keeper, if it can be: output then costs the engine nothing,
 * and goes on without it.
 */
import { Duplex } from 'node:stream'
import type { AttachOptions } from '../spec/task-types.ts'
import type { DetachFilter } from './detach-keys.ts'
import type { ClientConnection, Task } from './ports.ts'

/** What a stream is made of. */
export type AttachStreamParts = {
  options: AttachOptions
  tty: boolean
  filter: DetachFilter | undefined
  onDetach: () => void
  /** Whose stream it is, where the connection may be given away. */
  client: ClientConnection | undefined
}

/** See the file's head. */
export class AttachStream extends Duplex {
  readonly options: AttachOptions
  readonly #filter: DetachFilter | undefined
  readonly #onDetach: () => void
  readonly #client: ClientConnection | undefined
  readonly #tty: boolean
  #inner: Duplex | undefined
  /** What the client wrote before there was a task: run by `join`, dropped otherwise. */
  readonly #waiting: ((inner: Duplex | undefined) => void)[] = []
  #ended = false

  constructor({ options, tty, filter, onDetach, client }: AttachStreamParts) {
    super({ highWaterMark: 256 * 1024 })
    this.options = options
    this.#tty = tty
    this.#filter = filter
    this.#onDetach = onDetach
    this.#client = client
  }

  /** Joins the task's stdio: what it yields from now on is read here, or goes straight to the client. */
  async join(task: Pick<Task, 'attach' | 'serve'>): Promise<void> {
    const offered = this.#filter === undefined ? this.#client?.offer(this.#tty) : undefined
    if (offered !== undefined) {
      const input = await task.serve(this.options, offered)
      if (input !== undefined) {
        this.#client?.taken()
        this.#handOver(input, offered.input)
        return
      }
      this.#client?.kept(offered)
    }
    this.#bind(await task.attach(this.options))
  }

  /** What the client has sent so far goes before what its connection still brings. */
  #handOver(inner: Duplex, rest: Uint8Array): void {
    inner.on('error', () => {})
    inner.resume()
    this.once('finish', () => {
      this.#inner = undefined
      this.destroy()
    })
    this.#inner = inner
    for (const work of this.#waiting.splice(0)) work(inner)
    if (!this.writableEnded) this.end(rest)
  }

  #bind(inner: Duplex): void {
    if (this.destroyed || this.#ended) {
      inner.destroy()
      return
    }
    this.#inner = inner
    inner.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) inner.pause()
    })
    inner.once('end', () => this.#end())
    inner.once('error', (error) => this.destroy(error))
    // A connection that breaks without an end still ends the client's.
    inner.once('close', () => this.#end())
    for (const work of this.#waiting.splice(0)) work(inner)
  }

  /** Ends the client's reading without a task: the start failed, or the container goes. */
  abandon(): void {
    this.#end()
    this.#drop()
  }

  override _read(): void {
    this.#inner?.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#whenBound((inner) => {
      if (inner === undefined) callback()
      else this.#forward(inner, chunk, callback)
    })
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#whenBound((inner) => {
      if (inner !== undefined && inner.writable) inner.end()
      callback()
    })
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#ended = true
    this.#inner?.destroy()
    this.#drop()
    callback(error)
  }

  #whenBound(work: (inner: Duplex | undefined) => void): void {
    if (this.#inner !== undefined || this.#ended) work(this.#inner)
    else this.#waiting.push(work)
  }

  #drop(): void {
    for (const work of this.#waiting.splice(0)) work(undefined)
  }

  #forward(inner: Duplex, chunk: Buffer, callback: (error?: Error | null) => void): void {
    const { data, detached } = this.#filter?.push(chunk) ?? { data: chunk, detached: false }
    // Input for a process that has gone is dropped, as a terminal would.
    if (data.length === 0 || !inner.writable) callback()
    else inner.write(data, () => callback())
    if (!detached) return
    this.#onDetach()
    this.#end()
    inner.destroy()
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.push(null)
  }
}
