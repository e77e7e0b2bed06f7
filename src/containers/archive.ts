/**
 * Copying into and out of containers, and export. Each request is a job for a worker thread that sees the container's
 * files as the container does (`archive-worker.ts`). The thread reads or writes the client's connection itself where it
 * was given that; otherwise the bytes go through a socket whose other end is here.
 */
import { closeSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { setNonBlocking } from '../kernel/waiting-io.ts'
import { socketPair } from '../kernel/unix-sockets.ts'
import type { IdMapping } from '../lib/id-mapping.ts'
import { sendAll } from '../lib/output.ts'
import { released } from '../lib/release-buffer.ts'
import { WorkerPool } from '../lib/worker-pool.ts'
import type { ContainerPathStat } from '../spec/container-types.ts'
import { EngineError } from '../spec/errors.ts'
import type {
  ArchiveInput,
  ArchiveJob,
  ArchiveOutput,
  ArchiveResult,
  ArchiveWork,
  ExtractOptions,
} from './archive-job.ts'
import type { ContainerRoot } from './contract.ts'

/** A container's root and what the client called the container, for messages. */
export type ArchiveRoot = { root: ContainerRoot; reference: string }

/** A slow client holds a thread. */
const maxWorkers = 64
const workerIdleMs = 5000

/** See the file's head. Disposing ends the jobs under way. */
export class ContainerArchives implements AsyncDisposable {
  readonly #ids: IdMapping | undefined
  readonly #pool = new WorkerPool<ArchiveJob, ArchiveResult>({
    script: new URL('archive-worker.ts', import.meta.url),
    maxWorkers,
    idleMs: workerIdleMs,
  })

  /** `ids` are containers' on the host. */
  constructor(ids?: IdMapping) {
    this.#ids = ids
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]()
  }

  /** Describes a path. Throws notFound. */
  async stat({ root, reference }: ArchiveRoot, path: string): Promise<ContainerPathStat> {
    const result = await this.#run({ kind: 'stat', root, path }, reference, path)
    if (result.kind !== 'stat') throw new EngineError('internal', 'archive worker gave no description')
    return result.stat
  }

  /** Packs a path for an output. Throws notFound, or what went wrong in the middle. */
  async read({ root, reference }: ArchiveRoot, path: string, output: ArchiveOutput): Promise<void> {
    await this.#run({ kind: 'read', root, path, output }, reference, path)
  }

  /** Packs the whole root, without volumes. */
  async export(root: ContainerRoot, output: ArchiveOutput): Promise<void> {
    await this.#run({ kind: 'export', root, output }, '', '/')
  }

  /** Unpacks an archive, compressed or not, into a directory. Resolves when everything is in place. */
  async extract(
    { root, reference }: ArchiveRoot,
    options: ExtractOptions,
    input: ArchiveInput,
  ): Promise<void> {
    await this.#run({ kind: 'extract', root, input, ...options }, reference, options.path)
  }

  /** Does a job whose bytes come out here. The stream fails if the job does; destroying it ends the work. */
  stream(job: (output: ArchiveOutput) => Promise<void>): Readable {
    const { socket, peer } = socketPair()
    // Nothing is written; a socket that may be would stay open after its end.
    socket.end()
    setNonBlocking(peer)
    const work = job({ fd: peer, chunked: false })
    void work.then(
      () => closeSync(peer),
      (error: unknown) => {
        socket.destroy(error instanceof Error ? error : new Error(String(error)))
        closeSync(peer)
      },
    )
    return socket
  }

  /** Does a job whose bytes are given here. Where it stops, it knows best why; `source` only sees a closed socket. */
  async feed(source: AsyncIterable<Uint8Array>, job: (input: ArchiveInput) => Promise<void>): Promise<void> {
    const { socket, peer } = socketPair()
    socket.resume()
    setNonBlocking(peer)
    let sourceFailure: unknown
    const watched = async function* () {
      try {
        yield* source
      } catch (error) {
        sourceFailure = error
        throw error
      }
    }
    const sent = sendAll(released(watched()), socket).catch(() => socket.destroy())
    try {
      await job({ fd: peer, early: new Uint8Array(), framing: 'none' }).catch((error: unknown) => {
        throw sourceFailure ?? error
      })
      await sent
    } finally {
      socket.destroy()
      closeSync(peer)
    }
  }

  async #run(work: ArchiveWork, reference: string, path: string): Promise<ArchiveResult> {
    const result = await this.#pool.run({ ...work, ids: this.#ids })
    if (result.kind !== 'failed') return result
    const { kind, code, message } = result.error
    if (kind !== 'internal') throw new EngineError(kind, message)
    if (code !== 'ENOENT') throw new EngineError('internal', message)
    throw new EngineError('notFound', `Could not find the file ${path} in container ${reference}`)
  }
}
