/**
 * Content-addressed blobs: the exact bytes of configs, manifests and layers, at `content/ALGORITHM/HEX`. A blob is
 * written to an ingest file and becomes visible by rename once its digest is known to be right; the row in table
 * `blobs` comes with the transaction of whoever needs it. Leases keep blobs while work is under way, so that
 * removal of an image and a load of the same may run side by side. What no row names goes at the next start.
 */
import { createHash, randomBytes, type Hash } from 'node:crypto'
import { renameSync, rmSync } from 'node:fs'
import { link, mkdir, open, readdir, readFile, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { readAhead } from '../lib/read-ahead.ts'
import { syncDirectory } from '../lib/sync-directory.ts'
import { EngineError, errorCode } from '../spec/errors.ts'
import { digest, isDigest, type Digest, type DigestAlgorithm } from '../spec/ids.ts'
import type { Database } from '../store/database.ts'

/** A blob that is there. */
export type Blob = { digest: Digest; size: number }

/** A blob being written. Disposing it without `publish` removes it. */
export interface Ingest extends AsyncDisposable {
  /** The file, for those who write it themselves (worker threads); they then name the digest at `publish`. */
  readonly path: string
  /** Appends; every byte is hashed on the way. */
  write(chunk: Uint8Array): Promise<void>
  /** Closes the file and answers what has been written. */
  finish(): Promise<Blob>
}

const algorithms: readonly DigestAlgorithm[] = ['sha256', 'sha512']
const maxDownloadAgeMs = 24 * 60 * 60 * 1000

/** See the file's head. */
export class ContentStore {
  readonly #directory: string
  readonly #database: Database
  readonly #leases = new Map<Digest, number>()
  /** Files that have become visible under a lease: those that no row names when it ends go again. */
  readonly #unnamed = new Set<Digest>()

  /** `directory` is the store's own; call `setUp` before anything else. */
  constructor(directory: string, database: Database) {
    this.#directory = directory
    this.#database = database
  }

  /** Makes the directories and removes half-written blobs of a former run. */
  async setUp(): Promise<void> {
    for (const algorithm of algorithms) {
      await mkdir(join(this.#directory, algorithm), { recursive: true, mode: 0o700 })
    }
    await rm(this.#ingests(), { recursive: true, force: true })
    await mkdir(this.#ingests(), { recursive: true, mode: 0o700 })
    await mkdir(this.#downloads(), { recursive: true, mode: 0o700 })
    await this.sweepDownloads(() => false)
  }

  /** The store's directory. */
  get directory(): string {
    return this.#directory
  }

  /** Where a blob's file is or would be. */
  path(id: Digest): string {
    const colon = id.indexOf(':')
    return join(this.#directory, id.slice(0, colon), id.slice(colon + 1))
  }

  /** A blob that has a row. */
  get(id: Digest): Blob | undefined {
    const row = this.#database.get('SELECT size FROM blobs WHERE digest = ?', id)
    return row === undefined ? undefined : { digest: id, size: Number(row['size']) }
  }

  /** All blobs that have a row. */
  all(): Blob[] {
    return this.#database
      .all('SELECT digest, size FROM blobs ORDER BY digest')
      .flatMap(({ digest: id, size }) =>
        typeof id === 'string' && isDigest(id) ? [{ digest: id, size: Number(size) }] : [],
      )
  }

  /** Whether work under way holds a blob. */
  isLeased(id: Digest): boolean {
    return this.#leases.has(id)
  }

  /** The files that stand where blobs are kept, each with the digest it claims to have. */
  async files(): Promise<{ path: string; digest: Digest | undefined }[]> {
    const found: { path: string; digest: Digest | undefined }[] = []
    for (const algorithm of algorithms) {
      for (const name of await readdir(join(this.#directory, algorithm))) {
        const id = `${algorithm}:${name}`
        found.push({
          path: join(this.#directory, algorithm, name),
          digest: isDigest(id) ? id : undefined,
        })
      }
    }
    return found
  }

  /** Bytes of all blobs. */
  totalBytes(): number {
    return Number(this.#database.get('SELECT sum(size) AS total FROM blobs')?.['total'] ?? 0)
  }

  /** A small blob whole. Throws notFound, and invalid beyond `maxBytes`. */
  async read(id: Digest, maxBytes = 8 << 20): Promise<Buffer> {
    try {
      const { size } = await stat(this.path(id))
      if (size > maxBytes) throw new EngineError('invalid', `blob ${id} is larger than ${maxBytes} bytes`)
      return await readFile(this.path(id))
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      throw new EngineError('notFound', `blob ${id} not found`, { cause: error })
    }
  }

  /** A blob's bytes. A piece is valid until the next is asked for. */
  pieces(id: Digest): AsyncIterable<Buffer> {
    return readAhead(this.path(id))
  }

  /** Starts writing a blob. The algorithm is that of the digest it will be published under. */
  async ingest(algorithm: DigestAlgorithm = 'sha256'): Promise<Ingest> {
    const path = this.ingestPath()
    const file = await open(path, 'wx', 0o600)
    return new FileIngest(path, file, { hash: createHash(algorithm), algorithm })
  }

  /** A name for an ingest file that somebody else creates. */
  ingestPath(): string {
    return join(this.#ingests(), randomBytes(12).toString('hex'))
  }

  /** Where a blob is downloaded to. Unlike ingest files these outlive the process: a later download goes on. */
  downloadPath(id: Digest): string {
    return join(this.#downloads(), id.replace(':', '-'))
  }

  /** As `publish`, but the file keeps its name as well: others still read it. */
  async publishLink(path: string, id: Digest): Promise<void> {
    const target = this.path(id)
    this.#unnamed.add(id)
    try {
      await link(path, target)
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error
    }
    await syncDirectory(dirname(target))
  }

  /**
   * Makes a finished, synced ingest file visible under its digest. The caller holds a lease on it, and inserts the
   * row (`insert`) in its transaction.
   */
  async publish(path: string, id: Digest): Promise<void> {
    const target = this.path(id)
    this.#unnamed.add(id)
    await rename(path, target)
    await syncDirectory(dirname(target))
  }

  /** Writes a small blob and makes it visible; as `publish`, the row is the caller's. */
  async put(data: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Promise<Blob> {
    await using ingest = await this.ingest(algorithm)
    await ingest.write(data)
    const blob = await ingest.finish()
    await this.publish(ingest.path, blob.digest)
    return blob
  }

  /** Inserts rows of published blobs; inside the caller's transaction. */
  insert(blobs: readonly Blob[]): void {
    for (const { digest: id, size } of blobs) {
      this.#database.run('INSERT OR IGNORE INTO blobs (digest, size) VALUES (?, ?)', id, size)
    }
  }

  /** Keeps blobs from being collected until disposed. */
  lease(ids: readonly Digest[]): Disposable {
    for (const id of ids) this.#leases.set(id, (this.#leases.get(id) ?? 0) + 1)
    return {
      [Symbol.dispose]: () => {
        for (const id of ids) {
          const left = (this.#leases.get(id) ?? 1) - 1
          if (left === 0) this.#release(id)
          else this.#leases.set(id, left)
        }
      },
    }
  }

  /** Removes those of the blobs that `isNeeded` denies and nobody leases. Row first, then file. */
  async collect(ids: Iterable<Digest>, isNeeded: (id: Digest) => boolean): Promise<Blob[]> {
    const removed: Blob[] = []
    this.#database.transaction(() => {
      for (const id of new Set(ids)) {
        const blob = this.#leases.has(id) || isNeeded(id) ? undefined : this.get(id)
        if (blob === undefined) continue
        this.#database.run('DELETE FROM blobs WHERE digest = ?', id)
        removed.push(blob)
      }
    })
    // Taken out of the way in this same turn: who leases one of them later writes it anew, and keeps what it wrote.
    const gone = removed.map(({ digest: id }) => this.#takeAway(id))
    for (const path of gone) await rm(path, { force: true })
    return removed
  }

  /** The last lease has ended: what came under it and got no row, as the work failed, goes. */
  #release(id: Digest): void {
    this.#leases.delete(id)
    if (!this.#unnamed.delete(id) || this.get(id) !== undefined) return
    rmSync(this.path(id), { force: true })
  }

  /** Moves a blob's file to where nobody finds it; answers where. */
  #takeAway(id: Digest): string {
    const path = this.ingestPath()
    try {
      renameSync(this.path(id), path)
    } catch {
      // It is gone already, or a full disk has no room for the name.
      rmSync(this.path(id), { force: true })
    }
    return path
  }

  /** At start: removes blobs that nobody needs and files without a row. */
  async sweep(isNeeded: (id: Digest) => boolean): Promise<void> {
    await this.collect(
      this.all().map((blob) => blob.digest),
      isNeeded,
    )
    for (const { path, digest: id } of await this.files()) {
      if (id === undefined || this.get(id) === undefined) await rm(path, { force: true })
    }
  }

  #ingests(): string {
    return join(this.#directory, 'ingest')
  }

  #downloads(): string {
    return join(this.#directory, 'downloads')
  }

  /**
   * Removes downloads that nobody has gone on with for a while, and at start what had become a blob just before the
   * process ended.
   */
  async sweepDownloads(isRunning: (path: string) => boolean): Promise<void> {
    for (const name of await readdir(this.#downloads())) {
      const path = join(this.#downloads(), name)
      if (isRunning(path)) continue
      const { mtimeMs } = await stat(path)
      const id = name.replace('-', ':')
      const isBlob = isDigest(id) && this.get(id) !== undefined
      if (isBlob || Date.now() - mtimeMs > maxDownloadAgeMs) await rm(path, { force: true })
    }
  }
}

/** The digest of some bytes. */
export function digestOf(data: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return digest(`${algorithm}:${createHash(algorithm).update(data).digest('hex')}`)
}

class FileIngest implements Ingest {
  readonly path: string
  readonly #hash: Hash
  readonly #algorithm: string
  #file: FileHandle | undefined
  #size = 0

  constructor(path: string, file: FileHandle, hash: { hash: Hash; algorithm: string }) {
    this.path = path
    this.#file = file
    this.#hash = hash.hash
    this.#algorithm = hash.algorithm
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.#file === undefined) throw new Error('ingest is finished')
    this.#hash.update(chunk)
    for (let written = 0; written < chunk.length;) {
      written += (await this.#file.write(chunk, written)).bytesWritten
    }
    this.#size += chunk.length
  }

  async finish(): Promise<Blob> {
    const file = this.#file
    if (file === undefined) throw new Error('ingest is finished')
    this.#file = undefined
    try {
      await file.sync()
    } finally {
      await file.close()
    }
    return { digest: digest(`${this.#algorithm}:${this.#hash.digest('hex')}`), size: this.#size }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close()
    // Gone already when it was published.
    await rm(this.path, { force: true })
  }
}
