/**
 * Further processes in running containers. An exec is made, started once, and can be inspected for a while after it
 * has ended. Execs are not in the database: a reboot ends them. A small file beside the container's lets the next
 * daemon know those that still run.
 */
import { rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { abortable } from '../lib/mutex.ts'
import { ExecConfig } from '../spec/container-config.ts'
import type { ExecInspect } from '../spec/container-types.ts'
import { EngineError, errorCode, errorMessage } from '../spec/errors.ts'
import { execId, type ExecId } from '../spec/ids.ts'
import type { ExecTaskStart } from '../spec/task-types.ts'
import { AttachStream } from './attach-stream.ts'
import type { Container } from './container.ts'
import type { AttachedStream, ExecStartOptions } from './contract.ts'
import type { Core } from './core.ts'
import { DetachFilter, parseDetachKeys } from './detach-keys.ts'
import type { ClientConnection, Task } from './ports.ts'
import { failureExitCode } from './start-failure.ts'
import { requireActive } from './stop.ts'

/** Ended execs can be inspected for this long. */
const keptAfterExitMs = 5 * 60_000
const startPatienceMs = 10_000

/** One exec. */
export type Exec = {
  id: ExecId
  container: Container
  config: ExecConfig
  status: 'created' | 'starting' | 'running' | 'ended'
  exitCode: number | null
  pid: number
  task: Task | undefined
  endedAtMs: number
  /** Resolves when the process runs, or never will. */
  started: Promise<void>
  markStarted: () => void
  /** Resolves when the process has ended or could not be started. */
  ended: Promise<void>
  markEnded: () => void
}

/** See the file's head. */
export class Execs {
  readonly #core: Core
  readonly #byId = new Map<string, Exec>()

  constructor(core: Core) {
    this.#core = core
  }

  /** Registers an exec. Throws when the container does not run or is paused. */
  create(container: Container, config: ExecConfig, reference: string = container.id): Exec {
    const { DetachKeys } = config
    if ((config.Cmd ?? []).length === 0) throw new EngineError('invalid', 'No exec command specified')
    parseDetachKeys(DetachKeys, `Invalid escape keys (${DetachKeys}) provided`)
    requireActive(container, 'is paused, unpause the container before exec', reference)
    this.#forgetOld()
    const exec = newExec(execId(this.#core.ids.hex64()), container, config)
    this.#add(exec)
    this.#core.ports.runtime.prewarm()
    this.#core.emit(container, `exec_create: ${commandLine(config)}`, { execID: exec.id })
    return exec
  }

  /** By full id. Throws notFound. */
  get(id: string): Exec {
    const exec = this.#byId.get(id)
    if (exec === undefined) throw new EngineError('notFound', `No such exec instance: ${id}`)
    return exec
  }

  /** Throws conflict unless the exec can be started now, notFound when its container has gone. */
  requireStartable({ container, id, status }: Exec): void {
    if (this.#core.registry.byId(container.id) === undefined) {
      throw new EngineError('notFound', `No such exec instance: ${id}`)
    }
    if (status !== 'created') {
      const text = status === 'ended' ? 'has already run' : 'is already running'
      throw new EngineError('conflict', `Error: Exec command ${id} ${text}`)
    }
    requireActive(container, 'is paused, unpause the container before exec')
  }

  /** Runs it; resolves when the process runs. The stream is undefined with `detach`. */
  async start(
    exec: Exec,
    options: ExecStartOptions,
    signal: AbortSignal,
  ): Promise<AttachedStream | undefined> {
    const { container, config, id } = exec
    this.requireStartable(exec)
    exec.status = 'starting'
    const stream = options.detach ? undefined : this.#stream(exec, options.client)
    this.#core.emit(container, `exec_start: ${commandLine(config)}`, { execID: id })
    try {
      await this.#run(exec, options.consoleSize ?? config.ConsoleSize, stream, signal)
    } catch (error) {
      this.#fail(exec, error)
      stream?.destroy()
      throw error
    }
    return stream === undefined ? undefined : { stream, tty: config.Tty }
  }

  async #run(
    exec: Exec,
    size: [number, number] | null,
    stream: AttachStream | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const running = exec.container.task
    if (running === undefined)
      throw new EngineError('conflict', `container ${exec.container.id} is not running`)
    await this.#core.faults.reach('exec:begin')
    this.#remember(exec)
    const task = await running.exec(execTaskStart(exec, size, stream), signal)
    await this.#core.faults.reach('exec:after-run')
    exec.pid = task.pid
    exec.status = 'running'
    exec.task = task
    exec.markStarted()
    this.#watch(exec, task)
    await stream?.join(task)
  }

  /** The first ids are of execs that have not ended. */
  idsOf(container: Container): string[] | null {
    const ids = [...container.execs.values()].filter(({ status }) => status !== 'ended').map(({ id }) => id)
    return ids.length === 0 ? null : ids
  }

  /** Execs that ran on while the daemon was away. */
  async adopt(container: Container): Promise<void> {
    for (const [id, task] of await this.#core.ports.runtime.adoptExecs(container.id)) {
      const exec = newExec(execId(id), container, await this.#recall(container, id))
      exec.status = 'running'
      exec.pid = task.pid
      exec.task = task
      this.#add(exec)
      this.#watch(exec, task)
    }
  }

  /** A run has ended: what was made for it and not started can never be. */
  forgetUnstarted(container: Container): void {
    for (const exec of container.execs.values()) {
      if (exec.status !== 'created') continue
      exec.markStarted()
      container.execs.delete(exec.id)
      this.#byId.delete(exec.id)
    }
  }

  /** The container is gone: so are its execs. */
  forget(container: Container): void {
    for (const exec of container.execs.values()) {
      exec.markStarted()
      exec.markEnded()
      this.#byId.delete(exec.id)
    }
    container.execs.clear()
  }

  /** Changes the terminal's size; waits for an exec that is about to start, as clients ask at once. */
  async resize(exec: Exec, rows: number, columns: number): Promise<void> {
    const cancel = new AbortController()
    const enough = this.#core.timer.sleep(startPatienceMs, cancel.signal).catch(() => {})
    await Promise.race([exec.started, enough])
    cancel.abort()
    if (exec.task === undefined) {
      throw new EngineError('conflict', `exec ${exec.id} is not running`)
    }
    if (exec.config.Tty) await exec.task.resize(rows, columns)
  }

  inspect(exec: Exec): ExecInspect {
    const { config, container } = exec
    const [entrypoint = '', ...args] = config.Cmd ?? []
    return {
      ID: exec.id,
      Running: exec.status === 'running',
      ExitCode: exec.exitCode,
      ProcessConfig: {
        tty: config.Tty,
        entrypoint,
        arguments: args,
        privileged: config.Privileged,
        ...(config.User === '' ? {} : { user: config.User }),
      },
      OpenStdin: config.AttachStdin,
      OpenStderr: config.AttachStderr,
      OpenStdout: config.AttachStdout,
      CanRemove: exec.status === 'ended',
      ContainerID: container.id,
      DetachKeys: detachKeyBytes(config.DetachKeys),
      Pid: exec.pid,
    }
  }

  #add(exec: Exec): void {
    this.#byId.set(exec.id, exec)
    exec.container.execs.set(exec.id, exec)
  }

  #stream(exec: Exec, client: ClientConnection | undefined): AttachStream {
    const { config, container } = exec
    const tty = config.Tty
    const filter =
      tty && config.AttachStdin ? new DetachFilter(parseDetachKeys(config.DetachKeys)) : undefined
    const options = {
      stdin: config.AttachStdin,
      stdout: config.AttachStdout,
      stderr: config.AttachStderr,
    }
    const onDetach = () => this.#core.emit(container, 'exec_detach', { execID: exec.id })
    return new AttachStream({ options, tty, filter, onDetach, client })
  }

  #watch(exec: Exec, task: Task): void {
    this.#core.tasks.run('exec exit', async (signal) => {
      const exit = await abortable(task.exited, signal)
      this.#end(exec, exit.exitCode)
      this.#forgetFile(exec)
    })
  }

  #end(exec: Exec, exitCode: number): void {
    if (exec.status === 'ended') return
    exec.status = 'ended'
    exec.exitCode = exitCode
    exec.endedAtMs = this.#core.clock.nowMs()
    exec.task = undefined
    exec.container.execs.delete(exec.id)
    exec.markStarted()
    exec.markEnded()
    this.#core.emit(exec.container, 'exec_die', { execID: exec.id, exitCode: String(exitCode) })
  }

  #fail(exec: Exec, error: unknown): void {
    this.#end(exec, failureExitCode(errorMessage(error), 126))
    this.#forgetFile(exec)
  }

  #forgetOld(): void {
    const now = this.#core.clock.nowMs()
    for (const [id, exec] of this.#byId) {
      if (exec.status === 'ended' && now - exec.endedAtMs > keptAfterExitMs) this.#byId.delete(id)
    }
  }

  #file(container: Container, id: string): string {
    return `${this.#core.directoryOf(container.id)}/exec-${id}.json`
  }

  /** Synchronous, as all of an exec's start that is short: see `TaskDirectories`. */
  #remember(exec: Exec): void {
    try {
      writeFileSync(this.#file(exec.container, exec.id), JSON.stringify(exec.config), { mode: 0o600 })
    } catch (error) {
      this.#core.log.warn('exec not recorded', { id: exec.id, error: errorMessage(error) })
    }
  }

  #forgetFile(exec: Exec): void {
    try {
      rmSync(this.#file(exec.container, exec.id), { force: true })
    } catch (error) {
      this.#core.log.warn('exec record stays', { id: exec.id, error: errorMessage(error) })
    }
  }

  async #recall(container: Container, id: string): Promise<ExecConfig> {
    try {
      const json = z.unknown().parse(JSON.parse(await readFile(this.#file(container, id), 'utf8')))
      return ExecConfig.parse(json)
    } catch (error) {
      // The file is a convenience: the exec itself is what matters.
      if (errorCode(error) !== 'ENOENT') {
        this.#core.log.warn('exec record unreadable', { id, error: errorMessage(error) })
      }
      return ExecConfig.parse({})
    }
  }
}

function newExec(id: ExecId, container: Container, config: ExecConfig): Exec {
  const { promise: started, resolve: markStarted } = Promise.withResolvers<void>()
  const { promise: ended, resolve: markEnded } = Promise.withResolvers<void>()
  return {
    id,
    container,
    config,
    status: 'created',
    exitCode: null,
    pid: 0,
    task: undefined,
    endedAtMs: 0,
    started,
    markStarted,
    ended,
    markEnded,
  }
}

function execTaskStart(
  { id, container, config }: Exec,
  size: [number, number] | null,
  stream: AttachStream | undefined,
): ExecTaskStart {
  const [rows = 0, columns = 0] = size ?? []
  return {
    id,
    containerId: container.id,
    args: config.Cmd ?? [],
    env: config.Env ?? [],
    tty: config.Tty,
    openStdin: config.AttachStdin,
    privileged: config.Privileged,
    user: config.User,
    workingDir: config.WorkingDir,
    ...(config.Tty && rows > 0 && columns > 0 ? { consoleSize: { rows, columns } } : {}),
    attached: stream !== undefined,
  }
}

/** As events have it: a command without arguments is followed by a space, too. */
function commandLine(config: ExecConfig): string {
  const [command = '', ...args] = config.Cmd ?? []
  return `${command} ${args.join(' ')}`
}

/** The API shows the bytes, and nothing for the default. */
function detachKeyBytes(keys: string): string {
  return keys === '' ? '' : String.fromCharCode(...parseDetachKeys(keys))
}
