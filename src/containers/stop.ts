/** Signals, stopping and killing. Locks are held only to send; never while an exit is awaited. */
import { EngineError, errorMessage } from '../spec/errors.ts'
import type { Container } from './container.ts'
import type { Core } from './core.ts'
import { killSignal, parseSignal, terminate } from '../lib/signals.ts'

const defaultStopTimeoutSeconds = 10
/** How long a killed process may take to go before the kill is taken to have failed. */
const killPatienceMs = 10_000

/** `Container x is not running` and its like, worded in one place. */
export function notRunning(container: Container): EngineError {
  return new EngineError('conflict', `container ${container.id} is not running`)
}

/** Throws unless the container runs and is neither paused nor between two runs. `reference`: its name in the text. */
export function requireActive(
  container: Container,
  pausedText: string,
  reference: string = container.id,
): void {
  if (!container.state.running) throw notRunning(container)
  if (container.state.paused) throw new EngineError('conflict', `container ${reference} ${pausedText}`)
  requireNotRestarting(container)
}

/** Throws while the restart policy waits. */
export function requireNotRestarting(container: Container, reference: string = container.id): void {
  if (!container.state.restarting) return
  throw new EngineError(
    'conflict',
    `container ${reference} is restarting, wait until the container is running`,
  )
}

/** The signal that `stop` sends first. */
function stopSignalOf(container: Container): number {
  const { StopSignal } = container.record.config
  return StopSignal === '' ? terminate : parseSignal(StopSignal)
}

/**
 * Whether a signal ends the restart policy's care until the next start. Where no stop signal is configured any does, as
 * in Docker (moby daemon/kill.go, killWithSignal).
 */
function endsCare(container: Container, signal: number): boolean {
  const { StopSignal } = container.record.config
  return signal === killSignal || StopSignal === '' || signal === parseSignal(StopSignal)
}

/** Sends a signal. Any one counts as a stop by hand; see `endsCare` for those that also end the restart policy's care. */
export async function sendSignal(
  core: Core,
  container: Container,
  signal: number,
  stops = endsCare(container, signal),
): Promise<void> {
  using _lock = await core.locks.acquire(container.id)
  if (!container.state.running) throw notRunning(container)
  if (stops) container.stopRequested = true
  if (!core.shuttingDown) core.recordFact(container, {}, { manuallyStopped: true })
  if (container.state.restarting) {
    if (stops) cancelRestart(core, container)
    return
  }
  const { task } = container
  if (task === undefined) throw notRunning(container)
  try {
    await task.kill(signal)
    // A frozen process takes the signal only once it thaws.
    if (stops && container.state.paused) await resumeForStop(core, container)
  } catch (error) {
    // It ended by itself meanwhile: its exit is on the way.
    if (!(error instanceof EngineError && error.kind === 'notFound')) throw error
  }
  core.emit(container, 'kill', { signal: String(signal) })
}

async function resumeForStop(core: Core, container: Container): Promise<void> {
  await container.task?.resume()
  core.recordFact(container, { paused: false })
}

/** Ends the wait for a restart: the container stays as it ended. */
function cancelRestart(core: Core, container: Container): void {
  container.pendingRestart?.abort()
  container.pendingRestart = undefined
  const record = core.recordFact(container, { running: false, restarting: false })
  container.waiters.stopped({ exitCode: record.state.exitCode, error: record.state.error })
}

/**
 * Resolves once the container does not run and what it held is released; false when `timeoutMs` comes first. Rejects
 * when `cutOff` does.
 */
async function awaitStopped(
  core: Core,
  container: Container,
  timeoutMs?: number,
  cutOff?: AbortSignal,
): Promise<boolean> {
  const cancel = new AbortController()
  const signal = cutOff === undefined ? cancel.signal : AbortSignal.any([cancel.signal, cutOff])
  const stopped = container.state.running
    ? container.waiters.add('not-running', signal).then(() => true)
    : Promise.resolve(true)
  const races = [stopped]
  if (timeoutMs !== undefined) races.push(core.timer.sleep(timeoutMs, signal).then(() => false))
  try {
    if (!(await Promise.race(races))) return false
  } finally {
    cancel.abort(new Error('no longer waited for'))
    await Promise.allSettled(races)
  }
  // The exit is handled under the lock: whoever has it next finds everything released.
  using _lock = await core.locks.acquire(container.id)
  return true
}

