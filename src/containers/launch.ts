/**
 * A container's start: root file system, mounts and network side by side, then the task. Clients that attached before
 * are connected while the process has not run yet, so they miss no byte. Whatever fails, everything is undone.
 * The caller holds the container's lock.
 */
import { EngineError, errorMessage } from '../spec/errors.ts'
import type { SandboxState } from '../spec/sandbox-types.ts'
import type { ContainerTaskStart, NamespaceSource, ResolvedMount } from '../spec/task-types.ts'
import type { Container } from './container.ts'
import { settleAll, type Core } from './core.ts'
import { initialHealth } from './health-state.ts'
import { linkEnvironment, withLinkEnvironment } from './links.ts'
import { joinedContainer } from './modes.ts'
import type { ContainerTask, PendingTask } from './ports.ts'
import { sandboxRequest } from './sandbox-request.ts'

/** Starts and records a container; returns its task. */
export async function launch(
  core: Core,
  container: Container,
  options: { manual: boolean },
): Promise<ContainerTask> {
  using _place = await core.startPlaces.acquire()
  await using undo = new AsyncDisposableStack()
  const { id } = container
  undo.defer(() => core.cleanUp('forget task', id, () => core.ports.runtime.remove(id)))
  const signal = new AbortController().signal
  const joined = joinNamespaces(core, container)
  await core.faults.reach('start:begin')
  const [{ rootfs, mounts }, sandbox, shmPath] = await settleAll([
    mountAll(core, container, undo),
    makeNetwork(core, container, undo),
    makeShm(core, container, undo),
  ])
  await core.faults.reach('start:after-network')
  const start = taskStart(core, container, { rootfs, mounts, sandbox, shmPath, joined })
  const pending = await core.ports.runtime.create(start, signal)
  undo.defer(() => core.cleanUp('abandon task', id, () => pending.abandon()))
  await core.faults.reach('start:after-create')
  await bindAttaches(container, pending)
  const renewed = options.manual ? { manuallyStopped: false, restartCount: 0 } : {}
  core.registry.saveState(
    container,
    { starting: true },
    { sandbox, rootfs, activeMounts: mounts, startedBefore: true, ...renewed },
  )
  undo.defer(() => forgetStart(core, container))
  await core.faults.reach('start:before-run')
  const task = await pending.start()
  undo.move()
  await core.faults.reach('start:after-run')
  recordRunning(core, container, task)
  await bindAttaches(container, task)
  return task
}

/** Shows the container as running; also for a task that is taken over after a daemon restart. */
export function recordRunning(core: Core, container: Container, task: ContainerTask): void {
  container.task = task
  container.stopRequested = false
  core.recordFact(container, {
    running: true,
    paused: false,
    restarting: false,
    starting: false,
    oomKilled: false,
    pid: task.pid,
    exitCode: 0,
    error: '',
    startedAt: task.startedAt,
    health: initialHealth(container.record.config, container.state.health),
  })
}

function forgetStart(core: Core, container: Container): void {
  core.recordFact(
    container,
    { starting: false },
    { sandbox: null, rootfs: '', activeMounts: [], startedBefore: true },
  )
}

/** Connects every waiting client; more may come while one is being connected. */
async function bindAttaches(
  container: Container,
  task: Pick<PendingTask, 'attach' | 'serve'>,
): Promise<void> {
  while (container.pendingAttaches.size > 0) {
    const streams = [...container.pendingAttaches]
    container.pendingAttaches.clear()
    await settleAll(
      streams.map(async (stream) => {
        if (stream.destroyed) return
        await stream.join(task)
      }),
    )
  }
}

async function mountAll(
  core: Core,
  container: Container,
  undo: AsyncDisposableStack,
): Promise<{ rootfs: string; mounts: ResolvedMount[] }> {
  const { id, record } = container
  const rootfs = await core.ports.rootfs.mount(id, { volatile: record.hostConfig.AutoRemove })
  undo.defer(() => core.cleanUp('unmount', id, () => core.ports.rootfs.unmount(id)))
  const mounts = await core.ports.mounts.activate(id, record.mounts, rootfs)
  undo.defer(() =>
    core.cleanUp('deactivate mounts', id, () => core.ports.mounts.deactivate(id, record.mounts)),
  )
  return { rootfs, mounts }
}

async function makeNetwork(
  core: Core,
  container: Container,
  undo: AsyncDisposableStack,
): Promise<SandboxState> {
  const { id } = container
  const request = sandboxRequest(core, container)
  try {
    const state = await core.ports.networking.create(request, new AbortController().signal)
    undo.defer(() => core.cleanUp('release network', id, () => core.ports.networking.remove(id, state)))
    return state
  } catch (error) {
    const kind = error instanceof EngineError ? error.kind : 'internal'
    const message = errorMessage(error)
    const prefix = 'failed to set up container networking'
    throw new EngineError(kind, message.startsWith(prefix) ? message : `${prefix}: ${message}`, {
      cause: error,
    })
  }
}

