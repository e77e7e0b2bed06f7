/**
 * The embedded index: what repositories, tags, manifests and blobs there are. It answers every listing, so that no
 * request walks the tree, and it is the truth: the tree follows it through the journal. It can be built anew from
 * the tree (`rebuild.ts`). A change is a synchronous transaction, visible at once; `durable` waits for the disk,
 * once for all who wait at the time, and nothing is acknowledged before.
 */
import { open, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { syncDirectory } from '../lib/sync-directory.ts'
import { type Digest, digest as toDigest } from '../spec/ids.ts'
import { Database, textColumn, type Row } from '../store/database.ts'
import { indexMigrations } from './index-schema.ts'

/** A manifest in a repository. */
export type ManifestRow = { digest: Digest; mediaType: string; size: number }

/** A manifest to be inserted. */
export type NewManifest = ManifestRow & {
  content: Uint8Array
  subject: Digest | undefined
  artifactType: string | undefined
  annotations: Record<string, string> | undefined
  blobs: readonly Digest[]
  manifests: readonly Digest[]
}

/** See the file's head. */
export class RegistryIndex implements AsyncDisposable {
  readonly database: Database
  readonly #wal: FileHandle | undefined
  readonly #ids = new Map<string, number>()
  #syncing: Promise<void> | undefined
  #nextSync: Promise<void> | undefined

  private constructor(database: Database, wal: FileHandle | undefined) {
    this.database = database
    this.#wal = wal
  }

  /** Opens or creates the index for this process alone. Throws when another one has it. `:memory:` for tests. */
  static async open(path: string): Promise<RegistryIndex> {
    const database = new Database(path, indexMigrations)
    // Commits are made durable by `durable`, off the event loop; checkpoints still sync by themselves.
    database.get('PRAGMA synchronous = NORMAL')
    database.get('PRAGMA locking_mode = EXCLUSIVE')
    database.get('PRAGMA cache_size = -16384')
    database.transaction(() => database.run("INSERT OR REPLACE INTO settings VALUES ('opened', 'yes')"))
    if (path === ':memory:') return new RegistryIndex(database, undefined)
    const wal = await open(`${path}-wal`, 'r')
    await wal.datasync()
    await syncDirectory(dirname(path))
    return new RegistryIndex(database, wal)
  }

  /** Resolves when every change made so far is on disk. */
  async durable(): Promise<void> {
    this.#nextSync ??= this.#syncAfter(this.#syncing)
    return this.#nextSync
  }

  /** Runs changes as one transaction and waits until they are durable. */
  async commit<T>(work: () => T): Promise<T> {
    const result = this.database.transaction(work)
    await this.durable()
    return result
  }

  /** A repository's number; undefined where there is none. */
  repositoryId(name: string): number | undefined {
    const known = this.#ids.get(name)
    if (known !== undefined) return known
    const row = this.database.get('SELECT id FROM repositories WHERE name = ?', name)
    if (row === undefined) return undefined
    if (this.#ids.size > 50_000) this.#ids.clear()
    this.#ids.set(name, Number(row['id']))
    return Number(row['id'])
  }

  /** The number of a repository, made when it is not there. In a transaction. */
  ensureRepository(name: string, nowMs: number): number {
    const id = this.repositoryId(name)
    if (id !== undefined) return id
    const row = this.database.get(
      'INSERT INTO repositories (name, created_ms) VALUES (?, ?) RETURNING id',
      name,
      nowMs,
    )
    // Not remembered yet: the transaction may still be undone.
    return Number(row?.['id'])
  }

  /** Forgets a repository with all in it. In a transaction. */
  dropRepository(name: string, id: number): void {
    for (const table of ['tags', 'manifest_needs', 'manifests', 'repository_blobs', 'stars']) {
      this.database.run(`DELETE FROM ${table} WHERE repository = ?`, id)
    }
    this.database.run('DELETE FROM repositories WHERE id = ?', id)
    this.#ids.delete(name)
  }

  /** Empties tables before they are built anew; until `built` is set again, they are known to be incomplete. */
  clear(tables: readonly string[]): void {
    this.#ids.clear()
    this.database.transaction(() => {
      for (const table of tables) this.database.run(`DELETE FROM ${table}`)
      this.database.run("DELETE FROM settings WHERE key = 'built'")
    })
  }

  /** Names of repositories after `last`, in order. */
  repositories(last: string, limit: number): string[] {
    return this.database
      .all('SELECT name FROM repositories WHERE name > ? ORDER BY name LIMIT ?', last, limit)
      .map((row) => textColumn(row, 'name'))
  }

  /** Bytes of all different blobs and manifests that repositories below a first component have. */
  namespaceBytes(namespace: string): number {
    const row = this.database.get(
      `SELECT total(size) AS total FROM (
         SELECT digest, blobs.size AS size FROM repository_blobs JOIN blobs USING (digest) WHERE repository IN (${below})
         UNION SELECT digest, size FROM manifests WHERE repository IN (${below}))`,
      ...namesBelow(namespace),
      ...namesBelow(namespace),
    )
    return Number(row?.['total'])
  }

  /** Whether a repository below a first component has a blob or manifest. */
  isInNamespace(namespace: string, digest: Digest): boolean {
    const row = this.database.get(
      `SELECT 1 FROM repository_blobs WHERE digest = ? AND repository IN (${below})
       UNION SELECT 1 FROM manifests WHERE digest = ? AND repository IN (${below})`,
      digest,
      ...namesBelow(namespace),
      digest,
      ...namesBelow(namespace),
    )
    return row !== undefined
  }

  /** Size of a blob that is in the tree, whichever repositories have it. */
  blobSize(digest: Digest): number | undefined {
    return numberColumn(this.database.get('SELECT size FROM blobs WHERE digest = ?', digest), 'size')
  }

  /** Size of a blob that the repository has. */
  repositoryBlobSize(repository: number, digest: Digest): number | undefined {
    const row = this.database.get(
      `SELECT blobs.size FROM repository_blobs JOIN blobs USING (digest)
       WHERE repository_blobs.repository = ? AND repository_blobs.digest = ?`,
      repository,
      digest,
    )
    return numberColumn(row, 'size')
  }

  /** Forgets a blob, or the bytes of a manifest, that no tree has any more. In a transaction. */
  dropBlob(digest: Digest): void {
    this.database.run('DELETE FROM blobs WHERE digest = ?', digest)
    this.database.run('DELETE FROM manifest_contents WHERE digest = ?', digest)
  }

  /** Gives a repository a blob. In a transaction. */
  linkBlob(repository: number, digest: Digest, size: number, nowMs: number): void {
    this.database.run('INSERT OR IGNORE INTO blobs (digest, size) VALUES (?, ?)', digest, size)
    this.database.run(
      'INSERT OR REPLACE INTO repository_blobs (repository, digest, linked_ms) VALUES (?, ?, ?)',
      repository,
      digest,
      nowMs,
    )
  }

  /** Takes a blob from a repository; answers whether it had it. In a transaction. */
  unlinkBlob(repository: number, digest: Digest): boolean {
    return (
      this.database.run(
        'DELETE FROM repository_blobs WHERE repository = ? AND digest = ?',
        repository,
        digest,
      ) > 0
    )
  }

  /** A manifest of the repository. */
  manifest(repository: number, digest: Digest): ManifestRow | undefined {
    const row = this.database.get(
      'SELECT digest, media_type, size FROM manifests WHERE repository = ? AND digest = ?',
      repository,
      digest,
    )
    return row === undefined ? undefined : manifestRow(row)
  }

  /** Bytes of a manifest. */
  manifestContent(digest: Digest): Buffer | undefined {
    const content = this.database.get('SELECT content FROM manifest_contents WHERE digest = ?', digest)?.[
      'content'
    ]
    return content instanceof Uint8Array
      ? Buffer.from(content.buffer, content.byteOffset, content.byteLength)
      : undefined
  }

  /** Inserts a manifest with all it says. In a transaction. */
  insertManifest(repository: number, manifest: NewManifest, nowMs: number): void {
    const { digest, mediaType, size, content, subject, artifactType, annotations } = manifest
    this.database.run('INSERT OR IGNORE INTO manifest_contents VALUES (?, ?)', digest, content)
    this.database.run(
      'INSERT OR REPLACE INTO manifests VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
      repository,
      digest,
      mediaType,
      size,
      subject ?? null,
      artifactType ?? null,
      annotations === undefined ? null : JSON.stringify(annotations),
      nowMs,
    )
    const insertNeed = 'INSERT OR IGNORE INTO manifest_needs VALUES (?, ?, ?, ?)'
    for (const blob of manifest.blobs) this.database.run(insertNeed, repository, digest, 'blob', blob)
    for (const child of manifest.manifests)
      this.database.run(insertNeed, repository, digest, 'manifest', child)
  }

  /** Indexes of a repository that name a manifest. */
  parents(repository: number, digest: Digest): Digest[] {
    return this.database
      .all(
        `SELECT manifest FROM manifest_needs WHERE repository = ? AND digest = ? AND kind = 'manifest' LIMIT 100`,
        repository,
        digest,
      )
      .map((row) => toDigest(textColumn(row, 'manifest')))
  }

  /** Removes a manifest and its tags; answers the tags, undefined where it was not there. In a transaction. */
  deleteManifest(repository: number, digest: Digest): string[] | undefined {
    const changed = this.database.run(
      'DELETE FROM manifests WHERE repository = ? AND digest = ?',
      repository,
      digest,
    )
    if (changed === 0) return undefined
    this.database.run('DELETE FROM manifest_needs WHERE repository = ? AND manifest = ?', repository, digest)
    return this.database
      .all('DELETE FROM tags WHERE repository = ? AND digest = ? RETURNING name', repository, digest)
      .map((row) => textColumn(row, 'name'))
  }

  /** What a tag names. */
  tag(repository: number, name: string): Digest | undefined {
    const row = this.database.get(
      'SELECT digest FROM tags WHERE repository = ? AND name = ?',
      repository,
      name,
    )
    return row === undefined ? undefined : toDigest(textColumn(row, 'digest'))
  }

  /** Sets a tag. In a transaction. */
  setTag(repository: number, tag: { name: string; digest: Digest }, nowMs: number): void {
    this.database.run(
      'INSERT OR REPLACE INTO tags VALUES (?, ?, ?, ?)',
      repository,
      tag.name,
      tag.digest,
      nowMs,
    )
  }

  /** Removes a tag; answers whether it was there. In a transaction. */
  deleteTag(repository: number, name: string): boolean {
    return this.database.run('DELETE FROM tags WHERE repository = ? AND name = ?', repository, name) > 0
  }

  /** Tags after `last`, in the order of their bytes. */
  tags(repository: number, last: string, limit: number): string[] {
    return this.database
      .all(
        'SELECT name FROM tags WHERE repository = ? AND name > ? ORDER BY name LIMIT ?',
        repository,
        last,
        limit,
      )
      .map((row) => textColumn(row, 'name'))
  }

  /** Manifests whose subject is `subject`, after the digest `last`, in order of their digests. */
  referrers(
    repository: number,
    subject: Digest,
    page: { last: string; limit: number; type?: string },
  ): Row[] {
    const { last, limit, type } = page
    const filter = type === undefined ? '' : ' AND artifact_type = ?'
    return this.database.all(
      `SELECT digest, media_type, size, artifact_type, annotations FROM manifests
       WHERE repository = ? AND subject = ? AND digest > ?${filter} ORDER BY digest LIMIT ?`,
      repository,
      subject,
      last,
      ...(type === undefined ? [] : [type]),
      limit,
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.durable()
    await this.#wal?.close()
    this.database[Symbol.dispose]()
  }

  async #syncAfter(before: Promise<void> | undefined): Promise<void> {
    // Those who ask while a sync is under way need one that begins later; they share it.
    await before?.catch(() => {})
    this.#nextSync = undefined
    this.#syncing = this.#wal === undefined ? Promise.resolve() : this.#wal.datasync()
    await this.#syncing
  }
}

const below = 'SELECT id FROM repositories WHERE name = ? OR (name > ? AND name < ?)'

// `0` is the character after `/`.
function namesBelow(namespace: string): string[] {
  return [namespace, `${namespace}/`, `${namespace}0`]
}

function manifestRow(row: Row): ManifestRow {
  return {
    digest: toDigest(textColumn(row, 'digest')),
    mediaType: textColumn(row, 'media_type'),
    size: Number(row['size']),
  }
}

function numberColumn(row: Row | undefined, column: string): number | undefined {
  return row === undefined ? undefined : Number(row[column])
}
