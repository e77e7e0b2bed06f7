/**
 * How the tree follows the index. A change is one transaction of the index, which says in the journal what the tree
 * lacks; a background task writes that, makes it durable, and only then takes it out of the journal. So an answered
 * request costs one sync, the tree is complete moments later, and after a crash the journal is what remains to do.
 * Where others use the tree too, the tree is what counts: an answer waits until it has the change and the others
 * have been told.
 */
import { dirname } from 'node:path/posix'
import { eachLimited } from '../lib/each-limited.ts'
import { KeyedMutex } from '../lib/mutex.ts'
import type { Log } from '../lib/log.ts'
import type { Digest } from '../spec/ids.ts'
import { RegistryError } from './errors.ts'
import { textColumn, type Database } from '../store/database.ts'
import type { RegistryIndex } from './registry-index.ts'
import type { StorageDriver } from './storage-driver.ts'
import { blobPath } from './tree.ts'

const batchSize = 256
const retryMs = 5_000

type Entry = { path: string; sequence: number; digest: string; content: Uint8Array | undefined }

type Waiter = { sequence: number; resolve: () => void; reject: (error: unknown) => void }

/** Knows which paths were noted while it was in use, or were waiting when that began. */
export type PathTracker = Disposable & {
  /** Whether the path, or one above or below it, was. */
  touches(path: string): boolean
}

/** See the file's head. */
export class Journal implements AsyncDisposable {
  readonly #index: RegistryIndex
  readonly #database: Database
  readonly #publish: ((paths: readonly string[]) => Promise<void>) | undefined
  readonly #mayWrite: (() => boolean) | undefined
  readonly #trackers = new Set<Set<string>>()
  #waiters: Waiter[] = []
  readonly #driver: StorageDriver
  readonly #log: Log
  /** Held by digest by whoever puts a blob's bytes in the tree or takes them away. */
  readonly blobLocks = new KeyedMutex()
  #sequence: number
  #running: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined
  #closed = false

  /**
   * `publish` tells others who use the tree what changed there; `mayWrite` answers whether what is noted may still be
   * done to it.
   */
  constructor(parts: {
    index: RegistryIndex
    driver: StorageDriver
    log: Log
    publish?: (paths: readonly string[]) => Promise<void>
    mayWrite?: () => boolean
  }) {
    this.#index = parts.index
    this.#database = parts.index.database
    this.#driver = parts.driver
    this.#log = parts.log
    this.#publish = parts.publish
    this.#mayWrite = parts.mayWrite
    this.#sequence = Number(this.#database.get('SELECT max(sequence) AS last FROM journal')?.['last'] ?? 0)
  }

  /** Runs changes as one transaction and waits until what they noted may be acknowledged. */
  async commit<T>(work: () => T): Promise<T> {
    const result = this.#database.transaction(work)
    await this.acknowledged()
    return result
  }

