/**
 * How the tree follows the index. A change is one transaction of the index, which says in the journal what the tree
 * lacks; a background task writes that, makes it durable, and only then takes it out of the journal. So an answered
 * request costs one sync, the tree is complete moments later, and after a crash the journal is what remains to do.
 */
import { dirname } from 'node:path/posix'
import { KeyedMutex } from '../lib/mutex.ts'
import type { Log } from '../lib/log.ts'
import type { Digest } from '../spec/ids.ts'
import { type Database, textColumn } from '../store/database.ts'
import type { StorageDriver } from './storage-driver.ts'
import { blobPath } from './tree.ts'

const batchSize = 256
const retryMs = 5_000

type Entry = { path: string; sequence: number; digest: string; content: Uint8Array | undefined }

/** See the file's head. */
export class Journal implements AsyncDisposable {
  readonly #database: Database
  readonly #driver: StorageDriver
  readonly #log: Log
  /** Held by digest by whoever puts a blob's bytes in the tree or takes them away. */
  readonly blobLocks = new KeyedMutex()
  #sequence: number
  #running: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined
  #closed = false

  constructor(database: Database, driver: StorageDriver, log: Log) {
    this.#database = database
    this.#driver = driver
    this.#log = log
    this.#sequence = Number(database.get('SELECT max(sequence) AS last FROM journal')?.['last'] ?? 0)
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
    return !this.#pending()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.settled()
    this.#closed = true
    clearTimeout(this.#retry)
  }

  #insert(path: string, digest: string | null, content: Uint8Array | null): void {
    this.#sequence += 1
    this.#database.run(
      'INSERT OR REPLACE INTO journal (path, sequence, digest, content) VALUES (?, ?, ?, ?)',
      path,
      this.#sequence,
      digest,
      content,
    )
  }

  #pending(): boolean {
    return this.#database.get('SELECT 1 FROM journal LIMIT 1') !== undefined
  }

  async #run(): Promise<void> {
    try {
      await this.#drain()
      this.#running = undefined
      if (this.#pending()) this.wake()
    } catch (error) {
      this.#running = undefined
      this.#log.error('storage tree is behind the index', { error })
      if (!this.#closed) this.#retry = setTimeout(() => this.wake(), retryMs).unref()
    }
  }

  async #drain(): Promise<void> {
    // Whoever woke us goes on first, and may note more.
    await Promise.resolve()
    for (;;) {
      const batch = this.#batch()
      if (batch.length === 0) return
      for (const entry of batch) await this.#apply(entry)
      await this.#driver.sync(batch.filter((entry) => entry.content !== undefined).map((entry) => entry.path))
      this.#database.transaction(() => {
        for (const { path, sequence } of batch) {
          this.#database.run('DELETE FROM journal WHERE path = ? AND sequence = ?', path, sequence)
        }
      })
    }
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
