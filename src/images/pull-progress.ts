/** Docker's progress messages of a layer that is pulled (moby pkg/progress and distribution/xfer). */
import type { ProgressMessage } from '../spec/image-types.ts'
import type { DiffId, Digest } from '../spec/ids.ts'
import type { DownloadState } from './pull-download.ts'

/** Takes messages for the client. */
export type Report = (message: ProgressMessage) => void

/** The first digits of a digest, by which a layer is shown. */
function shortDigest(id: Digest | DiffId): string {
  const hex = id.slice(id.indexOf(':') + 1)
  return hex.slice(0, 12)
}

/** One layer's line. */
export class LayerProgress {
  readonly #id: string
  readonly #report: Report
  #last = ''

  constructor(id: Digest | DiffId, report: Report) {
    this.#id = shortDigest(id)
    this.#report = report
  }

  /** A word without numbers; said once in a row. */
  say(status: string): void {
    if (this.#last === status) return
    this.#last = status
    this.#report({ status, progressDetail: {}, id: this.#id })
  }

  /** A word with a bar. */
  show(status: string, current: number, total: number): void {
    this.#last = status
    this.#report({ status, progressDetail: { current, total }, id: this.#id })
  }

  /** What a download's state means. */
  download(state: DownloadState): void {
    if (state.phase === 'waiting') this.say('Waiting')
    else if (state.phase === 'downloading') this.show('Downloading', state.bytes, state.total)
    else if (state.phase === 'done') {
      this.say('Verifying Checksum')
      this.say('Download complete')
    } else if (state.phase === 'retrying')
      this.say(`Retrying in ${state.seconds} second${state.seconds === 1 ? '' : 's'}`)
  }
}

type Shared<T> = {
  work: Promise<T>
  abort: AbortController
  reports: Set<Report>
  /** The last message of each line, for those who come later. */
  lines: Map<string, ProgressMessage>
}

/** Work that several ask for at the same time is done once; it ends when all of them have gone. */
export class SharedWork<T> {
  readonly #running = new Map<string, Shared<T>>()

  /** Does the work, or takes part in the one under way with this key. */
  async run(
    key: string,
    parts: { report: Report; signal: AbortSignal },
    work: (report: Report, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { report, signal } = parts
    const known = this.#running.get(key)
    const shared = known ?? this.#start(key, work)
    if (known !== undefined) for (const message of known.lines.values()) report(message)
    shared.reports.add(report)
    const { promise: aborted, reject } = Promise.withResolvers<never>()
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      signal.throwIfAborted()
      return await Promise.race([shared.work, aborted])
    } finally {
      signal.removeEventListener('abort', onAbort)
      shared.reports.delete(report)
      if (shared.reports.size === 0 && this.#running.get(key) === shared) {
        this.#running.delete(key)
        shared.abort.abort(signal.reason ?? new Error('nobody waits any more'))
        // What it had under way is put away before the caller goes on.
        await shared.work.catch(() => {})
      }
    }
  }

  #start(key: string, work: (report: Report, signal: AbortSignal) => Promise<T>): Shared<T> {
    const abort = new AbortController()
    const reports = new Set<Report>()
    const lines = new Map<string, ProgressMessage>()
    const report: Report = (message) => {
      if (message.id !== undefined) lines.set(message.id, message)
      for (const one of reports) one(message)
    }
    // Begins in a later turn, when the first report is known.
    const running = Promise.resolve().then(() => work(report, abort.signal))
    running.catch(() => {})
    const shared: Shared<T> = { work: running, abort, reports, lines }
    this.#running.set(key, shared)
    const forget = () => {
      if (this.#running.get(key) === shared) this.#running.delete(key)
    }
    running.then(forget, forget)
    return shared
  }
}
