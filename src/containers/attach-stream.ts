/**
 * The stream that an attached client gets. It exists before the task does: what is written waits, and reading waits,
 * until `bind` joins it to the task's stdio. For terminals it watches for the detach keys.
 */
import { Duplex } from 'node:stream'
import type { AttachOptions } from '../spec/task-types.ts'
import type { DetachFilter } from './detach-keys.ts'

/** See the file's head. */
export class AttachStream extends Duplex {
  readonly options: AttachOptions
  readonly #filter: DetachFilter | undefined
  readonly #onDetach: () => void
  #inner: Duplex | undefined
  /** What the client wrote before there was a task: run by `bind`, dropped otherwise. */
  readonly #waiting: ((inner: Duplex | undefined) => void)[] = []
  #ended = false

  constructor(options: AttachOptions, filter: DetachFilter | undefined, onDetach: () => void) {
    super({ highWaterMark: 256 * 1024 })
    this.options = options
    this.#filter = filter
    this.#onDetach = onDetach
  }

  /** Joins the task's stdio: what it yields from now on is read here. */
  bind(inner: Duplex): void {
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
