/**
 * The files of a log: `path` is being written, `path.1` was filled before it, `path.2` before that, and so on; a
 * filled one may be compressed (`path.1.gz`).
 */
import { open, readdir, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errorCode } from '../../spec/errors.ts'
import { originalInode } from './log-compressor.ts'

/** A file of a log, open. The opener closes it. */
export type OpenLogFile = {
  handle: FileHandle
  /** Of a compressed file, that of the plain one it was made from. */
  inode: number
  compressed: boolean
}

/** A file of a log by name. `generation` is 0 for the one being written. */
export type LogFileName = { path: string; generation: number; compressed: boolean }

const openAttempts = 20

/** Names of a log's files, oldest first. The one being written is named even when it does not exist. */
async function listLogFiles(path: string): Promise<LogFileName[]> {
  const name = basename(path)
  const files: LogFileName[] = [{ path, generation: 0, compressed: false }]
  for (const entry of await namesIn(dirname(path))) {
    if (!entry.startsWith(`${name}.`)) continue
    const match = /^([1-9]\d{0,8})(\.gz)?$/.exec(entry.slice(name.length + 1))
    if (match === null) continue
    const compressed = match[2] !== undefined
    files.push({ path: join(dirname(path), entry), generation: Number(match[1]), compressed })
  }
  // While a file is being compressed both are there, and hold the same: the plain one counts.
  const plain = new Set(files.filter((file) => !file.compressed).map((file) => file.generation))
  return files
    .filter((file) => !file.compressed || !plain.has(file.generation))
    .sort((a, b) => b.generation - a.generation)
}

/**
 * Opens a log's files, oldest first, each once, though they may be renamed meanwhile. Empty when there are none.
 */
export async function openLogFiles(path: string): Promise<OpenLogFile[]> {
  for (let attempt = 1; ; attempt += 1) {
    const names = await listLogFiles(path)
    const opened = await Promise.all(names.map(openLogFile))
    const files = opened.filter((file) => file !== undefined)
    const plain = files.filter((file) => !file.compressed)
    const distinct = new Set(plain.map((file) => file.inode)).size === plain.length
    const current = await inodeOf(path)
    if (
      attempt === openAttempts ||
      (distinct && (current === undefined || current === files.at(-1)?.inode))
    ) {
      return files
    }
    await closeLogFiles(files)
  }
}

/** Closes all. */
export async function closeLogFiles(files: readonly OpenLogFile[]): Promise<void> {
  await Promise.all(files.map((file) => file.handle.close()))
}

/** Opens the files that were begun after the one with this inode, oldest first; all of them if it is gone. */
export async function openNewerLogFiles(path: string, inode: number): Promise<OpenLogFile[]> {
  const files = await openLogFiles(path)
  // An inode may have been another file's before: the newest one is meant.
  const known = files.findLastIndex((file) => file.inode === inode)
  await closeLogFiles(files.slice(0, known + 1))
  return files.slice(known + 1)
}

/** The inode of a path, undefined when nothing is there. */
export async function inodeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).ino
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

async function openLogFile(name: LogFileName): Promise<OpenLogFile | undefined> {
  let handle: FileHandle
  try {
    handle = await open(name.path)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
  const original = name.compressed ? await originalInode(handle) : undefined
  return { handle, inode: original ?? (await handle.stat()).ino, compressed: name.compressed }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}
