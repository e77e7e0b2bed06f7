/**
 * A blob on its way from an upstream: written to a file and hashed as it comes, and sent on at the same time to all
 * who wait for it. The last bytes are held back until the digest is known to be right, so that nobody takes a wrong
 * blob for a whole one.
 */
import { createHash } from 'node:crypto'
import { open, rm, type FileHandle } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { releaseBuffer } from '../lib/release-buffer.ts'
import type { Digest } from '../spec/ids.ts'
import { RegistryError } from './errors.ts'
import { algorithmOf } from './names.ts'
import { written } from '../lib/output.ts'

const pieceBytes = 256 * 1024
const heldBack = 1

/** See the file's head. */
export class BlobFetch {
  readonly digest: Digest
  /** Its size, as the upstream says. */
  readonly size: number
  /** Resolves when the blob is whole, right and stored; rejects when it never will be. */
  readonly stored: Promise<void>
  readonly #path: string
  #written = 0
  #isStored = false
  #error: unknown
  #readers = 0
  // One handle for the writer and all readers; the last of them closes it.
  #file: FileHandle | undefined
  #progress = Promise.withResolvers<void>()

  constructor(options: {
    digest: Digest
    size: number
    path: string
    body: AsyncIterable<Uint8Array>
    /** Moves the finished, synced file away. */
    store: (path: string, size: number) => Promise<void>
  }) {
    this.digest = options.digest
    this.size = options.size
    this.#path = options.path
    this.stored = this.#run(options.body, options.store)
    // Those who read hear of it by themselves.
    this.stored.catch(() => {})
  }

  /** Whether the blob is in its place, to be read from there. */
  get isStored(): boolean {
    return this.#isStored
  }

  /** Sends the bytes as they come; not for a fetch that is stored. Rejects when the blob turns out wrong; then the last bytes were not sent. */
  async sendTo(output: Writable): Promise<void> {
    this.#readers += 1
    try {
      await this.#send(output)
    } finally {
      this.#readers -= 1
      await this.#closeWhenUnused()
    }
  }

  async #send(output: Writable): Promise<void> {
    const buffer = Buffer.allocUnsafe(pieceBytes)
    let at = 0
    while (at < this.size || !this.#isStored) {
      if (this.#error !== undefined) throw this.#error
      const available = this.#isStored ? this.size : Math.min(this.#written, this.size - heldBack)
      if (at >= available || this.#file === undefined) {
        await this.#progress.promise
        continue
      }
      const { bytesRead } = await this.#file.read(buffer, 0, Math.min(pieceBytes, available - at), at)
      if (bytesRead === 0) throw new Error('fetched file is shorter than what was written')
      // A copy: the buffer is used again before the output is done with it.
      await written(output, Buffer.from(buffer.subarray(0, bytesRead)))
      at += bytesRead
    }
  }

  async #closeWhenUnused(): Promise<void> {
    if (this.#readers > 0 || (!this.#isStored && this.#error === undefined)) return
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }

  async #run(
    body: AsyncIterable<Uint8Array>,
    store: (path: string, size: number) => Promise<void>,
  ): Promise<void> {
    try {
      const hash = createHash(algorithmOf(this.digest))
      const file = await open(this.#path, 'wx+', 0o600)
      this.#file = file
      for await (const chunk of body) {
        if (this.#written + chunk.length > this.size) throw wrong('upstream sent more than it said')
        hash.update(chunk)
        await file.writeFile(chunk)
        this.#written += chunk.length
        releaseBuffer(chunk)
        this.#wake()
      }
      if (this.#written !== this.size) throw wrong('upstream sent less than it said')
      if (this.digest !== `${algorithmOf(this.digest)}:${hash.digest('hex')}`) {
        throw wrong('upstream sent a blob with another digest')
      }
      await file.datasync()
      await store(this.#path, this.size)
      this.#isStored = true
    } catch (error) {
      this.#error = error
      throw error
    } finally {
      this.#wake()
      await this.#closeWhenUnused()
      await rm(this.#path, { force: true })
    }
  }

  #wake(): void {
    this.#progress.resolve()
    this.#progress = Promise.withResolvers<void>()
  }
}

function wrong(message: string): RegistryError {
  return new RegistryError('UNAVAILABLE', { message, status: 502 })
}
