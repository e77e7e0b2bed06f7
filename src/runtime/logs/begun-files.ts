/**
 * The files that a log begins while somebody reads it, opened as they appear: who has fallen behind still has them when
 * the log's bounds have taken their names away. Only so many are held, or a reader that stands still would keep more and
 * more of the disk; then the oldest go, as those do that were never opened.
 */
import { basename, dirname } from 'node:path'
import { DirectoryChanges } from '../../lib/follow-changes.ts'
import { Semaphore } from '../../lib/mutex.ts'
import { closeLogFiles, inodeOf, openLogFiles, openNewerLogFiles } from './log-files.ts'
import type { OpenLogFile } from './log-files.ts'

const mostHeld = 16

/** See the file's head. Disposing closes what was not taken. */
export class BegunFiles implements AsyncDisposable {
  /** Of the log's directory: what a follower waits for. */
  readonly changes: DirectoryChanges
  readonly #path: string
  #held: OpenLogFile[] = []
  /** Inode of the newest file that is known; undefined before the first. */
  #newest: number | undefined
  /** One opening after the other: two would find the same files. */
  readonly #turn = new Semaphore(1)
  #isAsked = false

  constructor(path: string) {
    this.#path = path
    const name = basename(path)
    // The file has a new name, or another has its name.
    this.changes = new DirectoryChanges(dirname(path), (renamed) => {
      if (renamed === name) this.#open()
    })
  }

  /** The files there are now, oldest first; what begins later comes from `take`. */
  async present(): Promise<OpenLogFile[]> {
    using _turn = await this.#turn.acquire()
    await closeLogFiles(this.#held.splice(0))
    const files = await openLogFiles(this.#path)
    this.#newest = files.at(-1)?.inode
    return files
  }

  /** Those begun since, oldest first. The caller closes them. */
  async take(): Promise<OpenLogFile[]> {
    await this.#openNewer()
    return this.#held.splice(0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.changes[Symbol.dispose]()
    // Behind all that was asked for before.
    using _turn = await this.#turn.acquire()
    await closeLogFiles(this.#held.splice(0))
  }

  #open(): void {
    if (this.#isAsked) return
    this.#isAsked = true
    // What cannot be opened now is tried again by `take`, which tells.
    this.#openNewer().catch(() => {})
  }

  async #openNewer(): Promise<void> {
    using _turn = await this.#turn.acquire()
    this.#isAsked = false
    const current = await inodeOf(this.#path)
    if (current === undefined || current === this.#newest) return
    const newer =
      this.#newest === undefined
        ? await openLogFiles(this.#path)
        : await openNewerLogFiles(this.#path, this.#newest)
    this.#held.push(...newer)
    this.#newest = newer.at(-1)?.inode ?? this.#newest
    await closeLogFiles(this.#held.splice(0, Math.max(0, this.#held.length - mostHeld)))
  }
}
