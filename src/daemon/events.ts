/**
 * What happened: a bounded journal in the database, with who caused it, and a live feed. An event is sent to
 * listeners at once and written with others a moment later, in one transaction that is flushed to the disk on another
 * thread: a journal that lost its last moment with the power is better than a start that waits for the disk.
 */
import type { EventSink } from '../containers/ports.ts'
import type { Clock } from '../lib/clock.ts'
import { encodeJson } from '../lib/http-json.ts'
import type { Log } from '../lib/log.ts'
import type { EventMessage } from '../spec/container-types.ts'
import { errorCode } from '../spec/errors.ts'
import { textColumn } from '../store/database.ts'
import type { Database } from '../store/database.ts'
import type { Caller } from './server.ts'

/** Events kept in the journal. */
const journalLength = 10_000
/** Events are written at the latest after this many milliseconds ... */
const writeDelayMs = 250
/** ... or when this many wait. */
const writeBatch = 256
/** A listener this far behind loses its oldest events. */
const queueLength = 4096

/** See the file's head. */
export class EventJournal implements EventSink, Disposable {
  readonly #database: Database
  readonly #clock: Clock
  readonly #log: Log
  #caller: () => Caller | undefined = () => undefined
  readonly #listeners = new Set<EventQueue>()
  #pending: { message: EventMessage; timeNs: bigint; caller: Caller | undefined }[] = []
  #timer: NodeJS.Timeout | undefined
  #unflushed = false
  #flushing = false

  constructor(parts: { database: Database; clock: Clock; log: Log }) {
    this.#database = parts.database
    this.#clock = parts.clock
    this.#log = parts.log
  }

  /** Tells where to find the request that causes an event. */
  setCallerSource(caller: () => Caller | undefined): void {
    this.#caller = caller
  }

  /** Number of live listeners, for info. */
  get listenerCount(): number {
    return this.#listeners.size
  }

  emit(event: { type: string; action: string; id: string; attributes: Record<string, string> }): void {
    const timeNs = this.#clock.nowNs()
    const message: EventMessage = {
      Type: event.type,
      Action: event.action,
      Actor: { ID: event.id, Attributes: event.attributes },
      scope: 'local',
      time: Number(timeNs / 1_000_000_000n),
      timeNano: timeNs,
    }
    this.#pending.push({ message, timeNs, caller: this.#caller() })
    for (const listener of this.#listeners) listener.push(message)
    if (this.#pending.length >= writeBatch) this.#write()
    else this.#timer ??= setTimeout(() => this.#write(), writeDelayMs)
  }

  /** Journal entries between two times (both included), oldest first. */
  past(sinceNs: bigint, untilNs: bigint | undefined): EventMessage[] {
    this.#write()
    const rows = this.#database.all(
      `SELECT message, CAST(time_ns AS TEXT) AS time FROM events
       WHERE time_ns >= ? AND time_ns <= ? ORDER BY sequence`,
      sinceNs,
      untilNs ?? 9_000_000_000_000_000_000n,
    )
    return rows.map((row) => decode(textColumn(row, 'message'), BigInt(textColumn(row, 'time'))))
  }

  /** Starts listening. Dispose to stop. */
  listen(): EventQueue {
    const queue = new EventQueue(queueLength, () => this.#listeners.delete(queue))
    this.#listeners.add(queue)
    return queue
  }

  /** Writes what waits. */
  [Symbol.dispose](): void {
    this.#write()
    for (const listener of this.#listeners) listener[Symbol.dispose]()
  }

  #write(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const batch = this.#pending
    if (batch.length === 0) return
    this.#pending = []
    try {
      this.#database.transactionRelaxed(() => {
        for (const { message, timeNs, caller } of batch) {
          this.#database.run(
            'INSERT INTO events (time_ns, message, caller) VALUES (?, ?, ?)',
            timeNs,
            encodeJson(message),
            caller === undefined ? null : JSON.stringify(caller),
          )
        }
        this.#database.run(
          'DELETE FROM events WHERE sequence <= (SELECT max(sequence) FROM events) - ?',
          journalLength,
        )
      })
      this.#unflushed = true
      if (!this.#flushing) void this.#flush()
    } catch (error) {
      // The journal is for people: losing a piece of it must not stop a container.
      this.#log.error('could not write the event journal', { error, events: batch.length })
    }
  }

  /** Never rejects. What was written meanwhile is flushed, too. */
  async #flush(): Promise<void> {
    this.#flushing = true
    try {
      while (this.#unflushed) {
        this.#unflushed = false
        await this.#database.flush()
      }
    } catch (error) {
      // A database that was closed meanwhile has flushed everything and has no log any more.
      if (errorCode(error) !== 'ENOENT') this.#log.error('could not flush the event journal', { error })
    } finally {
      this.#flushing = false
    }
  }
}

/** The text's own `timeNano` has lost its last digits. */
function decode(text: string, timeNs: bigint): EventMessage {
  // Written by the journal alone: the shape is known.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return { ...(JSON.parse(text) as EventMessage), timeNano: timeNs }
}

/** A listener's events, oldest first; bounded. */
export class EventQueue implements Disposable {
  readonly #limit: number
  readonly #onDispose: () => void
  #waiting: EventMessage[] = []
  #wake: (() => void) | undefined
  #closed = false

  constructor(limit: number, onDispose: () => void) {
    this.#limit = limit
    this.#onDispose = onDispose
  }

  /** Adds an event; the oldest one gives way when the queue is full. */
  push(event: EventMessage): void {
    if (this.#waiting.length >= this.#limit) this.#waiting.shift()
    this.#waiting.push(event)
    this.#wake?.()
  }

  /** The next event; undefined once the signal is aborted or the queue disposed. */
  async next(signal: AbortSignal): Promise<EventMessage | undefined> {
    for (;;) {
      const event = this.#waiting.shift()
      if (event !== undefined) return event
      if (signal.aborted || this.#closed) return undefined
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      signal.addEventListener('abort', () => resolve(), { once: true })
      await promise
      this.#wake = undefined
    }
  }

  [Symbol.dispose](): void {
    this.#closed = true
    this.#onDispose()
    this.#wake?.()
  }
}
