/** What the engine and the worker threads of cp and export say to each other. */
import type { IdMapping } from '../lib/id-mapping.ts'
import type { ContainerPathStat } from '../spec/container-types.ts'
import type { ErrorKind } from '../spec/errors.ts'
import type { ContainerRoot } from './contract.ts'

/** Where an archive goes: a descriptor that does not block; `chunked` for the body of an HTTP answer. */
export type ArchiveOutput = { fd: number; chunked: boolean }

/**
 * Where an archive comes from: a descriptor that does not block, after bytes that were read from it already. It ends
 * with the descriptor, or as the framing of an HTTP request says: in chunks, or after so many bytes.
 */
export type ArchiveInput = { fd: number; early: Uint8Array; framing: 'none' | 'chunked' | { length: number } }

/** What to do. */
export type ArchiveWork = { root: ContainerRoot } & (
  | { kind: 'stat'; path: string }
  | { kind: 'read'; path: string; output: ArchiveOutput }
  | { kind: 'export'; output: ArchiveOutput }
  | ({ kind: 'extract'; input: ArchiveInput } & ExtractOptions)
)

/** A job; `ids` says what owners in archives are on the host. */
export type ArchiveJob = ArchiveWork & { ids: IdMapping | undefined }

/** Where and how an archive is unpacked. */
export type ExtractOptions = {
  path: string
  noOverwriteDirNonDir: boolean
  /** `copyUIDGID`: files belong to the container's user, where it has one, instead of the archive's. */
  copyOwner: boolean
  /** `user[:group]` of the container's configuration. */
  user: string
}

/** What came of it. */
export type ArchiveResult =
  | { kind: 'stat'; stat: ContainerPathStat }
  | { kind: 'done' }
  | { kind: 'failed'; error: { kind: ErrorKind; code: string; message: string } }
