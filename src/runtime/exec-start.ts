/** Running further processes in a container: each has a keeper of its own, in a directory below the container's. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { EngineError } from '../spec/errors.ts'
import type { OciSpec } from '../spec/oci-runtime-types.ts'
import type { ExecTaskStart } from '../spec/task-types.ts'
import { serializeOci } from './oci-spec.ts'
import { buildExecProcess } from './oci-spec-process.ts'
import { hostPreparation, oomScoreAnnotation } from './rlimits.ts'
import { execFailure, lastRuntimeError, relativeDirectory } from './runtime-errors.ts'
import { readRuntimeOutput } from './shim-bundle.ts'
import type { ShimLauncher, ShimSettings } from './shim-launch.ts'
import { detachedOptions, runtimeCommand, type OciRuntimeProgram } from './shim-runtimes.ts'
import { ShimTask } from './shim-task.ts'
import { ShimStartError } from './shim-watch.ts'

/** Where and by what an exec runs. */
export type ExecPlace = {
  /** The exec's own directory, not there yet. */
  directory: string
  spec: OciSpec
  program: OciRuntimeProgram
  /** `--root` of the runtime. */
  state: string
  launcher: ShimLauncher
  limits: readonly string[]
  /** Capabilities of a privileged exec. */
  availableCapabilities: readonly string[]
}

/** How long output is kept when nobody said whether a client comes. */
const undecidedHoldMs = 1000

/** Starts a process in a running container. Throws what Docker answers; leaves nothing then. */
export async function startExec(
  start: ExecTaskStart,
  place: ExecPlace,
  signal: AbortSignal,
): Promise<ShimTask> {
  const { directory } = place
  signal.throwIfAborted()
  if (start.workingDir !== '' && !start.workingDir.startsWith('/')) throw relativeDirectory()
  await using undo = new AsyncDisposableStack()
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  undo.defer(() => rm(directory, { recursive: true, force: true }))
  const process = buildExecProcess(start, place.spec, {
    rootfs: place.spec.root.path,
    availableCapabilities: place.availableCapabilities,
  })
  writeFileSync(join(directory, 'process.json'), serializeOci(process), { mode: 0o600 })
  const isRemapped = place.spec.linux.uidMappings !== undefined
  const preparation = isRemapped
    ? hostPreparation(Number(place.spec.annotations[oomScoreAnnotation]), process.rlimits)
    : undefined
  const watch = undo.use(await place.launcher.launch({ ...execSettings(start, place), preparation }))
  signal.throwIfAborted()
  watch.go()
  try {
    const started = await watch.started
    undo.move()
    return new ShimTask({ directory, started, watch, oomKilled: () => Promise.resolve(false) })
  } catch (error) {
    if (!(error instanceof ShimStartError)) throw error
    const message = lastRuntimeError(await readRuntimeOutput(directory))
    if (message === '')
      throw new EngineError('internal', `exec ${start.id}: ${error.message}`, { cause: error })
    throw execFailure({ message, command: start.args[0] ?? '' })
  }
}

function execSettings(start: ExecTaskStart, { directory, program, state, limits }: ExecPlace): ShimSettings {
  const descriptor = program.descriptor()
  return {
    directory,
    tty: start.tty,
    openStdin: start.openStdin,
    stdinOnce: start.openStdin,
    ...(start.consoleSize !== undefined && { consoleSize: start.consoleSize }),
    holdMs: start.attached === undefined ? undecidedHoldMs : start.attached ? -1 : 0,
    limits,
    environment: program.environment(),
    runtime: [
      ...runtimeCommand(program, state),
      'exec',
      ...detachedOptions(start.tty),
      '--process',
      'process.json',
      start.containerId,
    ],
    ...(descriptor !== undefined && { runtimeDescriptor: descriptor }),
  }
}
