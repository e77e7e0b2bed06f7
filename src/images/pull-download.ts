/**
 * Downloads of blobs. Each goes to a file named after its digest, which outlives the process, so that what is on
 * disk is not fetched again after a broken connection or a crash; whoever wants the same blob at the same time
 * shares it. A download runs until all who wanted it have gone. Whether the bytes are right is found out by those
 * who read the file; one that is wrong is thrown away by `discard`. What has become a blob goes too, all else stays for
 * the next pull, a day at most.
 */
import { open, rm, stat, type FileHandle } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import type { ContentStore } from '../content/content-store.ts'
import { GrowingFile } from '../layers/growing-file.ts'
import { releaseBuffer } from '../lib/release-buffer.ts'
import { writePieces } from '../lib/write-pieces.ts'
import { abortable, type Semaphore } from '../lib/mutex.ts'
import { EngineError, errorCode } from '../spec/errors.ts'
import type { Descriptor } from '../spec/image-types.ts'
import { delay } from './registry-client.ts'
import { RegistryError, RegistryUnreachable } from './registry-errors.ts'
import type { RegistryRepository } from './registry-repository.ts'

/** How far a download is. */
export type DownloadState =
  | { phase: 'beginning' }
  | { phase: 'waiting' }
  | { phase: 'downloading'; bytes: number; total: number }
  | { phase: 'retrying'; seconds: number }
  | { phase: 'done' }

/** What downloads need. */
export type DownloadsOptions = {
  content: ContentStore
  /** Places for downloads at the same time. */
  places: () => Semaphore
  maxAttempts: () => number
}

const bufferBytes = 512 * 1024
const reportEveryMs = 100
const firstBackOffSeconds = 1
const maxBackOffSeconds = 32

/** All downloads under way. */
export class Downloads {
  readonly #options: DownloadsOptions
  readonly #running = new Map<string, Download>()

  constructor(options: DownloadsOptions) {
    this.#options = options
  }

