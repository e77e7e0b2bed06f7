/** A new file whose bytes are hashed while they are written. Synchronous, for worker threads. */
import { createHash } from 'node:crypto'
import { closeSync, openSync, writeSync } from 'node:fs'

/** See the file's head. Disposing closes it. */
export class HashedFile implements Disposable {
  readonly #fd: number
  readonly #hash = createHash('sha256')
  #bytes = 0

  /** Throws EEXIST. */
  constructor(path: string) {
    this.#fd = openSync(path, 'wx', 0o600)
  }

  write(chunk: Uint8Array): void {
    this.#hash.update(chunk)
    for (let written = 0; written < chunk.length;) written += writeSync(this.#fd, chunk, written)
    this.#bytes += chunk.length
  }

  /** What has been written; nothing may follow. */
  finish(): { digest: string; bytes: number } {
    return { digest: `sha256:${this.#hash.digest('hex')}`, bytes: this.#bytes }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd)
  }
}
