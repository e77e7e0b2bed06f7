/**
 * Copying into and out of containers, and export. Each request is the job of a worker thread that sees the
 * container's files as the container does (`archive-worker.ts`); here its stream and its outcome are handed on.
 */
import { closeSync } from 'node:fs'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Worker } from 'node:worker_threads'
import { socketPair } from '../kernel/unix-sockets.ts'
import { decompress } from '../lib/decompress.ts'
import type { ByteSource } from '../lib/decompress.ts'
import type { ContainerPathStat } from '../spec/container-types.ts'
import { EngineError } from '../spec/errors.ts'
import type { ArchiveJob, ArchiveReply, ExtractOptions } from './archive-job.ts'
import type { ContainerRoot } from './contract.ts'

/** A container's root and what the client called the container, for messages. */
export type ArchiveRoot = { root: ContainerRoot; reference: string }

/** Describes a path. Throws notFound. */
export async function statContainerPath(of: ArchiveRoot, path: string): Promise<ContainerPathStat> {
  const worker = new ArchiveWorker({ kind: 'stat', root: of.root, path })
  try {
    const stat = await worker.stat
    await worker.done
    return stat
  } catch (error) {
    throw explained(error, of.reference, path)
  }
}

/**
 * Packs a path. The stream fails if packing does; destroying it ends the work. Throws notFound. The root must stay
 * until the stream has closed.
 */
export async function readContainerPath(
  of: ArchiveRoot,
  path: string,
): Promise<{ stat: ContainerPathStat; content: Readable }> {
  const { socket, peer } = socketPair()
  // Nothing is written; a socket that may be would stay open after its end.
  socket.end()
  const worker = new ArchiveWorker({ kind: 'read', root: of.root, path, fd: peer }, { socket, peer })
  try {
    return { stat: await worker.stat, content: socket }
  } catch (error) {
    socket.destroy()
    throw explained(error, of.reference, path)
  }
}

/** Packs the whole root, without volumes. As `readContainerPath`. */
export function exportContainer(root: ContainerRoot): Readable {
  const { socket, peer } = socketPair()
  socket.end()
  const worker = new ArchiveWorker({ kind: 'export', root, fd: peer }, { socket, peer })
  worker.stat.catch(() => {})
  return socket
}

/** Unpacks an archive, compressed or not, into a directory. Resolves when everything is in place. */
export async function extractIntoContainer(
  of: ArchiveRoot,
  options: ExtractOptions,
  archive: ByteSource,
): Promise<void> {
  const { socket, peer } = socketPair()
  const worker = new ArchiveWorker({ kind: 'extract', root: of.root, fd: peer, ...options }, { socket, peer })
  worker.stat.catch(() => {})
  socket.resume()
  let sourceFailure: unknown
  const source = async function* () {
    try {
      yield* decompress(archive)
    } catch (error) {
      sourceFailure = error
      throw error
    }
  }
  // Where the worker stops, it knows best why; the sender then only sees a closed socket.
  const sent = pipeline(source, socket).catch(() => {})
  try {
    await worker.done.catch((error: unknown) => {
      throw sourceFailure ?? error
    })
    await sent
  } catch (error) {
    throw explained(error, of.reference, options.path)
  } finally {
    socket.destroy()
  }
}

/** A failure of the worker with the code of its system error. */
class ArchiveFailure extends Error {
  readonly code: string

  constructor(message: string, code: string) {
    super(message)
    this.code = code
  }
}

function explained(error: unknown, reference: string, path: string): unknown {
  if (!(error instanceof ArchiveFailure)) return error
  if (error.code === 'ENOENT') {
    return new EngineError('notFound', `Could not find the file ${path} in container ${reference}`, {
      cause: error,
    })
  }
  return new EngineError('internal', error.message, { cause: error })
}

/** A worker at one job. */
class ArchiveWorker {
  /** The path's description; rejects when the job fails before. */
  readonly stat: Promise<ContainerPathStat>
  /** Resolves when the job is done and the worker has ended. */
  readonly done: Promise<void>

  constructor(job: ArchiveJob, channel?: { socket: Socket; peer: number }) {
    const stat = Promise.withResolvers<ContainerPathStat>()
    const done = Promise.withResolvers<void>()
    this.stat = stat.promise
    this.done = done.promise
    this.done.catch(() => {})
    let failure: Error | undefined = new ArchiveFailure('archive worker ended early', '')
    // Whoever reads the stream sees its failure; nobody may be reading.
    channel?.socket.on('error', () => {})
    const worker = new Worker(new URL('archive-worker.ts', import.meta.url), {
      workerData: job,
      // Descriptors come from native calls, of which Node knows nothing.
      trackUnmanagedFds: false,
    })
    worker.on('message', (reply: ArchiveReply) => {
      if (reply.kind === 'stat') stat.resolve(reply.stat)
      else failure = reply.kind === 'done' ? undefined : failureOf(reply.error)
    })
    worker.on('error', (error: Error) => {
      failure = error
    })
    worker.on('exit', () => {
      // The worker's end is closed only now: no other file can have got its number meanwhile.
      if (channel !== undefined) closeSync(channel.peer)
      if (failure === undefined) {
        done.resolve()
        return
      }
      stat.reject(failure)
      done.reject(failure)
      channel?.socket.destroy(failure)
    })
  }
}

function failureOf(error: { kind: EngineError['kind']; code: string; message: string }): Error {
  if (error.kind !== 'internal') return new EngineError(error.kind, error.message)
  return new ArchiveFailure(error.message, error.code)
}
