/**
 * The daemon comes up: rows are what should exist, the kernel says what runs. Every container is brought to a state in
 * which both agree; what no row names is swept; what its policy wants to run is started, dependencies first.
 */
import { readdir } from 'node:fs/promises'
import { zeroTime } from '../lib/clock.ts'
import { Semaphore } from '../lib/mutex.ts'
import { errorCode, errorMessage } from '../spec/errors.ts'
import { containerId, type ContainerId } from '../spec/ids.ts'
import type { TaskExit } from '../spec/task-types.ts'
import type { Container } from './container.ts'
import type { Core } from './core.ts'
import type { Execs } from './exec.ts'
import { recordRunning } from './launch.ts'
import type { Lifecycle } from './lifecycle.ts'
import { joinedContainer } from './modes.ts'
import type { ContainerTask } from './ports.ts'
import { destroy, removeLeavings } from './remove.ts'
import { isNoPolicy, wantsRestart } from './restart-policy.ts'

/** Exit code of a container that ended while nobody looked and left no trace, as after a power cut. */
const unknownExitCode = 255
const atOnce = 16

/** What the kernel and the disk have. */
type Found = { tasks: Set<string>; sandboxes: Set<string>; layers: Set<string>; mounts: Set<string> }

/** Told once all containers are adopted, and before any is started: ids of all, and of those with a sandbox. */
export type Settled = (ids: { all: ContainerId[]; withSandbox: ContainerId[] }) => Promise<void>

/** See the file's head. */
export class Boot {
  readonly #core: Core
  readonly #lifecycle: Lifecycle
  readonly #execs: Execs

  constructor(core: Core, lifecycle: Lifecycle, execs: Execs) {
    this.#core = core
    this.#lifecycle = lifecycle
    this.#execs = execs
  }

  /**
   * Resolves when everything is adopted and swept; starts by policy go on in the background. `settled` is called in
   * between: other rooms sweep there what belongs to no container.
   */
  async run(settled: Settled): Promise<void> {
    const { registry, ports } = this.#core
    registry.load()
    const [tasks, sandboxes, layers, mountPoints] = await Promise.all([
      ports.runtime.list(),
      ports.networking.list(),
      ports.rootfs.list(),
      this.#core.host.mountPoints(),
    ])
    const found: Found = {
      tasks: new Set(tasks),
      sandboxes: new Set(sandboxes),
      layers: new Set(layers),
      mounts: new Set(mountPoints.flatMap((path) => containerOfMount(path) ?? [])),
    }
    const wanted: Container[] = []
    this.#lifecycle.deferred = wanted
    await this.#forEach(registry.all(), (container) => this.#settle(container, found))
    this.#lifecycle.deferred = undefined
    await this.#sweep(found)
    const all = [...registry.all().map(({ record }) => record), ...registry.parked()]
    await settled({
      all: all.map(({ id }) => id),
      withSandbox: all.filter(({ sandbox }) => sandbox !== null).map(({ id }) => id),
    })
    for (const container of registry.all()) {
      if (!wanted.includes(container) && this.#shouldRun(container)) wanted.push(container)
    }
    this.#startInOrder(wanted)
  }

  async #forEach<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
    const places = new Semaphore(atOnce)
    await Promise.all(
      items.map(async (item) => {
        using _place = await places.acquire()
        await work(item)
      }),
    )
  }

