/**
 * Sends a container's log to syslog or the journal. It reads the file that the keeper writes and notes on disk how
 * far the other side has it: a daemon that died, or a server that was away, costs no line; a death between sending
 * and noting sends the last lines twice.
 */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { DirectoryChanges } from '../../lib/follow-changes.ts'
import type { Log } from '../../lib/log.ts'
import { errorCode } from '../../spec/errors.ts'
import { LocalFormat } from './local-format.ts'
import type { LogSubject } from './log-attributes.ts'
import { closeLogFiles, inodeOf, openLogFiles, openNewerLogFiles } from './log-files.ts'
import type { OpenLogFile } from './log-files.ts'
import { FilePosition } from './log-position.ts'
import { connectJournal, connectSyslog } from './log-target.ts'
import type { ForwardedLine, LogTarget } from './log-target.ts'

/** What a forwarder needs. `path` is the log's file. */
export type ForwarderOptions = {
  driver: 'syslog' | 'journald'
  request: LogSubject
  path: string
  tag: string
  log: Log
}

type Cursor = { inode: number; offset: number }

const lineFeed = 0x0a
const firstRetryMs = 100
const lastRetryMs = 30_000
const cursorName = 'forwarded.json'

/** Forwards one container's log from where it was left. */
export class LogForwarder {
  readonly #options: ForwarderOptions
  readonly #format = new LocalFormat({})
  #over = false
  #changes: DirectoryChanges | undefined
  #target: LogTarget | undefined

  constructor(options: ForwarderOptions) {
    this.#options = options
  }

  /** No more is written: `run` ends when it has sent what is there. */
  end(): void {
    this.#over = true
    this.#changes?.notify()
  }

  /** Forwards until the output has ended or the signal aborts. Keeps trying where the other side is away. */
  async run(signal: AbortSignal): Promise<void> {
    using changes = new DirectoryChanges(dirname(this.#options.path))
    this.#changes = changes
    const onAbort = () => changes.notify()
    signal.addEventListener('abort', onAbort)
    let files = await this.#open()
    try {
      let offset = files.offset
      for (let position: FilePosition | undefined; !signal.aborted;) {
        changes.reset()
        const over = this.#over
        const [file] = files.open
        if (file !== undefined && position?.file !== file) position = new FilePosition(file, offset)
        if (position !== undefined) await this.#send(position, signal)
        const newer = await this.#newer(position, signal)
        if (newer.length > 0) {
          await closeLogFiles(files.open)
          files = { open: newer, offset: 0 }
          offset = 0
          await closeLogFiles(files.open.splice(1))
        } else if (over) return
        else await changes.next()
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      signal.removeEventListener('abort', onAbort)
      await closeLogFiles(files.open)
      this.#target?.[Symbol.dispose]()
    }
  }

  /** The file to go on with, and where. */
  async #open(): Promise<{ open: OpenLogFile[]; offset: number }> {
    const files = await openLogFiles(this.#options.path)
    const cursor = await this.#readCursor()
    const known = files.findLastIndex((file) => file.inode === cursor?.inode)
    const chosen = files[Math.max(known, 0)]
    await closeLogFiles(files.filter((file) => file !== chosen))
    return { open: chosen === undefined ? [] : [chosen], offset: known < 0 ? 0 : (cursor?.offset ?? 0) }
  }

  async #newer(position: FilePosition | undefined, signal: AbortSignal): Promise<OpenLogFile[]> {
    const { path } = this.#options
    if (position === undefined) return await openLogFiles(path)
    const current = await inodeOf(path)
    if (current === undefined || current === position.file.inode) return []
    await this.#send(position, signal)
    return await openNewerLogFiles(path, position.file.inode)
  }

  async #send(position: FilePosition, signal: AbortSignal): Promise<void> {
    for await (const chunk of position.chunks(this.#format)) {
      const lines: ForwardedLine[] = []
      this.#format.decode(chunk, (record) => {
        const partial = record.bytes[record.end - 1] !== lineFeed
        const line = Buffer.from(record.bytes.subarray(record.start, partial ? record.end : record.end - 1))
        lines.push({
          stream: record.stream === 2 ? 'stderr' : 'stdout',
          timeNs: record.timeNs(),
          line,
          partial,
        })
        return true
      })
      await this.#deliver(lines, signal)
      await this.#writeCursor({ inode: position.file.inode, offset: position.consumed })
    }
  }

  /** Tries until it succeeds; the wait grows while it does not. Rejects only when the signal aborts. */
  async #deliver(lines: readonly ForwardedLine[], signal: AbortSignal): Promise<void> {
    for (let waitMs = firstRetryMs; ; waitMs = Math.min(waitMs * 2, lastRetryMs)) {
      signal.throwIfAborted()
      try {
        this.#target ??= await this.#connect()
        await this.#target.send(lines, signal)
        return
      } catch (error) {
        signal.throwIfAborted()
        this.#target?.[Symbol.dispose]()
        this.#target = undefined
        this.#options.log.warn('log not forwarded yet', { driver: this.#options.driver, error })
        if (this.#over && waitMs === lastRetryMs) throw error
      }
      await delay(waitMs, undefined, { signal })
    }
  }

  async #connect(): Promise<LogTarget> {
    const { driver, request, tag } = this.#options
    return driver === 'syslog' ? await connectSyslog(request.options, tag) : connectJournal(request, tag)
  }

  get #cursorPath(): string {
    return join(dirname(this.#options.path), cursorName)
  }

  async #readCursor(): Promise<Cursor | undefined> {
    try {
      const value: unknown = JSON.parse(await readFile(this.#cursorPath, 'utf8'))
      return isCursor(value) ? value : undefined
    } catch (error) {
      if (errorCode(error) === 'ENOENT' || error instanceof SyntaxError) return undefined
      throw error
    }
  }

  async #writeCursor(cursor: Cursor): Promise<void> {
    try {
      // Not synced: after a power cut the last lines are sent once more.
      await writeFile(`${this.#cursorPath}.tmp`, JSON.stringify(cursor), { mode: 0o600 })
      await rename(`${this.#cursorPath}.tmp`, this.#cursorPath)
    } catch (error) {
      // The container was removed meanwhile.
      if (errorCode(error) !== 'ENOENT') throw error
    }
  }
}

function isCursor(value: unknown): value is Cursor {
  if (typeof value !== 'object' || value === null || !('inode' in value) || !('offset' in value)) return false
  return typeof value.inode === 'number' && typeof value.offset === 'number'
}
