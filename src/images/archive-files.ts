/**
 * The files of an image archive while it comes in. Each is written straight to an ingest file of the content store,
 * where it stays if it turns out to be a layer, so nothing is copied and nothing has to fit into memory. Names are
 * only keys: nothing of the archive becomes a path on the host.
 */
import { posix } from 'node:path'
import { open, readFile, rm, stat, type FileHandle } from 'node:fs/promises'
import type { ContentStore } from '../content/content-store.ts'
import { decompressUpTo } from '../lib/decompress.ts'
import { TarError } from '../lib/tar-format.ts'
import { readTar, type TarEntry } from '../lib/tar-stream.ts'
import { writePieces } from '../lib/write-pieces.ts'
import { EngineError } from '../spec/errors.ts'

const maxFiles = 100_000
const maxLinks = 10
/** Largest JSON document of an archive. */
const maxDocumentBytes = 16 << 20

/** See the file's head. Disposing removes what has not been published. */
export class ArchiveFiles implements AsyncDisposable {
  readonly #content: ContentStore
  readonly #files = new Map<string, string>()
  readonly #links = new Map<string, string>()
  /** Files that have become blobs, by their ingest path. */
  readonly #moved = new Map<string, string>()

  readonly #writer = new BufferedWriter()

  constructor(content: ContentStore) {
    this.#content = content
  }

  /** Reads a whole archive, compressed or not. Throws invalid for what is none, or more than so many bytes. */
  async read(source: AsyncIterable<Uint8Array>, maxBytes: number, signal: AbortSignal): Promise<void> {
    try {
      for await (const entry of readTar(decompressUpTo(source, maxBytes))) {
        signal.throwIfAborted()
        await this.#take(entry)
      }
    } catch (error) {
      if (!(error instanceof TarError)) throw error
      throw new EngineError('invalid', `Error processing tar file: ${error.message}`, { cause: error })
    }
  }

  /** Host path of a file of the archive, through its links; undefined when it has none of that name. */
  find(name: string): string | undefined {
    let key = clean(name)
    for (let links = 0; links <= maxLinks; links++) {
      const file = this.#files.get(key)
      if (file !== undefined) return this.#moved.get(file) ?? file
      const target = this.#links.get(key)
      if (target === undefined) return undefined
      key = target
    }
    return undefined
  }

  /** A JSON document of the archive; undefined when it is not there. */
  async document(name: string): Promise<Buffer | undefined> {
    const path = this.find(name)
    if (path === undefined) return undefined
    if ((await stat(path)).size > maxDocumentBytes) throw new EngineError('invalid', `${name} is too large`)
    return readFile(path)
  }

  /** A file has become a blob: from now on it is found there, and stays. */
  moved(from: string, to: string): void {
    this.#moved.set(from, to)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const path of this.#files.values()) await rm(path, { force: true })
  }

  async #take({ header, content }: TarEntry): Promise<void> {
    const name = clean(header.name)
    if (this.#files.size + this.#links.size >= maxFiles) throw new TarError('too many files in archive')
    if (header.type === 'symlink') {
      this.#links.set(name, clean(posix.join(posix.dirname(name), header.linkName)))
    } else if (header.type === 'hardlink') this.#links.set(name, clean(header.linkName))
    if (header.type !== 'file') return
    await this.#drop(name)
    const path = this.#content.ingestPath()
    this.#files.set(name, path)
    const file = await open(path, 'wx', 0o600)
    try {
      for await (const { position, bytes } of content) await this.#writer.write(file, bytes, position)
      await this.#writer.flush(file)
      if (header.sparse !== undefined) await file.truncate(header.size)
    } finally {
      await file.close()
    }
  }

  /** A later file of the same name replaces the earlier one. */
  async #drop(name: string): Promise<void> {
    const before = this.#files.get(name)
    this.#links.delete(name)
    if (before !== undefined) await rm(before, { force: true })
  }
}

const bufferBytes = 1 << 20

/**
 * Gathers small pieces, and fills one buffer while the other is being written. The two are used for all files: the
 * pieces themselves need not outlive a call.
 */
class BufferedWriter {
  readonly #buffers = [Buffer.allocUnsafeSlow(bufferBytes), Buffer.allocUnsafeSlow(bufferBytes)]
  #turn = 0
  #filled = 0
  #position = 0
  #writing = Promise.resolve()

  async write(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
    if (position !== this.#position + this.#filled) {
      await this.#turnOver(file)
      this.#position = position
    }
    for (let at = 0; at < bytes.length;) {
      const count = bytes.copy(this.#current, this.#filled, at)
      at += count
      this.#filled += count
      if (this.#filled === bufferBytes) await this.#turnOver(file)
    }
  }

  /** Resolves when everything is in the file; the next bytes may be another file's. */
  async flush(file: FileHandle): Promise<void> {
    await this.#turnOver(file)
    await this.#writing
    this.#position = 0
  }

  get #current(): Buffer {
    return this.#buffers[this.#turn] ?? Buffer.alloc(0)
  }

  async #turnOver(file: FileHandle): Promise<void> {
    await this.#writing
    if (this.#filled === 0) return
    const piece = this.#current.subarray(0, this.#filled)
    this.#writing = writePieces(file, [piece], this.#position)
    // Awaited before the next one and at the end.
    this.#writing.catch(() => {})
    this.#position += piece.length
    this.#filled = 0
    this.#turn = 1 - this.#turn
  }
}

function clean(name: string): string {
  return posix.normalize(`/${name}`).slice(1).replace(/\/$/, '')
}
