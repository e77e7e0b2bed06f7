/**
 * Uploads of blobs. A session is a row of the index and a file in the spool folder, made with the first byte. Bytes
 * are hashed while they are written, so that a finished upload only has to be synced and renamed; after a restart
 * the file is what counts, and is hashed again when the client goes on. What stays half done expires.
 */
import { createHash, randomUUID, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, rm, stat, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { Clock } from '../lib/clock.ts'
import { eachLimited } from '../lib/each-limited.ts'
import { KeyedMutex } from '../lib/mutex.ts'
import { releaseBuffer } from '../lib/release-buffer.ts'
import { writePieces } from '../lib/write-pieces.ts'
import { errorCode } from '../spec/errors.ts'
import { digest as toDigest, type Digest } from '../spec/ids.ts'
import { textColumn } from '../store/database.ts'
import { noSpaceError, RegistryError } from './errors.ts'
import { algorithmOf, parseAlgorithm, type DigestAlgorithm } from './names.ts'
import type { RegistryIndex } from './registry-index.ts'

const writeBytes = 1024 * 1024
const syncBytes = 16 * 1024 * 1024
const diskErrors = ['EIO', 'EROFS', 'EUCLEAN']
// Sessions whose hash is kept in memory; others are hashed anew when they go on.
const mostHashes = 4096
const mostUploads = 200_000
const expiredAtOnce = 200
const removalsAtOnce = 8

/** What uploads are made of. */
export type UploadsOptions = {
  directory: string
  index: RegistryIndex
  clock: Clock
  /** What the names of sessions begin with. */
  prefix: string
  /** After how long a session that nobody touched is removed, and how large a blob may be. */
  limits: () => { expiryMs: number; blobBytes: number }
}

/** A piece of a blob that a client sends; `start` where it said so, `length` where it is known. */
export type Piece = { body: Readable; start?: number; length?: number }

/** An upload's whole bytes: synced, at `path`, with the digest the client named. */
export type FinishedUpload = { path: string; size: number }

type Progress = { hash: Hash; algorithm: DigestAlgorithm; size: number }
type Session = { id: string; algorithm: DigestAlgorithm }

/** See the file's head. */
export class Uploads {
  readonly #options: UploadsOptions
  readonly #progress = new Map<string, Progress>()
  readonly #locks = new KeyedMutex()
  #open = 0

  constructor(options: UploadsOptions) {
    this.#options = options
  }

  /** The spool folder; what has no session there goes at the next start. */
  get directory(): string {
    return this.#options.directory
  }

  /** Makes the spool folder and removes files of sessions that are gone. */
  async setUp(): Promise<void> {
    const { directory, index } = this.#options
    this.#open = Number(index.database.get('SELECT count(*) AS open FROM uploads')?.['open'])
    await mkdir(directory, { recursive: true, mode: 0o700 })
    for (const name of await readdir(directory)) {
      if (this.#row(name) === undefined) await rm(join(directory, name), { force: true })
    }
  }

  /** Starts a session; answers its id. */
  create(repository: string, algorithm: DigestAlgorithm): string {
    const { index, clock } = this.#options
    if (this.#open >= mostUploads) {
      throw new RegistryError('TOOMANYREQUESTS', {
        message: 'too many open uploads',
        headers: { 'Retry-After': '60' },
      })
    }
    const id = `${this.#options.prefix}${randomUUID()}`
    index.database.run('INSERT INTO uploads VALUES (?, ?, ?, ?)', id, repository, algorithm, clock.nowMs())
    this.#open += 1
    return id
  }

  /** Whether there is such a session. */
  has(id: string): boolean {
    return this.#row(id) !== undefined
  }

  /** Bytes that a session has. Throws BLOB_UPLOAD_UNKNOWN. */
  async size(repository: string, id: string): Promise<number> {
    this.#session(repository, id)
    return this.#progress.get(id)?.size ?? (await fileSize(this.#path(id)))
  }

  /** Appends a piece; answers how many bytes there are then. A piece cut short is kept as far as it came. */
  async append(repository: string, id: string, piece: Piece): Promise<number> {
    using _lock = await this.#locks.acquire(id)
    return await this.#append(this.#session(repository, id), piece)
  }

  /**
   * Appends the last piece, if any, checks the digest, and hands the synced file to `take`, which moves it away. The
   * session ends with it, or with a digest that is wrong (DIGEST_INVALID); it stays after any other failure.
   */
  async finish<T>(
    repository: string,
    id: string,
    last: { digest: Digest; piece?: Piece },
    take: (finished: FinishedUpload) => Promise<T>,
  ): Promise<T> {
    using _lock = await this.#locks.acquire(id)
    const session = this.#session(repository, id)
    if (last.piece !== undefined) await this.#append(session, last.piece)
    const progress = await this.#hashed(session, algorithmOf(last.digest))
    const actual = toDigest(`${progress.algorithm}:${progress.hash.copy().digest('hex')}`)
    if (actual !== last.digest) {
      await this.#end(id)
      throw new RegistryError('DIGEST_INVALID', { detail: { digest: last.digest, actual } })
    }
    const file = await open(this.#path(id), 'a', 0o600)
    try {
      await file.datasync()
    } finally {
      await file.close()
    }
    const result = await take({ path: this.#path(id), size: progress.size })
    await this.#end(id)
    return result
  }

  /** Ends a session and removes its bytes. Throws BLOB_UPLOAD_UNKNOWN. */
  async cancel(repository: string, id: string): Promise<void> {
    using _lock = await this.#locks.acquire(id)
    this.#session(repository, id)
    await this.#end(id)
  }

  /** Removes sessions that nobody touched for long; answers how many. */
  async expire(): Promise<number> {
    const before = this.#options.clock.nowMs() - this.#options.limits().expiryMs
    let removed = 0
    for (;;) {
      const rows = this.#options.index.database.all(
        'SELECT id FROM uploads WHERE touched_ms < ? ORDER BY touched_ms LIMIT ?',
        before,
        expiredAtOnce,
      )
      const idle = rows.map((row) => textColumn(row, 'id')).filter((id) => !this.#locks.isHeld(id))
      if (idle.length === 0) return removed
      // Nobody can take them up between here and there: a hundred thousand may go at once, so many a transaction.
      this.#options.index.database.transaction(() => {
        for (const id of idle) this.#forget(id)
      })
      await eachLimited(idle, removalsAtOnce, (id) => rm(this.#path(id), { force: true }))
      removed += idle.length
    }
  }

  async #append(session: Session, { body, start, length }: Piece): Promise<number> {
    const { id, algorithm } = session
    const progress = await this.#hashed(session, algorithm)
    if (start !== undefined && start !== progress.size) {
      throw new RegistryError('BLOB_UPLOAD_INVALID', {
        message: 'invalid content range',
        status: 416,
        detail: { offset: progress.size },
        headers: { Range: rangeHeader(progress.size), 'Docker-Upload-UUID': id },
      })
    }
    const before = progress.size
    const file = await open(this.#path(id), 'a', 0o600)
    try {
      await this.#copy(body, file, progress)
    } catch (error) {
      // What is not known to be whole on disk is cut off; the client may go on from what status tells.
      this.#progress.delete(id)
      if (error instanceof RegistryError || errorCode(error) === 'ENOSPC') await file.truncate(before)
      // Which bytes the disk has lost is not known, and it says so only once.
      else if (diskErrors.includes(errorCode(error) ?? '')) await this.#end(id)
      throw noSpaceError(error) ?? error
    } finally {
      await file.close()
    }
    if (length !== undefined && progress.size - before !== length) {
      throw new RegistryError('SIZE_INVALID')
    }
    this.#touch(id)
    return progress.size
  }

  async #copy(body: Readable, file: FileHandle, progress: Progress): Promise<void> {
    let pending: Uint8Array[] = []
    let pendingBytes = 0
    let writing = Promise.resolve()
    const disk = new EarlySync(file)
    const flush = async () => {
      await writing
      await disk.coming(pendingBytes)
      const chunks = pending
      pending = []
      pendingBytes = 0
      writing = writeAndRelease(file, chunks)
      // Awaited before the next write and at the end.
      writing.catch(() => {})
    }
    try {
      // Not destroyed when this fails: the client is still to be told.
      for await (const data of body.iterator({ destroyOnReturn: false })) {
        const chunk: Uint8Array = data
        progress.size += chunk.length
        if (progress.size > this.#options.limits().blobBytes) {
          throw new RegistryError('SIZE_INVALID', { message: 'blob is too large', status: 413 })
        }
        progress.hash.update(chunk)
        pending.push(chunk)
        pendingBytes += chunk.length
        if (pendingBytes >= writeBytes) await flush()
      }
    } finally {
      try {
        await flush()
        await writing
      } finally {
        await disk.settled()
      }
    }
  }

  /** The session's state with its hash, from memory or from the file. */
  async #hashed({ id }: Session, algorithm: DigestAlgorithm): Promise<Progress> {
    const known = this.#progress.get(id)
    if (known?.algorithm === algorithm) return known
    const progress: Progress = { hash: createHash(algorithm), algorithm, size: 0 }
    if ((await fileSize(this.#path(id))) > 0) {
      for await (const data of createReadStream(this.#path(id), { highWaterMark: writeBytes })) {
        const chunk: Uint8Array = data
        progress.hash.update(chunk)
        progress.size += chunk.length
      }
    }
    const oldest = this.#progress.keys().next().value
    if (this.#progress.size >= mostHashes && oldest !== undefined) this.#progress.delete(oldest)
    this.#progress.set(id, progress)
    return progress
  }

  #forget(id: string): void {
    this.#progress.delete(id)
    this.#open -= this.#options.index.database.run('DELETE FROM uploads WHERE id = ?', id)
  }

  async #end(id: string): Promise<void> {
    this.#forget(id)
    await rm(this.#path(id), { force: true })
  }

  #touch(id: string): void {
    const { index, clock } = this.#options
    index.database.run('UPDATE uploads SET touched_ms = ? WHERE id = ?', clock.nowMs(), id)
  }

  #row(id: string) {
    return this.#options.index.database.get('SELECT repository, algorithm FROM uploads WHERE id = ?', id)
  }

  #session(repository: string, id: string): Session {
    const row = this.#row(id)
    if (row === undefined || row['repository'] !== repository) throw new RegistryError('BLOB_UPLOAD_UNKNOWN')
    return { id, algorithm: parseAlgorithm(textColumn(row, 'algorithm')) }
  }

  // Only ids that have a row get here: they are ours, never a path.
  #path(id: string): string {
    return join(this.#options.directory, id)
  }
}

/** Lets the disk write while bytes still come in, so that little is left for the sync at the end. */
class EarlySync {
  readonly #file: FileHandle
  #unsynced = 0
  #isSyncing = false
  #syncing = Promise.resolve()

  constructor(file: FileHandle) {
    this.#file = file
  }

  /** So many bytes more are on their way into the file. Throws what an earlier sync found. */
  async coming(bytes: number): Promise<void> {
    this.#unsynced += bytes
    if (this.#isSyncing || this.#unsynced < syncBytes) return
    await this.#syncing
    this.#unsynced = 0
    this.#isSyncing = true
    this.#syncing = this.#file.datasync().finally(() => {
      this.#isSyncing = false
    })
    // Awaited before the next one and at the end.
    this.#syncing.catch(() => {})
  }

  /** Nothing is under way any more; throws like `coming`. */
  async settled(): Promise<void> {
    await this.#syncing
  }
}

/** The `Range` header of an upload with so many bytes. */
export function rangeHeader(size: number): string {
  // The reference registry says 0-0 of an empty upload, and clients rely on it.
  return `0-${Math.max(0, size - 1)}`
}

async function writeAndRelease(file: FileHandle, chunks: readonly Uint8Array[]): Promise<void> {
  await writePieces(file, chunks)
  for (const chunk of chunks) releaseBuffer(chunk)
}

async function fileSize(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 0
    throw error
  }
}
