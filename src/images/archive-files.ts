/**
 * The files of an image archive while it comes in. Each is written straight to an ingest file of the content store,
 * where it stays if it turns out to be a layer, so nothing is copied and nothing has to fit into memory. Names are
 * only keys: nothing of the archive becomes a path on the host.
 */
import { posix } from 'node:path'
import { open, readFile, rm, stat } from 'node:fs/promises'
import type { ContentStore } from '../content/content-store.ts'
import { decompressUpTo } from '../lib/decompress.ts'
import { TarError } from '../lib/tar-format.ts'
import { readTar, type TarEntry } from '../lib/tar-stream.ts'
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
      const writer = new BufferedWriter((chunks, position) => file.writev(chunks, position))
      for await (const { position, bytes } of content) await writer.write(bytes, position)
      await writer.flush()
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

/** Gathers small chunks, so that a file costs a few calls to the thread pool instead of one a chunk. */
class BufferedWriter {
  readonly #write: (chunks: Buffer[], position: number) => Promise<{ bytesWritten: number }>
  #chunks: Buffer[] = []
  #length = 0
  #position = 0

  constructor(write: (chunks: Buffer[], position: number) => Promise<{ bytesWritten: number }>) {
    this.#write = write
  }

  async write(bytes: Buffer, position: number): Promise<void> {
    if (position !== this.#position + this.#length) {
      await this.flush()
      this.#position = position
    }
    this.#chunks.push(bytes)
    this.#length += bytes.length
    if (this.#length >= bufferBytes) await this.flush()
  }

  async flush(): Promise<void> {
    let chunks = this.#chunks
    this.#chunks = []
    this.#length = 0
    while (chunks.length > 0) {
      const { bytesWritten } = await this.#write(chunks, this.#position)
      this.#position += bytesWritten
      chunks = after(chunks, bytesWritten)
    }
  }
}

/** What is left of chunks after so many bytes. */
function after(chunks: Buffer[], bytes: number): Buffer[] {
  let left = bytes
  return chunks.flatMap((chunk) => {
    const gone = Math.min(left, chunk.length)
    left -= gone
    return gone === chunk.length ? [] : [chunk.subarray(gone)]
  })
}

function clean(name: string): string {
  return posix.normalize(`/${name}`).slice(1).replace(/\/$/, '')
}
