/**
 * From start to exit and, where a policy says so, to the next start. A task's exit is handled once, under the
 * container's lock: the record first, then those who wait, then what it held.
 */
import { parseTimeNs } from '../lib/clock.ts'
import { abortable } from '../lib/mutex.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import type { TaskExit } from '../spec/task-types.ts'
import type { Container } from './container.ts'
import type { Core } from './core.ts'
import type { Execs } from './exec.ts'
import { unwatchedHealth } from './health-state.ts'
import type { HealthMonitors } from './health.ts'
import { launch, shmDirectory } from './launch.ts'
import type { ContainerTask } from './ports.ts'
import type { ContainerRecord } from './record.ts'
import { destroy } from './remove.ts'
import { RestartBackOff, wantsRestart } from './restart-policy.ts'
import { unknownSandbox } from './sandbox-request.ts'
import { failureExitCode } from './start-failure.ts'
import { stopContainer, type StopOptions } from './stop.ts'

/** Exit code of a container whose start failed for a reason of its own. */
const startFailed = 128

/** See the file's head. */
export class Lifecycle {
  readonly #core: Core
  readonly #execs: Execs
  readonly #health: HealthMonitors
  /** While set, containers that a policy wants to run are put here: the boot starts them in order. */
  deferred: Container[] | undefined

  constructor(core: Core, execs: Execs, health: HealthMonitors) {
    this.#core = core
    this.#execs = execs
    this.#health = health
  }

  /** `POST /containers/x/start`. Throws notModified when it runs already. */
  async start(container: Container): Promise<void> {
    using _lock = await this.#core.locks.acquire(container.id)
    this.#requireStartable(container)
    await this.#startLocked(container, { manual: true })
  }

  /** `POST /containers/x/restart`: stops a running one first; the policy and auto-remove look away meanwhile. */
  async restart(container: Container, options: StopOptions): Promise<void> {
    container.restartingManually = true
    try {
      await stopContainer(this.#core, container, options)
      using _lock = await this.#core.locks.acquire(container.id)
      if (!container.state.running) {
        this.#requireStartable(container)
        await this.#startLocked(container, { manual: true })
      }
    } finally {
      container.restartingManually = false
    }
    this.#core.emit(container, 'restart')
  }

  #requireStartable(container: Container): void {
    const { state } = container
    if (state.paused) {
      throw new EngineError('conflict', 'cannot start a paused container, try unpause instead')
    }
    if (state.running) throw new EngineError('notModified', 'Container is already started')
    if (state.removing !== null || state.dead || this.#core.registry.byId(container.id) !== container) {
      throw new EngineError('conflict', 'container is marked for removal and cannot be started')
    }
  }

  async #startLocked(container: Container, options: { manual: boolean }): Promise<void> {
    if (options.manual) container.backOff = undefined
    let task: ContainerTask
    try {
      task = await launch(this.#core, container, options)
    } catch (error) {
      await this.#startFailed(container, error)
      throw error
    }
    this.#core.emit(container, 'start')
    this.watch(container, task)
  }

