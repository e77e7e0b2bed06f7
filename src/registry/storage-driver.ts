/**
 * Where the registry's tree lies. Paths are relative, with slashes, and made by `tree.ts` from checked names alone.
 * Every driver passes the suite in `storage-contract.test.ts`.
 */
import type { Writable } from 'node:stream'

/** Bytes from `start` to `end`, both included. */
export type ByteRange = { start: number; end: number }

/** A file opened for reading: it can be read to its end whatever happens to its name. */
export interface StorageSource extends AsyncDisposable {
  /** Writes the bytes, or a range of them, and resolves when all are taken. Does not end the output. */
  sendTo(output: Writable, range: ByteRange): Promise<void>
}

/** A name in a folder. */
export type StorageEntry = { name: string; isDirectory: boolean }

/** See the file's head. */
export interface StorageDriver {
  /** Makes what the driver needs. Call once, before anything else. */
  setUp(): Promise<void>
  /** A small file whole; undefined where there is none. */
  read(path: string): Promise<Buffer | undefined>
  /** Writes a small file: the old or the new, never a part. Durable only after `sync`. */
  write(path: string, data: Uint8Array): Promise<void>
  /** Makes earlier writes of these paths durable. */
  sync(paths: readonly string[]): Promise<void>
  /** Takes a finished, synced local file over under a path; durable on return, visible whole or not at all. */
  adopt(localFile: string, path: string): Promise<void>
  /** Removes a file or a folder with all below it; nothing happens where there is none. */
  remove(path: string): Promise<void>
  /** Size of a file; undefined where there is none. */
  size(path: string): Promise<number | undefined>
  /** Names in a folder; none where there is no folder. */
  list(path: string): Promise<StorageEntry[]>
  /** Opens a file for reading. Rejects with ENOENT where there is none. */
  open(path: string): Promise<StorageSource>
  /** A URL that clients may be sent to for a blob instead; undefined where there is none. */
  redirect?(path: string): Promise<string | undefined>
}
