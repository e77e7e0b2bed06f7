/**
 * Containers: made from images, run by the runtime, joined to networks, given volumes. This is the front: it finds
 * the container a client names and hands it to the file that knows the operation. A container is made (`create.ts`),
 * launched (`launch.ts`), followed to its exit and perhaps its next start (`lifecycle.ts`), and removed
 * (`remove.ts`). Its record is immutable and replaced whole (`registry.ts`), so that readers never wait; operations on one
 * container take its lock in turn. After a restart of the daemon `boot.ts` makes records and kernel agree again.
 */
import type {
  ContainerCreateRequest,
  EndpointSettings,
  ExecConfig,
  UpdateConfig,
} from '../spec/container-config.ts'
import type {
  ContainerInspect,
  ContainerStats,
  ContainerSummary,
  ContainerTop,
  ExecInspect,
  FilesystemChange,
} from '../spec/container-types.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import type { StoreProblem } from '../lib/store-problem.ts'
import type { ContainerId, ExecId } from '../spec/ids.ts'
import { attachTo } from './attach.ts'
import { Boot, type Settled } from './boot.ts'
import type { Container } from './container.ts'
import type {
  AttachedStream,
  AttachRequest,
  ContainerEngine,
  ContainerPaths,
  ContainerRoot,
  ExecStartOptions,
  Filters,
  WaitCondition,
} from './contract.ts'
import { checkContainers } from './container-check.ts'
import { Core, type CoreOptions } from './core.ts'
import { createContainer } from './create.ts'
import { parseDetachKeys } from './detach-keys.ts'
import { Execs } from './exec.ts'
import { HealthMonitors } from './health.ts'
import { inspectContainer } from './inspect.ts'
import { Lifecycle } from './lifecycle.ts'
import { listContainers, type ListOptions } from './list.ts'
import { connectNetwork, disconnectNetwork, renameContainer } from './network-changes.ts'
import { freeze, thaw } from './pause.ts'
import { pruneContainers } from './prune.ts'
import { removeContainer, removeLink } from './remove.ts'
import { withRootfs } from './rootfs-access.ts'
import { killSignal, parseSignal } from '../lib/signals.ts'
import { readStats } from './stats.ts'
import {
  killAndWait,
  notRunning,
  sendSignal,
  stopContainer,
  stopForShutdown,
  type StopOptions,
} from './stop.ts'
import { topOf } from './top.ts'
import { updateContainer } from './update.ts'
import type { WaitResult } from './waiters.ts'

/** See the file's head. Call `boot` once before anything else, and `shutdown` last. */
export class Containers implements ContainerEngine {
  readonly #core: Core
  readonly #execs: Execs
  readonly #lifecycle: Lifecycle
  #pruning = false

  constructor(options: CoreOptions) {
    this.#core = new Core(options)
    this.#execs = new Execs(this.#core)
    this.#lifecycle = new Lifecycle(this.#core, this.#execs, new HealthMonitors(this.#core, this.#execs))
  }

