/**
 * Reads a log: from its end for `tail`, through rotated and compressed files, and on while it is written for
 * `follow`. A reader has its own descriptors and buffers, and reads only as fast as its taker takes; whoever is
 * slow holds up nobody, and loses lines only when far more was written meanwhile than the bounds of the log keep
 * (`begun-files.ts`).
 */
import type { DirectoryChanges } from '../../lib/follow-changes.ts'
import { BegunFiles } from './begun-files.ts'
import { FrameWriter } from './frame-writer.ts'
import type { FrameOptions } from './frame-writer.ts'
import { closeLogFiles, openLogFiles } from './log-files.ts'
import type { OpenLogFile } from './log-files.ts'
import { FilePosition } from './log-position.ts'
import type { LogFormat, LogRecord } from './log-record.ts'
import { findTail } from './log-tail.ts'

/** What to read. Times are nanoseconds since 1970. */
export type ReadOptions = FrameOptions & {
  stdout: boolean
  stderr: boolean
  /** Records of this time and later. */
  sinceNs?: bigint
  /** Records of this time and earlier. */
  untilNs?: bigint
  /** Lines from the end; all when undefined. */
  tail?: number
  /** Set to go on until the output has ended. */
  ended?: Promise<void>
}

const lineFeed = 0x0a

/** Reads one log once. */
export class LogReader {
  readonly #path: string
  readonly #format: LogFormat
  readonly #options: ReadOptions
  readonly #writer: FrameWriter
  /** Lines of the next file to leave out, for `tail`. */
  #skipLines = 0
  /** `until` was reached. */
  #done = false

  constructor(path: string, format: LogFormat, options: ReadOptions) {
    this.#path = path
    this.#format = format
    this.#options = options
    this.#writer = new FrameWriter(options)
  }

  /** The bytes to answer with, in pieces of any size. Ends quietly when the signal aborts. */
  async *read(signal: AbortSignal): AsyncGenerator<Buffer> {
    // Watched before it is looked at: no change falls in between.
    await using begun = this.#options.ended === undefined ? undefined : new BegunFiles(this.#path)
    const files = begun === undefined ? await openLogFiles(this.#path) : await begun.present()
    let last: FilePosition | undefined
    try {
      const start = await findTail(files, this.#format, this.#options.tail)
      this.#skipLines = start.skipLines
      for (const [index, file] of files.entries()) {
        if (index < start.file) continue
        last = new FilePosition(file, index === start.file ? start.offset : 0)
        yield* this.#drain(last, signal)
        this.#skipLines = 0
        if (this.#done || signal.aborted) return
      }
      if (begun === undefined) return
      // The newest file is followed; the others have been read.
      const followed = files.pop()
      await closeLogFiles(files.splice(0))
      if (followed !== undefined) files.push(followed)
      yield* this.#follow(files, last, { begun, signal })
    } finally {
      await closeLogFiles(files)
    }
  }

  /** `files` holds what is open, for the caller to close. */
  async *#follow(
    files: OpenLogFile[],
    from: FilePosition | undefined,
    { begun, signal }: { begun: BegunFiles; signal: AbortSignal },
  ): AsyncGenerator<Buffer> {
    const { changes } = begun
    using wakes = this.#wakes(changes, signal)
    let position = from
    while (!this.#done && !signal.aborted) {
      changes.reset()
      // Asked before reading: what was written before the end is then seen.
      const over = wakes.over()
      if (position !== undefined) yield* this.#drain(position, signal)
      const newer = await begun.take()
      if (newer.length > 0) {
        // Renamed, so complete now: the rest first.
        if (position !== undefined) yield* this.#drain(position, signal)
        await closeLogFiles(files.splice(0, files.length, ...newer))
        for (const file of newer) {
          position = new FilePosition(file, 0)
          yield* this.#drain(position, signal)
        }
        continue
      }
      if (over) return
      await changes.next()
    }
  }

  async *#drain(position: FilePosition, signal: AbortSignal): AsyncGenerator<Buffer> {
    for await (const chunk of position.chunks(this.#format)) {
      if (signal.aborted) return
      if (!this.#format.decode(chunk, (record) => this.#take(record))) {
        this.#done = true
        break
      }
      if (this.#writer.full) yield this.#writer.take()
    }
    if (!this.#writer.empty) yield this.#writer.take()
  }

  /** False when reading is over. */
  #take(record: LogRecord): boolean {
    const { stdout, stderr, sinceNs, untilNs } = this.#options
    if (this.#skipLines > 0) {
      if (record.bytes[record.end - 1] === lineFeed) this.#skipLines -= 1
      return true
    }
    if (sinceNs !== undefined && record.timeNs() < sinceNs) return true
    if (untilNs !== undefined && record.timeNs() > untilNs) return false
    if (record.stream === 1 ? stdout : stderr) this.#writer.add(record)
    return true
  }

  /** Makes the end of the output, an abort and the time of `until` wake the follower. */
  #wakes(changes: DirectoryChanges, signal: AbortSignal): { over(): boolean } & Disposable {
    let over = false
    const end = () => {
      over = true
      changes.notify()
    }
    void this.#options.ended?.then(end, end)
    const onAbort = () => changes.notify()
    signal.addEventListener('abort', onAbort)
    const { untilNs } = this.#options
    const untilMs = untilNs === undefined ? undefined : Number(untilNs / 1_000_000n) - Date.now()
    const timer =
      untilMs === undefined || untilMs > maxTimerMs ? undefined : setTimeout(end, Math.max(0, untilMs))
    return {
      over: () => over,
      [Symbol.dispose]: () => {
        signal.removeEventListener('abort', onAbort)
        clearTimeout(timer)
      },
    }
  }
}

const maxTimerMs = 2 ** 31 - 1
