/** What the engine and the worker thread of cp and export say to each other. */
import type { ContainerPathStat } from '../spec/container-types.ts'
import type { ErrorKind } from '../spec/errors.ts'
import type { ContainerRoot } from './contract.ts'

/** What to do. `fd` is the worker's end of the socket that the archive goes through. */
export type ArchiveJob = { root: ContainerRoot } & (
  | { kind: 'stat'; path: string }
  | { kind: 'read'; path: string; fd: number }
  | { kind: 'export'; fd: number }
  | ({ kind: 'extract'; fd: number } & ExtractOptions)
)

/** Where and how an archive is unpacked. */
export type ExtractOptions = {
  path: string
  noOverwriteDirNonDir: boolean
  /** `copyUIDGID`: files belong to the container's user, where it has one, instead of the archive's. */
  copyOwner: boolean
  /** `user[:group]` of the container's configuration. */
  user: string
}

/** What came of it. `stat` comes before the archive's bytes, `done` or `failed` after them. */
export type ArchiveReply =
  | { kind: 'stat'; stat: ContainerPathStat; isDirectory: boolean }
  | { kind: 'done' }
  | { kind: 'failed'; error: { kind: ErrorKind; code: string; message: string } }