/** Directory of a shareable IPC namespace's /dev/shm. */
export function shmDirectory(core: Core, id: string): string {
  return `${core.directoryOf(id)}/shm`
}

async function makeShm(
  core: Core,
  container: Container,
  undo: AsyncDisposableStack,
): Promise<string | undefined> {
  const { IpcMode, ShmSize } = container.record.hostConfig
  if (IpcMode === 'host') return '/dev/shm'
  const joined = joinedContainer(IpcMode)
  if (joined !== undefined) return shmDirectory(core, ipcContainer(core, joined).id)
  if (IpcMode !== 'shareable') return undefined
  const path = shmDirectory(core, container.id)
  await core.host.mountShm(path, ShmSize)
  undo.defer(() => core.cleanUp('unmount shm', container.id, () => core.host.unmountShm(path)))
  return path
}

type Joined = { ipc: NamespaceSource; pid: NamespaceSource }

function joinNamespaces(core: Core, container: Container): Joined {
  const { IpcMode, PidMode } = container.record.hostConfig
  const ipcTarget = joinedContainer(IpcMode)
  const pidTarget = joinedContainer(PidMode)
  return {
    ipc: namespaceSource(
      IpcMode,
      ipcTarget,
      (target) => `/proc/${ipcContainer(core, target).state.pid}/ns/ipc`,
    ),
    pid: namespaceSource(PidMode, pidTarget, (target) => {
      return `/proc/${runningTarget(core, target, 'PID').state.pid}/ns/pid`
    }),
  }
}

function namespaceSource(
  mode: string,
  target: string | undefined,
  pathOf: (target: string) => string,
): NamespaceSource {
  if (target !== undefined) return { kind: 'path', path: pathOf(target) }
  return { kind: mode === 'host' ? 'host' : 'new' }
}

function ipcContainer(core: Core, reference: string): Container {
  const target = runningTarget(core, reference, 'IPC')
  if (target.record.hostConfig.IpcMode !== 'shareable') {
    throw new EngineError(
      'invalid',
      `cannot join IPC namespace of container ${reference}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
    )
  }
  return target
}

function runningTarget(core: Core, reference: string, kind: 'IPC' | 'PID'): Container {
  const target = core.registry.find(reference)
  if (target === undefined) {
    throw new EngineError(
      'invalid',
      `cannot join ${kind} namespace of container: No such container: ${reference}`,
    )
  }
  if (!target.state.running || target.state.restarting) {
    throw new EngineError('conflict', `cannot join ${kind} of a non running container: ${reference}`)
  }
  return target
}

type Prepared = {
  rootfs: string
  mounts: ResolvedMount[]
  sandbox: SandboxState
  shmPath: string | undefined
  joined: Joined
}

function taskStart(core: Core, container: Container, prepared: Prepared): ContainerTaskStart {
  const { record, id } = container
  const { hostConfig } = record
  const log = core.ports.logs.taskLog(core.logRequest(container))
  const [rows = 0, columns = 0] = hostConfig.ConsoleSize ?? []
  const netTarget = joinedContainer(hostConfig.NetworkMode)
  // Who shares a network shares its names too.
  const named = netTarget === undefined ? record : (core.registry.find(netTarget)?.record ?? record)
  const env = withLinkEnvironment(record.config.Env, linkEnvironment(core, record))
  return {
    id,
    name: record.name,
    config: { ...record.config, Hostname: named.config.Hostname, Env: env },
    hostConfig,
    args: [record.path, ...record.args],
    hostname: named.config.Hostname,
    directory: core.directoryOf(id),
    rootfs: prepared.rootfs,
    mounts: prepared.mounts,
    etcFiles: prepared.sandbox.etcFiles,
    ...(prepared.shmPath === undefined ? {} : { shmPath: prepared.shmPath }),
    namespaces: {
      ...prepared.joined,
      network:
        prepared.sandbox.sandboxKey === '' || hostConfig.NetworkMode === 'host'
          ? { kind: 'host' }
          : { kind: 'path', path: prepared.sandbox.sandboxKey },
      uts: { kind: hostConfig.UTSMode === 'host' ? 'host' : 'new' },
      cgroup: { kind: hostConfig.CgroupnsMode === 'host' ? 'host' : 'new' },
    },
    ...(log === undefined ? {} : { log }),
    ...(rows > 0 && columns > 0 ? { consoleSize: { rows, columns } } : {}),
  }
}
