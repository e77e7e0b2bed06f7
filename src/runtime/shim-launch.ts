/** Starting a keeper: its arguments, its descriptors, and the wait until it listens. */
import { closeSync, openSync } from 'node:fs'
import { EngineError } from '../spec/errors.ts'
import type { TaskLog } from '../spec/task-types.ts'
import { reap, spawnProcess } from '../kernel/process.ts'
import { socketPair, spawnDescriptor } from '../kernel/unix-sockets.ts'
import type { HostPreparation } from './rlimits.ts'
import { ShimStartError, ShimWatch } from './shim-watch.ts'

/** What a keeper is to look after. */
export type ShimSettings = {
  /** The task's directory; the keeper works in it and writes `started`, `exit` and its socket there. */
  directory: string
  tty: boolean
  openStdin: boolean
  /** The end of a client's input ends the process's. */
  stdinOnce: boolean
  consoleSize?: { rows: number; columns: number }
  log?: TaskLog
  /** Milliseconds to keep output until a client comes; -1 for ever, 0 not at all. */
  holdMs: number
  /** Further options of the keeper: its limits. */
  limits: readonly string[]
  /** The OCI runtime and its arguments, with paths relative to the directory. */
  runtime: readonly string[]
  /** Variables for the runtime, beside its search path. */
  environment: readonly string[]
  /** For a process in a user namespace. */
  preparation?: HostPreparation | undefined
  /** Program to execute instead of `runtime[0]`. */
  runtimeDescriptor?: number
}

/** File of a task's directory that holds the `attrs` of its json-file log. */
export const attributesFile = 'attrs'

/** Search path of keepers and runtimes. */
const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Starts keepers. Disposing it lets go of its descriptor; keepers go on. */
export class ShimLauncher implements Disposable {
  readonly #program: string
  /** A descriptor of /dev/null, for `spawnProcess`. */
  readonly nothing: number

  /** `program` is the keeper's executable. */
  constructor(program: string) {
    this.#program = program
    const fd = openSync('/dev/null', 'r+')
    this.nothing = spawnDescriptor(fd)
    closeSync(fd)
  }

  /**
   * Starts a keeper and waits until it listens. As long as it was not told to go, it ends with this process or with
   * the watch. Rejects with what it could not do.
   */
  async launch(settings: ShimSettings): Promise<ShimWatch> {
    const { socket, peer } = socketPair()
    let pid: number
    try {
      const { runtimeDescriptor } = settings
      const { nothing } = this
      pid = spawnProcess({
        file: this.#program,
        args: shimArguments(settings),
        env: [path, ...settings.environment],
        descriptors: [
          nothing,
          nothing,
          nothing,
          peer,
          ...(runtimeDescriptor === undefined ? [] : [runtimeDescriptor]),
        ],
      })
    } catch (error) {
      socket.destroy()
      throw error
    } finally {
      closeSync(peer)
    }
    const watch = new ShimWatch(socket)
    socket.once('close', () => reap(pid))
    try {
      await watch.ready
      return watch
    } catch (error) {
      watch[Symbol.dispose]()
      if (!(error instanceof ShimStartError)) throw error
      const what = 'failed to create task for container: failed to initialize logging driver'
      throw new EngineError('internal', `${what}: ${error.message}`, { cause: error })
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.nothing)
  }
}

/** The keeper's command line, its name first. */
function shimArguments(settings: ShimSettings): string[] {
  const { log, consoleSize, preparation } = settings
  const args = ['wharf-shim', settings.directory, ...settings.limits]
  if (settings.tty) args.push('--tty')
  if (settings.openStdin) args.push('--stdin')
  if (settings.stdinOnce) args.push('--stdin-once')
  if (settings.holdMs !== 0) args.push('--hold', String(settings.holdMs))
  if (settings.runtimeDescriptor !== undefined) args.push('--runtime-fd', '4')
  if (consoleSize !== undefined) {
    args.push('--rows', String(consoleSize.rows), '--columns', String(consoleSize.columns))
  }
  if (preparation !== undefined) {
    args.push('--oom-score', String(preparation.oomScoreAdj))
    for (const { number, value } of preparation.hardLimits) args.push('--hard-limit', `${number}:${value}`)
  }
  if (log !== undefined) {
    args.push('--log-format', log.format, '--log-path', log.path)
    args.push('--log-max-size', String(log.maxSizeBytes), '--log-max-files', String(log.maxFiles))
    if (log.nonBlockingBufferBytes !== undefined)
      args.push('--log-buffer', String(log.nonBlockingBufferBytes))
  }
  return [...args, '--', ...settings.runtime]
}