  /** Removes what pulls have left long ago. */
  async sweep(): Promise<void> {
    const running = new Set([...this.#running.values()].map(({ path }) => path))
    await this.#options.content.sweepDownloads((path) => running.has(path))
  }

  /** Joins the download of a blob, or starts it. Disposing the result leaves it. */
  async join(
    blob: Descriptor,
    from: RegistryRepository,
    onState: (state: DownloadState) => void,
  ): Promise<JoinedDownload> {
    let download = this.#running.get(blob.digest)
    if (download === undefined) {
      const path = this.#options.content.downloadPath(blob.digest)
      download = new Download(blob, path, this.#options)
      this.#running.set(blob.digest, download)
      download.start(from)
    }
    const joined = download
    await joined.join(onState)
    return {
      download: joined,
      [Symbol.asyncDispose]: async () => {
        if (!joined.leave(onState)) return
        await joined.end(() => {
          if (this.#running.get(blob.digest) === joined) this.#running.delete(blob.digest)
        })
      },
    }
  }
}

/** A download and the caller's part in it. */
export type JoinedDownload = AsyncDisposable & { download: Download }

/** One blob on its way. */
export class Download {
  readonly path: string
  readonly file = new GrowingFile()
  readonly #blob: Descriptor
  readonly #options: DownloadsOptions
  readonly #abort = new AbortController()
  readonly #listeners: ((state: DownloadState) => void)[] = []
  readonly #opened = Promise.withResolvers<void>()
  readonly #finished = Promise.withResolvers<void>()
  #state: DownloadState = { phase: 'beginning' }
  #failure: unknown
  #isWrong = false

  constructor(blob: Descriptor, path: string, options: DownloadsOptions) {
    this.#blob = blob
    this.path = path
    this.#options = options
    this.#finished.promise.catch(() => {})
    this.#opened.promise.catch(() => {})
  }

  /** Resolves when all bytes are on disk; rejects with why they are not. */
  get finished(): Promise<void> {
    return this.#finished.promise
  }

  /** Why it will not be whole. */
  get failure(): unknown {
    return this.#failure
  }

  get isDone(): boolean {
    return this.#state.phase === 'done'
  }

  /** The bytes turned out wrong: they are not kept. */
  discard(): void {
    this.#isWrong = true
  }

  start(from: RegistryRepository): void {
    void this.#run(from)
  }

  async join(onState: (state: DownloadState) => void): Promise<void> {
    this.#listeners.push(onState)
    onState(this.#state)
    await this.#opened.promise
  }

  /** Answers whether that was the last one. */
  leave(onState: (state: DownloadState) => void): boolean {
    const index = this.#listeners.indexOf(onState)
    if (index !== -1) this.#listeners.splice(index, 1)
    return this.#listeners.length === 0
  }

  /** Ends it and removes what nobody can use: a whole file has been published, half of one is kept for later. */
  async end(forget: () => void): Promise<void> {
    const wasDone = this.isDone
    this.#abort.abort(new Error('nobody waits for the download'))
    await this.#finished.promise.catch(() => {})
    // Somebody may have joined meanwhile: then it stays theirs.
    if (this.#listeners.length > 0) return
    forget()
    const isBlob = wasDone && (await stat(this.path)).nlink > 1
    if (isBlob || this.#isWrong || isDiskFull(this.#failure)) await rm(this.path, { force: true })
  }

  async #run(from: RegistryRepository): Promise<void> {
    let file: FileHandle | undefined
    try {
      file = await open(this.path, 'a', 0o600)
      this.#opened.resolve()
      using _place = await this.#place()
      await this.#fetchAll(from, file)
      this.file.whole()
      this.#set({ phase: 'done' })
      this.#finished.resolve()
    } catch (error) {
      this.#failure = error
      this.file.failed()
      this.#opened.reject(error)
      this.#finished.reject(error)
    } finally {
      await file?.close()
    }
  }

  async #place(): Promise<Disposable> {
    const place = this.#options.places().acquire()
    const waiting = Symbol('waiting')
    if ((await Promise.race([place, Promise.resolve(waiting)])) === waiting) this.#set({ phase: 'waiting' })
    return holdPlace(place, this.#abort.signal)
  }

  async #fetchAll(from: RegistryRepository, file: FileHandle): Promise<void> {
    const { size } = this.#blob
    const signal = this.#abort.signal
    let { size: position } = await stat(this.path)
    if (position > size) {
      await file.truncate(0)
      position = 0
    }
    for (let failures = 0; position < size;) {
      this.#set({ phase: 'downloading', bytes: position, total: size })
      const before = position
      try {
        const answer = await from.blob(this.#blob.digest, position, signal)
        for await (const bytes of this.#bytesOf(answer, position)) {
          await writePieces(file, [bytes])
          position += bytes.length
          this.file.grown()
          this.#progress(position)
        }
        if (position < size) throw new RegistryUnreachable('unexpected EOF')
      } catch (error) {
        signal.throwIfAborted()
        position = (await stat(this.path)).size
        failures = position > before ? 1 : failures + 1
        if (!isTransient(error) || failures >= this.#options.maxAttempts()) throw error
        if (position === before) await this.#backOff(failures)
      }
    }
  }

  /** The answer's bytes from a position on, in large pieces: one buffer, valid until the next is asked for. */
  async *#bytesOf(answer: IncomingMessage, position: number): AsyncGenerator<Buffer, void, void> {
    const { size } = this.#blob
    // A registry without ranges begins at the start: what is there is passed over.
    let skip = answer.statusCode === 206 ? 0 : position
    let left = size - position
    const buffer = Buffer.allocUnsafeSlow(bufferBytes)
    let filled = 0
    using _reads = releasingReads(answer)
    try {
      for await (const chunk of answer) {
        if (!Buffer.isBuffer(chunk)) continue
        const bytes = chunk.subarray(Math.min(skip, chunk.length))
        skip -= chunk.length - bytes.length
        left -= bytes.length
        if (left < 0) throw tooLong(this.#blob)
        for (let at = 0; at < bytes.length;) {
          const count = bytes.copy(buffer, filled, at)
          at += count
          filled += count
          if (filled < buffer.length) continue
          yield buffer
          filled = 0
        }
        releaseBuffer(chunk)
      }
    } catch (error) {
      // What has come is kept before the failure counts.
      if (filled > 0 && !(error instanceof EngineError)) yield buffer.subarray(0, filled)
      throw error
    }
    if (filled > 0) yield buffer.subarray(0, filled)
  }

  #lastReportMs = 0
  #progress(bytes: number): void {
    const now = Date.now()
    if (now - this.#lastReportMs < reportEveryMs && bytes < this.#blob.size) return
    this.#lastReportMs = now
    this.#set({ phase: 'downloading', bytes, total: this.#blob.size })
  }

  async #backOff(failures: number): Promise<void> {
    const seconds = Math.min(maxBackOffSeconds, firstBackOffSeconds * 2 ** (failures - 1))
    for (let left = seconds; left > 0; left--) {
      this.#set({ phase: 'retrying', seconds: left })
      await delay(1000, this.#abort.signal)
    }
  }

  #set(state: DownloadState): void {
    this.#state = state
    for (const listener of this.#listeners) listener(state)
  }
}

/**
 * Gives back what the connection reads for an answer: Node's HTTP client copies a body's bytes out of that before its
 * other listeners are told. Not part of its documented interface; digests would tell if it changed. It stops with the
 * answer's end: the next answer on the connection, whose listener comes after this one, is somebody else's.
 */
function releasingReads(answer: IncomingMessage): Disposable {
  const { socket } = answer
  const release = (bytes: Buffer) => releaseBuffer(bytes)
  const stop = () => void socket.off('data', release)
  socket.on('data', release)
  answer.once('end', stop)
  return { [Symbol.dispose]: stop }
}

async function holdPlace(place: Promise<Disposable>, signal: AbortSignal): Promise<Disposable> {
  try {
    return await abortable(place, signal)
  } catch (error) {
    void place.then((held) => held[Symbol.dispose]())
    throw error
  }
}

function tooLong({ digest }: Descriptor): EngineError {
  return new EngineError('invalid', `blob ${digest} is longer than its manifest says`)
}

/** Whether another attempt may do better: a broken connection, a server in trouble. */
function isTransient(error: unknown): boolean {
  if (error instanceof RegistryUnreachable) return true
  if (error instanceof RegistryError) return error.status >= 500 || error.status === 429
  if (error instanceof EngineError) return false
  return !isDiskFull(error) && !['EROFS', 'EIO'].includes(errorCode(error) ?? '')
}

/** Then half a blob is not kept for later: others need the space now. */
function isDiskFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(errorCode(error) ?? '')
}