  /** Waits until all that was noted before would survive the loss of power, or of this machine where the tree is elsewhere. */
  async acknowledged(): Promise<void> {
    if (this.#publish === undefined) {
      await this.#index.durable()
      this.wake()
      return
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiters.push({ sequence: this.#sequence, resolve, reject })
    this.wake()
    await promise
  }

  /** Tracks which paths are noted from now on. */
  track(): PathTracker {
    const paths = new Set(
      this.#database.all('SELECT path FROM journal').map((row) => textColumn(row, 'path')),
    )
    this.#trackers.add(paths)
    return {
      touches: (path) =>
        [...paths].some(
          (noted) => noted === path || noted.startsWith(`${path}/`) || path.startsWith(`${noted}/`),
        ),
      [Symbol.dispose]: () => this.#trackers.delete(paths),
    }
  }

  /** Forgets what is noted, where the tree counts; answers which paths it was about. */
  discard(): string[] {
    return this.#database.all('DELETE FROM journal RETURNING path').map((row) => textColumn(row, 'path'))
  }

  /** Gives up what is noted; answers which paths the tree, not the index, is right about now. */
  async abandon(): Promise<string[]> {
    while (this.#running !== undefined) await this.#running
    clearTimeout(this.#retry)
    return this.discard()
  }

  /** Notes a small file to write; inside the caller's transaction. */
  write(path: string, content: string | Uint8Array): void {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content
    this.#insert(path, null, bytes)
  }

  /** Notes a folder or file to remove; inside the caller's transaction. */
  remove(path: string): void {
    // `0` is the character after `/`: everything below the path, by the primary key.
    this.#database.run('DELETE FROM journal WHERE path > ? AND path < ?', `${path}/`, `${path}0`)
    this.#insert(path, null, null)
  }

  /** Notes that a blob's bytes are to go, unless the index has the blob again by then. */
  removeBlob(digest: Digest): void {
    this.#insert(dirname(blobPath(digest)), digest, null)
  }

  /** Starts writing what is noted, soon. Call after a transaction that noted something. */
  wake(): void {
    if (this.#running !== undefined || this.#closed) return
    clearTimeout(this.#retry)
    this.#running = this.#run()
  }

  /** Waits until the tree has all that was noted before; answers whether it has: a write may fail. */
  async settled(): Promise<boolean> {
    this.wake()
    while (this.#running !== undefined) await this.#running
    return !this.hasEntries
  }

  /** Whether the tree lacks something. */
  get hasEntries(): boolean {
    return this.#database.get('SELECT 1 FROM journal LIMIT 1') !== undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.settled()
    this.#closed = true
    clearTimeout(this.#retry)
  }

  #insert(path: string, digest: string | null, content: Uint8Array | null): void {
    this.#sequence += 1
    for (const paths of this.#trackers) paths.add(path)
    this.#database.run(
      'INSERT OR REPLACE INTO journal (path, sequence, digest, content) VALUES (?, ?, ?, ?)',
      path,
      this.#sequence,
      digest,
      content,
    )
  }

  async #run(): Promise<void> {
    try {
      await this.#drain()
      this.#running = undefined
      if (this.hasEntries) this.wake()
    } catch (error) {
      this.#running = undefined
      this.#log.error('storage tree is behind the index', { error })
      const waiters = this.#waiters
      this.#waiters = []
      for (const { reject } of waiters) reject(error)
      if (!this.#closed) this.#retry = setTimeout(() => this.wake(), retryMs).unref()
    }
  }

  async #drain(): Promise<void> {
    // Whoever woke us goes on first, and may note more.
    await Promise.resolve()
    for (;;) {
      const batch = this.#batch()
      if (batch.length === 0) {
        this.#tellWaiters(this.#sequence)
        return
      }
      if (this.#mayWrite?.() === false) {
        throw new RegistryError('UNAVAILABLE', { message: 'a collection has taken too long: try again' })
      }
      for (const run of independent(batch)) {
        await eachLimited(run, this.#driver.parallel, (entry) => this.#apply(entry))
      }
      await this.#driver.sync(batch.filter((entry) => entry.content !== undefined).map((entry) => entry.path))
      await this.#publish?.(batch.map(({ path }) => path))
      this.#database.transaction(() => {
        for (const { path, sequence } of batch) {
          this.#database.run('DELETE FROM journal WHERE path = ? AND sequence = ?', path, sequence)
        }
      })
      this.#tellWaiters(batch.at(-1)?.sequence ?? 0)
    }
  }

  #tellWaiters(done: number): void {
    const waiters = this.#waiters
    this.#waiters = waiters.filter(({ sequence }) => sequence > done)
    for (const { sequence, resolve } of waiters) if (sequence <= done) resolve()
  }

  #batch(): Entry[] {
    return this.#database.all('SELECT * FROM journal ORDER BY sequence LIMIT ?', batchSize).map((row) => ({
      path: textColumn(row, 'path'),
      sequence: Number(row['sequence']),
      digest: textColumn(row, 'digest'),
      content: row['content'] instanceof Uint8Array ? row['content'] : undefined,
    }))
  }

  async #apply({ path, digest, content }: Entry): Promise<void> {
    if (content !== undefined) {
      await this.#driver.write(path, content)
      return
    }
    if (digest === '') {
      await this.#driver.remove(path)
      return
    }
    using _lock = await this.blobLocks.acquire(digest)
    const isBack =
      this.#database.get('SELECT 1 FROM blobs WHERE digest = ?', digest) !== undefined ||
      this.#database.get('SELECT 1 FROM manifest_contents WHERE digest = ?', digest) !== undefined
    if (!isBack) await this.#driver.remove(path)
  }
}

/** Cuts a batch where a write may lie in a folder that was removed before; what is between may go in any order. */
function independent(batch: readonly Entry[]): Entry[][] {
  const runs: Entry[][] = []
  let last: Entry | undefined
  for (const entry of batch) {
    const isWrite = entry.content !== undefined
    if (last === undefined || (isWrite && last.content === undefined)) runs.push([])
    runs.at(-1)?.push(entry)
    last = entry
  }
  return runs
}
