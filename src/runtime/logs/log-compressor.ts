/**
 * Compresses the filled files of a log. The keeper may rename them at any time, except while the log's directory is
 * locked (docs/log-format.md); so the work is done under a temporary name, and the lock is taken only to put the
 * result in its place.
 */
import { createReadStream, createWriteStream, readdirSync, statSync } from 'node:fs'
import { open, rename, rm, stat, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { errorCode } from '../../spec/errors.ts'
import { tryLock } from '../../kernel/file-lock.ts'
import type { TaskGroup } from '../../lib/task-group.ts'

/** An empty gzip member: header with a comment, an empty block, checksum and length of nothing. */
const memberHead = Buffer.from([0x1f, 0x8b, 8, 0x10, 0, 0, 0, 0, 0, 0xff])
const memberTail = Buffer.from([0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0])
const commentHead = 'inode='
const temporarySuffix = '.gz.tmp'

/**
 * The compressed file begins with this: an empty gzip member that tells which inode its content had, so that a
 * reader who still has that one open knows where to go on. gzip tools read over it.
 */
function inodeMember(inode: number): Buffer {
  return Buffer.concat([memberHead, Buffer.from(`${commentHead}${inode}`), memberTail])
}

/** The inode that a compressed file's content had, undefined when it does not say. */
export async function originalInode(file: FileHandle): Promise<number | undefined> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(64), 0, 64, 0)
  if (bytesRead < memberHead.length || !buffer.subarray(0, memberHead.length).equals(memberHead))
    return undefined
  const end = buffer.indexOf(0, memberHead.length)
  const comment = buffer.toString('latin1', memberHead.length, end < 0 ? 0 : end)
  const match = /^inode=(\d+)$/.exec(comment)
  return match === null ? undefined : Number(match[1])
}

/**
 * Compresses the file of a log that was filled as the `generation`th last (1 for `path.1`). True when it is
 * compressed now, false when it was renamed meanwhile or the keeper holds the lock: try again later.
 */
export async function compressLogFile(
  path: string,
  generation: number,
  signal: AbortSignal,
): Promise<boolean> {
  const source = `${path}.${generation}`
  await using file = await open(source)
  const { ino, mode } = await file.stat()
  const temporary = `${path}.${ino}${temporarySuffix}`
  try {
    const target = createWriteStream(temporary, { mode: mode & 0o777, flush: true })
    const from = createReadStream('', { fd: file, autoClose: false, start: 0, highWaterMark: 256 * 1024 })
    target.write(inodeMember(ino))
    await pipeline(from, createGzip({ chunkSize: 64 * 1024 }), target, { signal })
    using lock = tryLock(dirname(path))
    if (lock === undefined || (await inodeAt(source)) !== ino) return false
    await rename(temporary, `${source}.gz`)
    await unlink(source)
    return true
  } finally {
    await rm(temporary, { force: true })
  }
}

/** Removes what a killed daemon left half-compressed. */
async function removeHalfCompressed(path: string): Promise<void> {
  const directory = dirname(path)
  for (const name of namesIn(directory)) {
    if (name.startsWith(`${basename(path)}.`) && name.endsWith(temporarySuffix)) {
      await rm(join(directory, name), { force: true })
    }
  }
}

async function inodeAt(path: string): Promise<number | undefined> {
  try {
    await using file = await open(path)
    return (await file.stat()).ino
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

const sweepMs = 5_000
/** A file that was filled a moment ago is likely to be renamed again soon. */
const settledMs = 2_000

/** Compresses the filled files of the logs that were added, a while after they were filled. */
export class LogCompressor implements Disposable {
  readonly #paths = new Map<string, string>()
  readonly #tasks: TaskGroup
  /** When the directories of logs without filled files were changed last. */
  readonly #settled = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  #sweeping = false

  constructor(tasks: TaskGroup) {
    this.#tasks = tasks
  }

  /** Looks after a log from now on. `id` is the container's. */
  add(id: string, path: string): void {
    if (this.#paths.has(id)) return
    this.#paths.set(id, path)
    this.#tasks.run('compress log', async (signal) => {
      await removeHalfCompressed(path)
      await compressFilled(path, settledMs, signal)
    })
    this.#timer ??= setInterval(() => this.#sweep(), sweepMs).unref()
  }

  /** The log grows no more: compresses what is left at once. */
  remove(id: string): void {
    const path = this.#paths.get(id)
    if (path === undefined) return
    this.#paths.delete(id)
    this.#settled.delete(path)
    this.#tasks.run('compress log', (signal) => compressFilled(path, 0, signal))
    if (this.#paths.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #sweep(): void {
    if (this.#sweeping) return
    this.#sweeping = true
    this.#tasks.run('compress logs', async (signal) => {
      try {
        for (const path of this.#paths.values()) {
          // A directory in which nothing was renamed has nothing new to compress: one call for each of many logs.
          const changedMs = statSync(dirname(path), { throwIfNoEntry: false })?.mtimeMs
          if (changedMs === undefined || changedMs === this.#settled.get(path)) continue
          await compressFilled(path, settledMs, signal)
          if (lastFilled(path) === 0) this.#settled.set(path, changedMs)
        }
      } finally {
        this.#sweeping = false
      }
    })
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#paths.clear()
  }
}

/** Compresses all filled files of a log that were filled at least so long ago, the oldest first. */
async function compressFilled(path: string, ageMs: number, signal: AbortSignal): Promise<void> {
  for (let generation = lastFilled(path); generation >= 1; generation -= 1) {
    if (signal.aborted) return
    try {
      const { ctimeMs } = await stat(`${path}.${generation}`)
      if (Date.now() - ctimeMs >= ageMs) await compressLogFile(path, generation, signal)
    } catch (error) {
      // Renamed or removed with its container meanwhile.
      if (errorCode(error) !== 'ENOENT' && !signal.aborted) throw error
    }
  }
}

/** The highest generation among the files that are not compressed; 0 when there is none. */
function lastFilled(path: string): number {
  const prefix = `${basename(path)}.`
  let last = 0
  for (const name of namesIn(dirname(path))) {
    const generation = name.startsWith(prefix) ? /^[1-9]\d{0,8}$/.exec(name.slice(prefix.length)) : null
    if (generation !== null) last = Math.max(last, Number(generation[0]))
  }
  return last
}

/** Synchronous: a handful of names, read at every container's start and end. */
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}