  async #startFailed(container: Container, error: unknown): Promise<void> {
    const message = errorMessage(error)
    this.#core.recordFact(container, {
      starting: false,
      error: message,
      exitCode: failureExitCode(message, startFailed),
    })
    for (const stream of container.pendingAttaches) stream.abandon()
    container.pendingAttaches.clear()
    if (container.record.hostConfig.AutoRemove && !container.removalInProgress) {
      await this.#removeItself(container, async () => {})
    }
  }

  /** Follows a running task: its log, its health and its exit. */
  watch(container: Container, task: ContainerTask): void {
    this.#core.ports.logs.started(this.#core.logRequest(container))
    this.#health.start(container)
    task.watchOom(container.state.oomKilled, () => this.#oom(container, task))
    this.#core.tasks.run('exit', async (signal) => {
      const exit = await abortable(task.exited, signal)
      // Once seen, an exit is handled to its end, also while shutting down.
      using _lock = await this.#core.locks.acquire(container.id)
      if (container.task === task) await this.exited(container, exit)
    })
  }

  #oom(container: Container, task: ContainerTask): void {
    if (container.task !== task) return
    this.#core.recordFact(container, { oomKilled: true })
    this.#core.emit(container, 'oom')
  }

  /** Handles an exit. The caller holds the lock. */
  async exited(container: Container, exit: TaskExit): Promise<void> {
    const core = this.#core
    this.#health.stop(container)
    this.#execs.forgetUnstarted(container)
    container.task = undefined
    const { record } = container
    const ranMs = durationMs(record.state.startedAt, exit.finishedAt)
    const restarts = this.#wantsRestart(container, exit)
    const removes = !restarts && this.#removesItself(container)
    const scarce = holdsScarce(record)
    const ended = {
      running: restarts,
      restarting: restarts,
      paused: false,
      starting: false,
      pid: 0,
      exitCode: exit.exitCode,
      oomKilled: exit.oomKilled,
      finishedAt: exit.finishedAt,
      health: unwatchedHealth(record.state.health),
    }
    const rest = {
      sandbox: null,
      rootfs: '',
      activeMounts: [],
      restartCount: record.restartCount + (restarts ? 1 : 0),
    }
    const release = () => this.release(container, record)
    const announce = () => {
      // The row of a container that removes itself goes at once: a daemon that died before removes it, too.
      if (removes) core.registry.remember(container, ended, rest)
      else core.recordFact(container, ended, rest)
      // Killed while no daemon looked; otherwise it has been told already.
      if (exit.oomKilled && !record.state.oomKilled) core.emit(container, 'oom')
      const execDuration = String(Math.floor(ranMs / 1000))
      core.emit(container, 'die', { exitCode: String(exit.exitCode), execDuration })
      container.waiters.stopped({ exitCode: exit.exitCode, error: '' })
    }
    await core.faults.reach('exit:begin')
    // Ports, addresses and volumes must be free once a client hears of the exit; the rest may go afterwards.
    if (scarce) await release()
    announce()
    await core.faults.reach('exit:after-record')
    if (!scarce && !removes) await release()
    if (restarts) this.#scheduleRestart(container, ranMs)
    if (removes) await this.#removeItself(container, scarce ? async () => {} : release)
  }

  /** Removes a container that has ended. If that cannot be, it stays as one that has ended, and the next start tries. */
  async #removeItself(container: Container, release: () => Promise<void>): Promise<void> {
    try {
      await destroy(this.#core, this.#execs, container, { volumes: true, release })
    } catch (error) {
      const message = errorMessage(error)
      this.#core.log.warn('cleanup failed', { step: 'auto-remove', id: container.id, error: message })
      await release()
      this.#core.recordFact(container, {})
      container.waiters.removed({ exitCode: container.state.exitCode, error: message })
    }
  }

  #wantsRestart(container: Container, exit: TaskExit): boolean {
    const { record } = container
    if (this.#core.shuttingDown || container.stopRequested) return false
    if (container.restartingManually || container.removalInProgress) return false
    return wantsRestart({
      policy: record.hostConfig.RestartPolicy,
      exitCode: exit.exitCode,
      manuallyStopped: record.manuallyStopped,
      restartCount: record.restartCount,
    })
  }

  #removesItself(container: Container): boolean {
    return (
      container.record.hostConfig.AutoRemove && !container.restartingManually && !container.removalInProgress
    )
  }

  /** Releases what a running container held. Idempotent; failures are logged. */
  async release(container: Container, record: ContainerRecord): Promise<void> {
    const core = this.#core
    const { id } = container
    const sandbox = record.sandbox ?? unknownSandbox
    const unmount = async () => {
      await core.cleanUp('deactivate mounts', id, () => core.ports.mounts.deactivate(id, record.mounts))
      if (record.hostConfig.IpcMode === 'shareable') {
        await core.cleanUp('unmount shm', id, () => core.host.unmountShm(shmDirectory(core, id)))
      }
      if (container.rootfsUsers === 0) {
        await core.cleanUp('unmount', id, () => core.ports.rootfs.unmount(id))
      }
    }
    core.ports.logs.ended(id)
    await Promise.all([
      core.cleanUp('release network', id, () => core.ports.networking.remove(id, sandbox)),
      core.cleanUp('forget task', id, () => core.ports.runtime.remove(id)),
      unmount(),
    ])
  }

  #scheduleRestart(container: Container, ranMs: number): void {
    const core = this.#core
    container.backOff ??= new RestartBackOff()
    const delayMs = container.backOff.nextDelayMs(ranMs)
    if (this.deferred !== undefined) {
      this.deferred.push(container)
      return
    }
    const controller = new AbortController()
    container.pendingRestart = controller
    core.tasks.run('restart', async (shutdown) => {
      const signal = AbortSignal.any([controller.signal, shutdown])
      try {
        await core.timer.sleep(delayMs, signal)
      } catch {
        // Cancelled by a stop, which has settled the record; or the daemon ends, and the next one goes on.
        return
      }
      using _lock = await core.locks.acquire(container.id)
      if (signal.aborted || container.pendingRestart !== controller) return
      container.pendingRestart = undefined
      await this.startByPolicy(container, { manual: false })
    })
  }

  /** A start by policy; the caller holds the lock. Its failure ends the policy's care, as in Docker. */
  async startByPolicy(container: Container, options: { manual: boolean }): Promise<void> {
    try {
      await this.#startLocked(container, options)
    } catch (error) {
      this.#core.log.warn('restart failed', { id: container.id, error: errorMessage(error) })
      if (this.#core.registry.byId(container.id) !== container) return
      const { state } = this.#core.recordFact(container, { running: false, restarting: false })
      container.waiters.stopped({ exitCode: state.exitCode, error: state.error })
    }
  }
}

function durationMs(from: string, to: string): number {
  const start = parseTimeNs(from)
  const end = parseTimeNs(to)
  return start === undefined || end === undefined ? 0 : Number((end - start) / 1_000_000n)
}

/** Whether a client that hears of the exit may at once ask for something this container held. */
function holdsScarce({ hostConfig, networks, mounts }: ContainerRecord): boolean {
  if (hostConfig.PublishAllPorts || Object.keys(hostConfig.PortBindings ?? {}).length > 0) return true
  if (mounts.length > 0) return true
  return Object.keys(networks).some((network) => !['bridge', 'host', 'none'].includes(network))
}
