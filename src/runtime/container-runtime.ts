/**
 * Runs containers. A container is a *task*: an OCI runtime (crun) starts its process, a keeper (`native/`) holds its
 * stdio, log and exit status in a directory under /run that outlives this daemon. Here tasks are created in two steps
 * (the keeper listens, then the process runs), taken over after a restart, and forgotten. What the kernel and the
 * keepers know is asked of them; nothing about a running task is kept only in memory.
 */
import { writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { HostConfig } from '../spec/container-config.ts'
import { EngineError, errorCode } from '../spec/errors.ts'
import type { ContainerId } from '../spec/ids.ts'
import type { OciSpec } from '../spec/oci-runtime-types.ts'
import type { ContainerTaskStart, ExecTaskStart, TaskExit } from '../spec/task-types.ts'
import type { Log } from '../lib/log.ts'
import type { TaskGroup } from '../lib/task-group.ts'
import type { Cgroups } from '../kernel/cgroups.ts'
import type { Sweep } from '../kernel/sweeper.ts'
import { becomeSubreaper, exitCodeOf, isAlive, processStartTime, spawnProcess } from '../kernel/process.ts'
import type { OwnedFd } from '../kernel/scoped-path.ts'
import { OomWatcher } from '../kernel/oom-watch.ts'
import { StrayReaper } from '../kernel/stray-reaper.ts'
import { startExec } from './exec-start.ts'
import { buildOciSpec, containerIds, containerRlimits, serializeOci, type OciSettings } from './oci-spec.ts'
import { hostPreparation } from './rlimits.ts'
import { PendingContainerTask, RunningContainerTask, StartPlaces } from './shim-container-task.ts'
import { readBundle, TaskDirectories, writeBundle, type Bundle } from './shim-bundle.ts'
import { attributesFile, ShimLauncher, type ShimSettings } from './shim-launch.ts'
import { watchShim } from './shim-requests.ts'
import {
  detachedOptions,
  runtimeCommand,
  RuntimeTable,
  type OciRuntimeProgram,
  type RuntimeEntries,
} from './shim-runtimes.ts'
import { recordedEnd, recordedStart, ShimTask, taskExit } from './shim-task.ts'
import type { ShimStarted, ShimWatch } from './shim-watch.ts'
import { CgroupWarmer } from './shim-warmer.ts'
import { commonOwner } from './user-namespaces.ts'

/** How long removing waits for a start that is under way. */
const startPatienceMs = 10_000

/** What a runtime needs of its daemon. */
export type OciContainerRuntimeOptions = {
  /** Directory for tasks and runtime state; does not outlive a reboot (`/run/wharf`). */
  runRoot: string
  /** The keeper's executable (`build/wharf-shim`). */
  shimProgram: string
  /** Further options for every keeper, its limits among them (see native/main.c). */
  shimLimits?: readonly string[]
  /** Docker's `runtimes`, and `default-runtime`. */
  runtimes: RuntimeEntries
  defaultRuntime: string
  /** What is put in front of crun's libraries (`build/no-systemd.so`). */
  crunPreload?: string
  cgroups: Cgroups
  /** What `buildOciSpec` is given, but for the choice of runtime. */
  oci: Omit<OciSettings, 'runtimeTakesBpf'>
  /** Checks and completes a host configuration; Docker's warnings. */
  validate(hostConfig: HostConfig): string[]
  /** Removes what an ended task leaves. */
  sweep: Sweep
  /** Work that nobody waits for. */
  background: TaskGroup
  log: Log
}

/** Implements `ContainerRuntime` of the engine. Disposing it lets all tasks go on unwatched. */
export class OciContainerRuntime implements AsyncDisposable {
  readonly #options: OciContainerRuntimeOptions
  readonly #directories: TaskDirectories
  readonly #runtimes: RuntimeTable
  readonly #launcher: ShimLauncher
  readonly #warmer: CgroupWarmer
  readonly #oomWatcher: OomWatcher
  readonly #strays = new StrayReaper()
  readonly #tasks = new Set<ShimTask>()
  /** Those seen to their end and not removed yet. */
  readonly #ended = new Map<ContainerId, Bundle>()
  // More at once only makes each slower.
  readonly #starts = new StartPlaces(2 * availableParallelism())

  constructor(options: OciContainerRuntimeOptions) {
    this.#options = options
    this.#directories = new TaskDirectories(options.runRoot)
    this.#runtimes = new RuntimeTable(options.runtimes, options.defaultRuntime, options.crunPreload)
    this.#launcher = new ShimLauncher(options.shimProgram)
    this.#warmer = new CgroupWarmer(options.shimProgram, options.cgroups.layout, options.log)
    this.#oomWatcher = new OomWatcher(options.cgroups)
    becomeSubreaper()
  }

  /** See `ContainerRuntime.validate`. */
  validate(hostConfig: HostConfig): string[] {
    return this.#options.validate(hostConfig)
  }

  /** What containers may choose from now on; those that run keep what they have. */
  setRuntimes(runtimes: RuntimeEntries, defaultName: string): void {
    this.#runtimes.replace(runtimes, defaultName)
  }

  /** See `ContainerRuntime.prewarm`. */
  prewarm(): void {
    this.#warmer.warm()
  }

  /** See `ContainerRuntime.create`. */
  async create(start: ContainerTaskStart, signal: AbortSignal): Promise<PendingContainerTask> {
    signal.throwIfAborted()
    this.prewarm()
    const program = this.#runtimes.get(start.hostConfig.Runtime)
    await using undo = new AsyncDisposableStack()
    const directory = await this.#makeDirectory(start.id)
    undo.defer(() => this.remove(start.id))
    writeAttributes(directory, start)
    // The keeper starts while the configuration is made; a failure of the latter is found below.
    const users = undo.use(this.#userNamespace(start))
    const bundling = this.#bundle(start, { directory, program, users })
    undo.defer(() => bundling.then(ignore, ignore))
    bundling.catch(ignore)
    const watch = undo.use(await this.#launcher.launch(this.#settings(start, directory, program)))
    const spec = await bundling
    signal.throwIfAborted()
    undo.move()
    return new PendingContainerTask({
      directory,
      watch,
      command: start.args[0] ?? '',
      places: this.#starts,
      run: (started) => this.#running(start.id, { spec, runtime: program.name }, started, watch),
      remove: () => this.remove(start.id),
      userNamespace: users,
    })
  }

  /** See `ContainerRuntime.adopt`. */
  async adopt(id: ContainerId): Promise<RunningContainerTask | TaskExit | undefined> {
    const directory = this.#directories.of(id)
    const bundle = await readBundle(directory)
    if (bundle === undefined) return undefined
    const watch = await watchShim(directory)
    // The keeper may be in the middle of the start.
    const started = (await watch?.started.catch(() => undefined)) ?? (await recordedStart(directory))
    if (started !== undefined && (watch !== undefined || isAlive(started))) {
      return this.#running(id, bundle, started, watch)
    }
    watch?.[Symbol.dispose]()
    const end = await recordedEnd(directory)
    if (end !== undefined) return taskExit(end, await this.#oomKilled(bundle.spec))
    if (started === undefined) return undefined
    // Keeper and process ended unseen.
    return new ShimTask({
      directory,
      started,
      watch: undefined,
      oomKilled: () => this.#oomKilled(bundle.spec),
    }).exited
  }

  /** See `ContainerRuntime.adoptExecs`. */
  async adoptExecs(id: ContainerId): Promise<Map<string, ShimTask>> {
    const tasks = new Map<string, ShimTask>()
    for (const exec of await this.#directories.listExecs(id)) {
      const directory = this.#directories.ofExec(id, exec)
      const watch = await watchShim(directory)
      const started = (await watch?.started.catch(() => undefined)) ?? (await recordedStart(directory))
      if (started !== undefined && (watch !== undefined || isAlive(started))) {
        const task = new ShimTask({ directory, started, watch, oomKilled: () => Promise.resolve(false) })
        tasks.set(exec, this.#keepExec(task))
      } else {
        watch?.[Symbol.dispose]()
        await rm(directory, { recursive: true, force: true })
      }
    }
    return tasks
  }

  /** See `ContainerRuntime.remove`. */
  async remove(id: ContainerId): Promise<void> {
    const directory = this.#directories.of(id)
    const ended = this.#ended.get(id)
    this.#ended.delete(id)
    if (ended !== undefined && (await this.#sweep(id, ended))) return
    const bundle = await readBundle(directory)
    if (bundle !== undefined) {
      await settled(directory)
      await this.#removeState(id, bundle)
    }
    // The keeper may be writing the last of its records.
    await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 10 })
  }

  /** See `ContainerRuntime.list`. */
  async list(): Promise<ContainerId[]> {
    return this.#directories.list()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const task of this.#tasks) task[Symbol.dispose]()
    this.#tasks.clear()
    this.#oomWatcher[Symbol.dispose]()
    this.#strays[Symbol.dispose]()
    this.#warmer[Symbol.dispose]()
    this.#runtimes[Symbol.dispose]()
    this.#launcher[Symbol.dispose]()
    return Promise.resolve()
  }

  /** The user namespace that its network belongs to, for a container with ids of its own. */
  #userNamespace({ hostConfig, namespaces }: ContainerTaskStart): OwnedFd | undefined {
    return containerIds(hostConfig, this.#options.oci) && commonOwner(namespaces)
  }

  async #bundle(
    start: ContainerTaskStart,
    {
      directory,
      program,
      users,
    }: { directory: string; program: OciRuntimeProgram; users: OwnedFd | undefined },
  ): Promise<OciSpec> {
    const settings = { ...this.#options.oci, runtimeTakesBpf: program.isCrun }
    const spec = await buildOciSpec(start, settings, users && `/proc/${process.pid}/fd/${users.fd}`)
    writeBundle(directory, serializeOci(spec), program.name)
    return spec
  }

  /** A directory of the container's last run, which nobody removed, goes first. */
  async #makeDirectory(id: ContainerId): Promise<string> {
    try {
      return this.#directories.make(id)
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error
      await this.remove(id)
      return this.#directories.make(id)
    }
  }

  #settings(start: ContainerTaskStart, directory: string, program: OciRuntimeProgram): ShimSettings {
    const { config, hostConfig } = start
    const { oci } = this.#options
    const isRemapped = containerIds(hostConfig, oci) !== undefined
    const descriptor = program.descriptor()
    return {
      directory,
      tty: config.Tty,
      openStdin: config.OpenStdin,
      stdinOnce: config.StdinOnce,
      ...(start.consoleSize !== undefined && { consoleSize: start.consoleSize }),
      ...(start.log !== undefined && { log: start.log }),
      holdMs: 0,
      limits: this.#options.shimLimits ?? [],
      environment: program.environment(),
      ...(isRemapped && {
        preparation: hostPreparation(hostConfig.OomScoreAdj, containerRlimits(hostConfig, oci)),
      }),
      runtime: [
        ...runtimeCommand(program, this.#directories.stateOf(program.name)),
        'run',
        // crun makes devices for a user namespace in another mount namespace, and is at its root afterwards.
        ...detachedOptions(config.Tty, isRemapped ? directory : ''),
        '--bundle',
        '.',
        start.id,
      ],
      ...(descriptor !== undefined && { runtimeDescriptor: descriptor }),
    }
  }

  #running(id: ContainerId, bundle: Bundle, started: ShimStarted, watch?: ShimWatch): RunningContainerTask {
    const { cgroups } = this.#options
    const task = new RunningContainerTask(
      { directory: this.#directories.of(id), started, watch },
      {
        cgroups,
        cgroupPath: bundle.spec.linux.cgroupsPath,
        oomWatcher: this.#oomWatcher,
        exec: (start, signal) => this.#exec(start, bundle, signal),
      },
    )
    this.#keep(task)
    void task.exited.then(() => this.#ended.set(id, bundle))
    return task
  }

  async #exec(start: ExecTaskStart, bundle: Bundle, signal: AbortSignal): Promise<ShimTask> {
    this.prewarm()
    const program = this.#runtimes.ofContainer(bundle.runtime)
    using _place = await this.#starts.acquire()
    const task = await startExec(
      start,
      {
        directory: this.#directories.ofExec(start.containerId, start.id),
        spec: bundle.spec,
        program,
        state: this.#directories.stateOf(program.name),
        launcher: this.#launcher,
        limits: this.#options.shimLimits ?? [],
        availableCapabilities: this.#options.oci.facts.capabilities,
      },
      signal,
    )
    return this.#keepExec(task)
  }

  #keep(task: ShimTask): void {
    this.#tasks.add(task)
    void task.exited.then(() => this.#tasks.delete(task))
  }

  /** Its directory goes with it: nobody asks for an exec after its end. */
  #keepExec(task: ShimTask): ShimTask {
    this.#keep(task)
    void task.exited.then(() =>
      this.#options.background.run('remove exec directory', () => this.#removeExec(task.directory)),
    )
    return task
  }

  async #removeExec(path: string): Promise<void> {
    if (await this.#options.sweep([{ kind: 'tree', path }])) return
    await rm(path, { recursive: true, force: true })
  }

  async #oomKilled(spec: OciSpec): Promise<boolean> {
    return (await this.#options.cgroups.oomKills(spec.linux.cgroupsPath)) > 0
  }

  /** What is left of a task that has ended. False when more is left than that. */
  async #sweep(id: ContainerId, { spec, runtime }: Bundle): Promise<boolean> {
    if (this.#findRuntime(runtime)?.isCrun !== true) return false
    return this.#options.sweep([
      ...this.#options.cgroups
        .directories(spec.linux.cgroupsPath)
        .map((path) => ({ kind: 'directory', path }) as const),
      { kind: 'tree', path: join(this.#directories.stateOf(runtime), id) },
      { kind: 'tree', path: this.#directories.of(id) },
    ])
  }

  async #removeState(id: ContainerId, { spec, runtime }: Bundle): Promise<void> {
    const { cgroups } = this.#options
    const path = spec.linux.cgroupsPath
    await cgroups.kill(path)
    const program = this.#findRuntime(runtime)
    if (program !== undefined && !program.isCrun) await this.#runDelete(id, program)
    // crun keeps nothing but its directory and the cgroup, and starting it only to remove them takes longer.
    await cgroups.remove(path)
    await rm(join(this.#directories.stateOf(runtime), id), { recursive: true, force: true })
  }

  /** A runtime that was taken out of the configuration cannot be asked any more. */
  #findRuntime(name: string): OciRuntimeProgram | undefined {
    try {
      return this.#runtimes.ofContainer(name)
    } catch (error) {
      if (error instanceof EngineError) return undefined
      throw error
    }
  }

  async #runDelete(id: ContainerId, program: OciRuntimeProgram): Promise<void> {
    const { nothing } = this.#launcher
    const state = this.#directories.stateOf(program.name)
    const pid = spawnProcess({
      file: program.file,
      args: [program.file, ...program.args, '--root', state, 'delete', '--force', id],
      env: [],
      descriptors: [nothing, nothing, nothing],
    })
    const code = await exitCodeOf({ pid, startTime: processStartTime(pid) ?? 0n })
    if (code !== 0)
      this.#options.log.warn('runtime could not delete its state', { id, runtime: program.name, code })
  }
}

/** A start that a dead daemon began may be under way: it must have become a process before that can be ended. */
async function settled(directory: string): Promise<void> {
  using watch = await watchShim(directory)
  if (watch === undefined) return
  const patience = new AbortController()
  const late = delay(startPatienceMs, undefined, { signal: patience.signal }).catch(ignore)
  await Promise.race([watch.started.then(ignore, ignore), late])
  patience.abort()
}

function ignore(): void {}

function writeAttributes(directory: string, { log }: ContainerTaskStart): void {
  if (log?.attributes === undefined) return
  writeFileSync(join(directory, attributesFile), JSON.stringify(log.attributes), { mode: 0o600 })
}