  /** Reads the records, adopts what runs, sweeps what nobody names, starts what should run. See `Boot`. */
  async boot(settled: Settled = async () => {}): Promise<void> {
    await new Boot(this.#core, this.#lifecycle, this.#execs).run(settled)
  }

  /**
   * Ends the daemon's part. With live restore containers run on; else they are stopped, as Docker does, which takes
   * `timeoutSeconds` at most, or somewhat longer than the most patient container; negative for as long as it takes.
   */
  async shutdown(options: { liveRestore: boolean; timeoutSeconds?: number }): Promise<void> {
    this.#core.shuttingDown = true
    if (!options.liveRestore) await stopForShutdown(this.#core, options.timeoutSeconds ?? 15)
    await this.#core.tasks[Symbol.asyncDispose]()
  }

  /** Resolves when no exit, restart or monitor is being handled. For tests. */
  async idle(): Promise<void> {
    await this.#core.tasks.idle()
  }

  /** A client came that may be about to start something. */
  prewarm(): void {
    this.#core.ports.runtime.prewarm()
  }

  async create(
    request: ContainerCreateRequest,
    options: { name: string; platform: string },
    signal: AbortSignal,
  ): Promise<{ id: ContainerId; warnings: string[] }> {
    const { container, warnings } = await createContainer(this.#core, request, options, signal)
    return { id: container.id, warnings }
  }

  async start(reference: string, options: { detachKeys: string }): Promise<void> {
    parseDetachKeys(options.detachKeys)
    await this.#lifecycle.start(this.#find(reference))
  }

  async stop(reference: string, options: StopOptions): Promise<void> {
    const container = this.#find(reference)
    if (!container.state.running) throw new EngineError('notModified', 'Container is already stopped')
    await prefixed(`cannot stop container: ${reference}`, () => stopContainer(this.#core, container, options))
  }

  async restart(reference: string, options: StopOptions): Promise<void> {
    const container = this.#find(reference)
    await prefixed(`Cannot restart container ${reference}`, () => this.#lifecycle.restart(container, options))
  }

  async kill(reference: string, signal: string): Promise<void> {
    await prefixed(`cannot kill container: ${reference}`, async () => {
      const number = signal === '' ? killSignal : parseSignal(signal)
      const container = this.#find(reference)
      if (number === killSignal) await killAndWait(this.#core, container)
      else await sendSignal(this.#core, container, number)
    })
  }

  async pause(reference: string): Promise<void> {
    await freeze(this.#core, this.#find(reference))
  }

  async unpause(reference: string): Promise<void> {
    await thaw(this.#core, this.#find(reference))
  }

  async rename(reference: string, name: string): Promise<void> {
    await renameContainer(this.#core, this.#find(reference), name)
  }

  async update(reference: string, update: UpdateConfig): Promise<{ warnings: string[] }> {
    return updateContainer(this.#core, this.#find(reference), update)
  }

  async remove(
    reference: string,
    options: { force: boolean; volumes: boolean; link: boolean },
  ): Promise<void> {
    const container = this.#find(reference)
    if (options.link) removeLink(this.#core, reference)
    else await removeContainer(this.#core, this.#execs, container, { ...options, reference })
  }

  async prune(filters: Filters): Promise<{ deleted: string[]; reclaimedBytes: number }> {
    if (this.#pruning) throw new EngineError('conflict', 'a prune operation is already running')
    this.#pruning = true
    try {
      return await pruneContainers(this.#core, this.#execs, filters)
    } finally {
      this.#pruning = false
    }
  }

  // Async so that a container that is not there rejects like every other failure.
  // oxlint-disable-next-line typescript/require-await -- see above
  async wait(
    reference: string,
    condition: WaitCondition,
    signal: AbortSignal,
  ): Promise<{ result: Promise<WaitResult> }> {
    const container = this.#find(reference)
    const { state } = container
    const isMet = condition === 'not-running' && !state.running
    const result = isMet
      ? Promise.resolve({ exitCode: state.exitCode, error: state.error })
      : container.waiters.add(condition, signal)
    // A client that goes before it listens must not bring the daemon down.
    result.catch(() => {})
    return { result }
  }

  async inspect(reference: string, options: { size: boolean }): Promise<ContainerInspect> {
    return inspectContainer(this.#core, this.#execs, this.#find(reference), options)
  }

  async list(options: ListOptions): Promise<ContainerSummary[]> {
    return listContainers(this.#core, options)
  }

  async top(reference: string, psArgs: string): Promise<ContainerTop> {
    return topOf(this.#core, this.#find(reference), psArgs)
  }

  async changes(reference: string): Promise<FilesystemChange[]> {
    return this.#core.ports.rootfs.changes(this.#find(reference).id)
  }

  async attach(reference: string, request: AttachRequest): Promise<AttachedStream> {
    return attachTo(this.#core, this.#find(reference), reference, request)
  }

  async resize(reference: string, rows: number, columns: number): Promise<void> {
    const container = this.#find(reference)
    if (container.task === undefined) throw notRunning(container)
    // Without a terminal there is nothing to resize, which Docker takes for done.
    if (container.record.config.Tty) await container.task.resize(rows, columns)
    this.#core.emit(container, 'resize', { height: String(rows), width: String(columns) })
  }

  // oxlint-disable-next-line typescript/require-await -- rejects like every other operation
  async execCreate(reference: string, config: ExecConfig): Promise<ExecId> {
    return this.#execs.create(this.#find(reference), config, reference).id
  }

  execCheck(id: string): void {
    this.#execs.requireStartable(this.#execs.get(id))
  }

  async execStart(
    id: string,
    options: ExecStartOptions,
    signal: AbortSignal,
  ): Promise<AttachedStream | undefined> {
    return this.#execs.start(this.#execs.get(id), options, signal)
  }

  execInspect(id: string): ExecInspect {
    return this.#execs.inspect(this.#execs.get(id))
  }

  async execResize(id: string, rows: number, columns: number): Promise<void> {
    await this.#execs.resize(this.#execs.get(id), rows, columns)
  }

  async connectNetwork(reference: string, network: string, settings: EndpointSettings): Promise<void> {
    await connectNetwork(this.#core, this.#find(reference), network, settings)
  }

  async disconnectNetwork(reference: string, network: string, force: boolean): Promise<void> {
    await disconnectNetwork(this.#core, this.#find(reference), network, force)
  }

  // oxlint-disable-next-line typescript/require-await -- rejects like every other operation
  async stats(
    reference: string,
    options: { stream: boolean; oneShot: boolean },
    signal: AbortSignal,
  ): Promise<AsyncIterable<ContainerStats>> {
    return readStats(this.#core, this.#find(reference), options, signal)
  }

  paths(reference: string): ContainerPaths {
    const container = this.#find(reference)
    const { record } = container
    return {
      id: container.id,
      name: record.name,
      directory: this.#core.directoryOf(container.id),
      log: this.#core.logRequest(container),
      tty: record.config.Tty,
      running: record.state.running,
    }
  }

  async withRootfs<T>(reference: string, use: (root: ContainerRoot) => Promise<T>): Promise<T> {
    return withRootfs(this.#core, this.#find(reference), use)
  }

  logEvent(reference: string, action: string, attributes: Record<string, string> = {}): void {
    this.#core.emit(this.#find(reference), action, attributes)
  }

  /** Whether there is a container of this id, or one is being made. */
  isKnown(id: string): boolean {
    return this.#core.registry.isKnown(id)
  }

  /** What is wrong with containers, their files, tasks and mounts. `roots`: below which mounts are the engine's. */
  check(roots: readonly string[]): AsyncGenerator<StoreProblem> {
    return checkContainers(this.#core, roots)
  }

  usersOfImage(imageId: string): { id: ContainerId; name: string; running: boolean }[] {
    return this.#core.registry
      .all()
      .filter(({ record }) => record.imageId === imageId)
      .map(({ id, record }) => ({ id, name: record.name, running: record.state.running }))
  }

  counts(): { total: number; running: number; paused: number; stopped: number } {
    const states = this.#core.registry.all().map(({ state }) => state)
    const paused = states.filter((state) => state.running && state.paused).length
    const running = states.filter((state) => state.running).length - paused
    return { total: states.length, running, paused, stopped: states.length - running - paused }
  }

  #find(reference: string): Container {
    return this.#core.registry.get(reference)
  }
}

/** Puts Docker's words before a failure's, of the same kind. */
async function prefixed(prefix: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    const kind = error instanceof EngineError ? error.kind : 'internal'
    if (kind === 'notModified') throw error
    throw new EngineError(kind, `${prefix}: ${errorMessage(error)}`, { cause: error })
  }
}
