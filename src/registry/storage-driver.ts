/**
 * Where the registry's tree lies. Paths are relative, with slashes, and made by `tree.ts` from checked names alone.
 * Every driver passes the suite in `storage-contract.test.ts`.
 */
import type { Writable } from 'node:stream'

/** Bytes from `start` to `end`, both included. */
export type ByteRange = { start: number; end: number }

/** Bytes of a file, opened for reading: they can be read to their end whatever happens to the file's name. */
export interface StorageSource extends AsyncDisposable {
  /** Writes the bytes, once, and resolves when all are taken. Does not end the output. */
  sendTo(output: Writable): Promise<void>
}

/** A name in a folder. */
export type StorageEntry = { name: string; isDirectory: boolean }

/** See the file's head. */
export interface StorageDriver extends AsyncDisposable {
  /** Names what is stored there: an index of something else is of no use. */
  readonly identity: string
  /** Whether other processes may change what is there meanwhile. */
  readonly isShared: boolean
  /** How many small writes are best under way at once. */
  readonly parallel: number
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
  /** Names in a folder, those after `after` in the order of their bytes; none where there is no folder. */
  list(path: string, after?: string): Promise<StorageEntry[]>
  /** Opens a file for reading; a range whose end is before its start is empty. Rejects with ENOENT where there is none. */
  open(path: string, range: ByteRange): Promise<StorageSource>
  /** A URL that clients may be sent to for a blob instead; undefined where there is none. */
  redirect?(path: string): Promise<string | undefined>
}