/** SIGKILL, and waits until the container has stopped. Throws conflict when it does not run. */
export async function killAndWait(core: Core, container: Container, cutOff?: AbortSignal): Promise<void> {
  await sendSignal(core, container, killSignal)
  if (await awaitStopped(core, container, killPatienceMs, cutOff)) return
  await sendSignal(core, container, killSignal)
  if (!(await awaitStopped(core, container, killPatienceMs, cutOff))) {
    throw new EngineError(
      'internal',
      `tried to kill container, but did not receive an exit event: ${container.id}`,
    )
  }
}

/** Options of stop and restart. */
export type StopOptions = { signal: string; timeoutSeconds: number | null }

/** How long a container gets to stop where nobody says; negative for as long as it takes. */
function stopTimeoutOf(container: Container): number {
  return container.record.config.StopTimeout ?? defaultStopTimeoutSeconds
}

/**
 * Stop signal, patience, SIGKILL. A container that does not run is left alone. After `cutOff` nothing is waited for any
 * more: rejects with its reason.
 */
export async function stopContainer(
  core: Core,
  container: Container,
  options: StopOptions,
  cutOff?: AbortSignal,
): Promise<void> {
  const signal = options.signal === '' ? stopSignalOf(container) : parseSignal(options.signal)
  if (!container.state.running) return
  const seconds = options.timeoutSeconds ?? stopTimeoutOf(container)
  let patienceMs = seconds < 0 ? undefined : seconds * 1000
  try {
    await sendSignal(core, container, signal, true)
    await core.faults.reach('stop:after-signal')
  } catch (error) {
    if (!container.state.running) return core.emit(container, 'stop')
    core.log.warn('stop signal failed', { id: container.id, error: errorMessage(error) })
    patienceMs = 2000
  }
  if (!(await awaitStopped(core, container, patienceMs, cutOff))) {
    try {
      await killAndWait(core, container, cutOff)
    } catch (error) {
      if (container.state.running) throw error
    }
  }
  core.emit(container, 'stop')
}

/** What containers are given beyond their own patience before the daemon ends without them. */
const shutdownGraceSeconds = 5

/**
 * How long the daemon waits for containers to stop: what the setting says, or as long as the most patient container and
 * a little more; undefined where that has no end (moby daemon/daemon.go, shutdownTimeout).
 */
function shutdownTimeoutSeconds(core: Core, setting: number): number | undefined {
  const own = core.registry.all().map(stopTimeoutOf)
  if (setting < 0 || own.some((seconds) => seconds < 0)) return undefined
  return own.reduce((longest, seconds) => Math.max(longest, seconds + shutdownGraceSeconds), setting)
}

/** Stops what runs, each as its own settings have it. Those that will not have stopped in time are left as they are. */
export async function stopForShutdown(core: Core, timeoutSeconds: number): Promise<void> {
  const running = core.registry.all().filter(({ state }) => state.running && !state.restarting)
  const seconds = shutdownTimeoutSeconds(core, timeoutSeconds)
  const cutOff = new AbortController()
  const finished = new AbortController()
  const limit =
    seconds === undefined
      ? undefined
      : core.timer.sleep(seconds * 1000, finished.signal).then(
          () => cutOff.abort(new Error(`the daemon ends without it, after ${seconds} seconds`)),
          () => {},
        )
  await Promise.all(
    running.map((container) =>
      core.cleanUp('stop at shutdown', container.id, () =>
        stopContainer(core, container, { signal: '', timeoutSeconds: null }, cutOff.signal),
      ),
    ),
  )
  finished.abort()
  await limit
}
