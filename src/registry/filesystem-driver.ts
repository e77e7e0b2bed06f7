/** The tree in a local folder. */
import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat, unlink, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Writable } from 'node:stream'
import { syncDirectory } from '../lib/sync-directory.ts'
import { errorCode } from '../spec/errors.ts'
import { written } from '../lib/output.ts'
import type { ByteRange, StorageDriver, StorageEntry, StorageSource } from './storage-driver.ts'

const readBytes = 512 * 1024

/** See the file's head. */
export class FilesystemDriver implements StorageDriver {
  readonly identity = 'folder'
  readonly isShared = false
  readonly parallel = 1
  readonly #root: string

  constructor(root: string) {
    this.#root = root
  }

  async setUp(): Promise<void> {
    await mkdir(this.#root, { recursive: true })
  }

  async read(path: string): Promise<Buffer | undefined> {
    return orUndefined(() => readFile(this.#path(path)))
  }

  async write(path: string, data: Uint8Array): Promise<void> {
    const target = this.#path(path)
    const temporary = `${target}.${randomBytes(6).toString('hex')}.tmp`
    await makingDirectory(target, async () => {
      const file = await open(temporary, 'wx', 0o644)
      try {
        await file.writeFile(data)
      } catch (error) {
        await rm(temporary, { force: true })
        throw error
      } finally {
        await file.close()
      }
    })
    await rename(temporary, target)
  }

  async sync(paths: readonly string[]): Promise<void> {
    const directories = new Set<string>()
    for (const path of paths) {
      const target = this.#path(path)
      await orUndefined(async () => {
        const file = await open(target, 'r')
        try {
          await file.datasync()
        } finally {
          await file.close()
        }
      })
      for (let up = dirname(target); up.length > this.#root.length; up = dirname(up)) directories.add(up)
    }
    for (const directory of directories) await orUndefined(() => syncDirectory(directory))
  }

  async adopt(localFile: string, path: string): Promise<void> {
    const target = this.#path(path)
    let first: string | undefined
    try {
      await rename(localFile, target)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      first = await mkdir(dirname(target), { recursive: true })
      await rename(localFile, target)
    }
    // Every folder that got a new entry, up to the first that was there before.
    const changed = [dirname(target)]
    if (first !== undefined) {
      for (let up = dirname(target); up !== dirname(first); up = dirname(up)) changed.push(dirname(up))
    }
    await Promise.all(changed.map((directory) => syncDirectory(directory)))
  }

  async remove(path: string): Promise<void> {
    const target = this.#path(path)
    try {
      await unlink(target)
    } catch (error) {
      const code = errorCode(error)
      if (code === 'ENOENT' || code === 'ENOTDIR') return
      if (code !== 'EISDIR' && code !== 'EPERM') throw error
      await rm(target, { recursive: true, force: true })
    }
  }

  async size(path: string): Promise<number | undefined> {
    const found = await orUndefined(() => stat(this.#path(path)))
    return found?.isFile() === true ? found.size : undefined
  }

  async list(path: string, after = ''): Promise<StorageEntry[]> {
    const entries = await orUndefined(() => readdir(this.#path(path), { withFileTypes: true }))
    return (entries ?? [])
      .filter(({ name }) => name > after)
      .map((entry) => ({ name: entry.name, isDirectory: entry.isDirectory() }))
  }

  async open(path: string, range: ByteRange): Promise<StorageSource> {
    return new FileSource(await open(this.#path(path), 'r'), range)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is kept open.
  }

  #path(path: string): string {
    return join(this.#root, path)
  }
}

class FileSource implements StorageSource {
  readonly #file: FileHandle
  readonly #range: ByteRange

  constructor(file: FileHandle, range: ByteRange) {
    this.#file = file
    this.#range = range
  }

  /** Reads one piece while the one before is written. The two buffers are used again and again: new ones cost more than the copy. */
  async sendTo(output: Writable): Promise<void> {
    const { start, end } = this.#range
    const size = Math.min(readBytes, end - start + 1)
    if (size <= 0) return
    const buffers = [Buffer.allocUnsafeSlow(size), Buffer.allocUnsafeSlow(size)]
    let writing = Promise.resolve()
    let turn = 0
    try {
      for (let at = start; at <= end;) {
        const buffer = buffers[turn] ?? Buffer.alloc(0)
        turn = 1 - turn
        const { bytesRead } = await this.#file.read(buffer, 0, Math.min(size, end - at + 1), at)
        if (bytesRead === 0) throw new Error('file is shorter than it was')
        at += bytesRead
        await writing
        writing = written(output, buffer.subarray(0, bytesRead))
        // Awaited before the next write and at the end.
        writing.catch(() => {})
      }
    } finally {
      await writing
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }
}

async function makingDirectory(target: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    await mkdir(dirname(target), { recursive: true })
    await work()
  }
}

async function orUndefined<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}