  async #settle(container: Container, found: Found): Promise<void> {
    try {
      using _lock = await this.#core.locks.acquire(container.id)
      await this.#settleLocked(container, found)
    } catch (error) {
      // One container that cannot be taken over must not keep the daemon from the others.
      this.#core.log.error('container not adopted', { id: container.id, error: errorMessage(error) })
    }
  }

  async #settleLocked(container: Container, found: Found): Promise<void> {
    const { state } = container
    const known = found.tasks.has(container.id)
    const task =
      known || state.running || state.starting
        ? await this.#core.ports.runtime.adopt(container.id)
        : undefined
    if (task !== undefined && 'pid' in task) return this.#adopt(container, task)
    if (task !== undefined && (state.running || state.starting)) return this.#endedAway(container, task)
    if (state.restarting) return this.#waitsForRestart(container)
    if (state.running) return this.#endedAway(container, this.#vanished())
    await this.#notRunning(container, found)
  }

  #vanished(): TaskExit {
    return { exitCode: unknownExitCode, oomKilled: false, finishedAt: this.#core.now() }
  }

  async #adopt(container: Container, task: ContainerTask): Promise<void> {
    const core = this.#core
    const { sandbox, state } = container.record
    if (sandbox === null || state.removing !== null) {
      // It was started, but the start was never answered; or it was being removed. Either way it should not run.
      await task.kill(9).catch(() => {})
      await this.#notRunning(container, undefined)
      return
    }
    recordRunning(core, container, task)
    core.recordFact(container, {
      paused: state.paused,
      oomKilled: state.oomKilled,
      health: state.health ?? container.state.health,
    })
    await core.cleanUp('adopt network', container.id, () =>
      core.ports.networking.adopt(container.id, sandbox),
    )
    await core.cleanUp('adopt execs', container.id, () => this.#execs.adopt(container))
    if (state.starting) core.emit(container, 'start')
    this.#lifecycle.watch(container, task)
    core.log.info('container adopted', { id: container.id, pid: task.pid })
  }

  /** It ran when the daemon went and does not now. */
  async #endedAway(container: Container, exit: TaskExit): Promise<void> {
    if (container.state.startedAt === zeroTime || container.state.starting) {
      this.#core.recordFact(container, { startedAt: exit.finishedAt })
    }
    await this.#lifecycle.exited(container, exit)
  }

  async #waitsForRestart(container: Container): Promise<void> {
    await this.#lifecycle.release(container, container.record)
    this.#lifecycle.deferred?.push(container)
  }

  /** Releases what an unfinished operation may have left, and finishes removals. */
  async #notRunning(container: Container, found: Found | undefined): Promise<void> {
    const core = this.#core
    const { record, id } = container
    const { state } = record
    const touched =
      found === undefined ||
      state.starting ||
      found.tasks.has(id) ||
      found.sandboxes.has(id) ||
      found.mounts.has(id) ||
      record.startedBefore
    if (touched) await this.#lifecycle.release(container, record)
    if (state.starting || record.sandbox !== null) {
      core.recordFact(
        container,
        { starting: false, running: false },
        { sandbox: null, rootfs: '', activeMounts: [] },
      )
    }
    if (state.removing !== null) {
      await destroy(core, this.#execs, container, { volumes: state.removing.volumes })
    } else if (record.hostConfig.AutoRemove) {
      await destroy(core, this.#execs, container, { volumes: true })
    }
  }

  async #sweep(found: Found): Promise<void> {
    const core = this.#core
    const rows = core.registry.rowIds()
    const directories = await containerDirectories(core.settings().root)
    const orphans = new Set([...found.tasks, ...found.sandboxes, ...found.layers, ...directories])
    const ids = [...orphans].filter((id) => !rows.has(id)).map((id) => containerId(id))
    await this.#forEach(ids, async (id) => {
      core.log.info('sweeping leavings', { id })
      await removeLeavings(core, id, { task: found.tasks.has(id), sandbox: found.sandboxes.has(id) })
    })
  }

  /** Whether the policy of a container that does not run wants it to, now that the daemon is up. */
  #shouldRun(container: Container): boolean {
    const { record } = container
    const { RestartPolicy } = record.hostConfig
    if (record.state.running || !record.startedBefore || isNoPolicy(RestartPolicy)) return false
    if (record.state.dead || record.state.removing !== null) return false
    // `always` comes back with the daemon even after a manual stop; what failed does not after one.
    if (RestartPolicy.Name === 'on-failure' && record.manuallyStopped) return false
    return wantsRestart({
      policy: RestartPolicy,
      exitCode: record.state.exitCode,
      manuallyStopped: record.manuallyStopped,
      restartCount: record.restartCount,
    })
  }

  #startInOrder(wanted: Container[]): void {
    const started = new Map<Container, Promise<void>>()
    for (const container of inDependencyOrder(this.#core, wanted)) {
      const before = dependencies(this.#core, container).flatMap((other) => started.get(other) ?? [])
      const { promise, resolve } = Promise.withResolvers<void>()
      started.set(container, promise)
      this.#core.tasks.run('start by policy', async (signal) => {
        try {
          await Promise.all(before)
          using _lock = await this.#core.locks.acquire(container.id)
          const gone = this.#core.registry.byId(container.id) !== container
          if (signal.aborted || gone || container.task !== undefined) return
          await this.#lifecycle.startByPolicy(container, { manual: true })
        } finally {
          resolve()
        }
      })
    }
  }
}

/** The id that a mount point carries, where it is a container's. */
export function containerOfMount(path: string): string | undefined {
  return path.includes('/netns/') ? undefined : /\/([0-9a-f]{64})(?:\/|$)/.exec(path)?.[1]
}

/** Ids that have a directory below the containers' root. */
export async function containerDirectories(root: string): Promise<string[]> {
  try {
    return (await readdir(root)).filter((name) => /^[0-9a-f]{64}$/.test(name))
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}

/** Containers that must run before this one can. */
function dependencies(core: Core, { record }: Container): Container[] {
  const { NetworkMode, IpcMode, PidMode } = record.hostConfig
  const joined = [NetworkMode, IpcMode, PidMode].flatMap((mode) => joinedContainer(mode) ?? [])
  const ids: (ContainerId | string)[] = [...record.links.map(({ id }) => id), ...joined]
  return ids.flatMap((id) => core.registry.byId(id) ?? [])
}

function inDependencyOrder(core: Core, wanted: Container[]): Container[] {
  const ordered = new Set<Container>()
  const visiting = new Set<Container>()
  const visit = (container: Container) => {
    if (visiting.has(container)) return
    visiting.add(container)
    for (const other of dependencies(core, container)) if (wanted.includes(other)) visit(other)
    ordered.add(container)
  }
  for (const container of wanted) visit(container)
  return [...ordered]
}
