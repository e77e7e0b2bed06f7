/**
 * The worker thread of cp and export: steps into the container's view for a job and out again. The bytes go through a
 * descriptor that the job names, often the client's own connection, at the client's pace: nothing piles up.
 */
import { lstatSync, realpathSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { enterMountView } from '../kernel/mount-view.ts'
import { writeWaiting } from '../kernel/waiting-io.ts'
import { decompress } from '../lib/decompress.ts'
import { fileErrorMessage } from '../lib/file-error.ts'
import { chunkHead, chunkTail, lastChunk } from '../lib/http-chunks.ts'
import { rootOwner } from '../lib/id-mapping.ts'
import { fsPath } from '../lib/path-bytes.ts'
import { serveJobs, type JobContext } from '../lib/worker-jobs.ts'
import { EngineError, errorCode } from '../spec/errors.ts'
import { InputBytes } from './archive-input.ts'
import type { ArchiveInput, ArchiveJob, ArchiveOutput, ArchiveResult } from './archive-job.ts'
import { packPath, packRoot } from './archive-pack.ts'
import { lookUpOwner, Unpacker } from './archive-unpack.ts'
import { archivePath, statPath } from './archive-view.ts'
import type { ContainerRoot } from './contract.ts'

// The pool that all threads share must not be started by one that sees a container's files: its threads would, too.
await stat('/')

serveJobs(async (job: ArchiveJob, context: JobContext): Promise<ArchiveResult> => {
  const check = () => context.check()
  let view: Disposable | undefined
  let input: PlainInput | undefined
  try {
    input = job.kind === 'extract' ? await plainInput(job.input, check) : undefined
    view = enterMountView(
      job.root.directory,
      job.kind === 'export' ? [] : job.root.mounts,
      rootOwner(job.ids),
    )
    return await run(job, input, check)
  } catch (error) {
    if (error instanceof SuppressedError) return await end(error)
    const kind = error instanceof EngineError ? error.kind : 'internal'
    return { kind: 'failed', error: { kind, code: errorCode(error) ?? '', message: fileErrorMessage(error) } }
  } finally {
    try {
      await input?.close()
      view?.[Symbol.dispose]()
    } catch (error) {
      await end(error)
    }
  }
})

/** A thread that may be in the wrong place takes no further job: it never answers this one, and dies of it. */
function end(error: unknown): Promise<never> {
  setImmediate(() => {
    throw error
  })
  return new Promise<never>(() => {})
}

/** An archive's plain bytes. Closed, it reads no more from the client, whose descriptor is then somebody else's. */
type PlainInput = { bytes: AsyncGenerator<Buffer, void, void>; close: () => Promise<void> }

/**
 * Opens the archive and waits for its first bytes: a tool that decompresses is started before that, here and not in the
 * view, where it would be a program of the container.
 */
async function plainInput(of: ArchiveInput, check: () => void): Promise<PlainInput> {
  const input = new InputBytes(of, check)
  const plain = decompress(input)
  const close = async () => {
    input.close()
    await plain.return()
  }
  try {
    const first = await plain.next()
    const bytes = async function* () {
      if (first.done === true) return
      yield first.value
      yield* plain
    }
    return { bytes: bytes(), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function run(
  job: ArchiveJob,
  input: PlainInput | undefined,
  check: () => void,
): Promise<ArchiveResult> {
  switch (job.kind) {
    case 'stat':
      return { kind: 'stat', stat: statPath(archivePath(job.path)).stat }
    case 'read': {
      const path = archivePath(job.path)
      const { isDirectory } = statPath(path)
      packTo(job.output, check, (write) => packPath(path, isDirectory, { ids: job.ids, write }))
      break
    }
    case 'export':
      packTo(job.output, check, (write) => packRoot({ ids: job.ids, write }))
      break
    case 'extract':
      if (input !== undefined) await extract(job, input.bytes)
  }
  return { kind: 'done' }
}

function packTo(
  { fd, chunked }: ArchiveOutput,
  check: () => void,
  pack: (write: (bytes: Buffer) => void) => void,
): void {
  if (!chunked) {
    pack((bytes) => writeWaiting(fd, [bytes], check))
    return
  }
  pack((bytes) => {
    if (bytes.length > 0) writeWaiting(fd, [chunkHead(bytes.length), bytes, chunkTail], check)
  })
  writeWaiting(fd, [lastChunk], check)
}

async function extract(job: ArchiveJob & { kind: 'extract' }, input: AsyncGenerator<Buffer>): Promise<void> {
  const directory = realpathSync.native(fsPath(archivePath(job.path)), { encoding: 'utf8' })
  if (!lstatSync(directory).isDirectory())
    throw new EngineError('invalid', 'extraction point is not a directory')
  checkWritable(job.root, directory)
  const owner = job.copyOwner && job.user !== '' ? lookUpOwner(job.user) : undefined
  using unpacker = new Unpacker({
    directory,
    noOverwriteDirNonDir: job.noOverwriteDirNonDir,
    ids: job.ids,
    ...(owner === undefined ? {} : { owner }),
  })
  for await (const bytes of input) unpacker.push(bytes)
  unpacker.finish()
}

/** A path in a volume needs a writable volume, any other one a writable root. */
function checkWritable(root: ContainerRoot, directory: string): void {
  const volumes = root.mounts.filter(
    ({ destination }) =>
      directory === destination || directory.startsWith(`${destination.replace(/\/$/, '')}/`),
  )
  const deepest = volumes.sort((a, b) => b.destination.length - a.destination.length)[0]
  if (deepest === undefined) {
    if (!root.writable) throw new EngineError('invalid', 'container rootfs is marked read-only')
  } else if (!deepest.writable) throw new EngineError('invalid', 'mounted volume is marked read-only')
}
