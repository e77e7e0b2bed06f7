/** A process under its keeper, as the engine holds it. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { EngineError, errorCode } from '../spec/errors.ts'
import type { AttachOptions, OfferedConnection, TaskExit } from '../spec/task-types.ts'
import { formatTimeNs, systemClock } from '../lib/clock.ts'
import { exitCodeOf, isPresent, signalProcess } from '../kernel/process.ts'
import { attachToShim, giveToShim, resizeShim } from './shim-requests.ts'
import {
  parseShimLine,
  type ShimEnd,
  type ShimEvent,
  type ShimStarted,
  type ShimWatch,
} from './shim-watch.ts'

/** Exit code of a task whose end nobody saw (Docker's for a container found dead). */
const unknownExitCode = 255

/** What a task is made of. */
export type ShimTaskParts = {
  directory: string
  started: ShimStarted
  /** Undefined when the keeper is gone and only the process is left. */
  watch: ShimWatch | undefined
  /** Asked once, at the end. */
  oomKilled(): Promise<boolean>
}

/** Implements `Task` of the engine. */
export class ShimTask implements Disposable {
  readonly pid: number
  readonly startedAt: string
  readonly exited: Promise<TaskExit>
  readonly directory: string
  readonly #started: ShimStarted
  readonly #watch: ShimWatch | undefined

  constructor(parts: ShimTaskParts) {
    this.#started = parts.started
    this.#watch = parts.watch
    this.directory = parts.directory
    this.pid = parts.started.pid
    this.startedAt = formatTimeNs(parts.started.startedNs)
    this.exited = this.#end(parts)
  }

  /** See `Task.kill`. */
  async kill(signal: number): Promise<void> {
    if (signalProcess(this.#started, signal)) return
    throw new EngineError('notFound', `process ${this.pid} is not running`)
  }

  /** See `Task.resize`. */
  async resize(rows: number, columns: number): Promise<void> {
    await resizeShim(this.directory, rows, columns)
  }

  /** See `Task.attach`. */
  async attach(options: AttachOptions): Promise<Duplex> {
    return attachToShim(this.directory, options)
  }

  /** See `Task.serve`. */
  async serve(options: AttachOptions, client: OfferedConnection): Promise<Duplex | undefined> {
    return giveToShim(this.directory, options, client)
  }

  /** Stops listening: `exited` stays pending if it is. The task goes on. */
  [Symbol.dispose](): void {
    this.#watch?.[Symbol.dispose]()
  }

  async #end(parts: ShimTaskParts): Promise<TaskExit> {
    const { directory, watch } = parts
    const end = (await watch?.ended) ?? (await recordedEnd(directory)) ?? (await orphanEnd(this.#started))
    return taskExit(end, await parts.oomKilled().catch(() => false))
  }
}

/** A keeper's record as the engine knows it. */
export function taskExit(end: ShimEnd, oomKilled: boolean): TaskExit {
  return { exitCode: end.exitCode, oomKilled, finishedAt: formatTimeNs(end.finishedNs) }
}

/** How the task in this directory ended, if its keeper recorded it. */
export async function recordedEnd(directory: string): Promise<ShimEnd | undefined> {
  const event = await readEvent(join(directory, 'exit'))
  return event?.kind === 'exit' ? event.end : undefined
}

/** Which process the keeper of this directory started, if it recorded it. */
export async function recordedStart(directory: string): Promise<ShimStarted | undefined> {
  const event = await readEvent(join(directory, 'started'))
  return event?.kind === 'started' ? event.started : undefined
}

async function readEvent(path: string): Promise<ShimEvent | undefined> {
  try {
    return parseShimLine((await readFile(path, 'latin1')).trim())
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** The keeper died; its process may have become ours to reap. */
async function orphanEnd(started: ShimStarted): Promise<ShimEnd> {
  const code = isPresent(started) ? await exitCodeOf(started) : undefined
  return { exitCode: code ?? unknownExitCode, finishedNs: systemClock.nowNs(), droppedLines: 0n }
}
