/** Stand-ins for the rooms beside containers, for tests without root: they keep what they were told and can fail. */
import { ContainerConfig, EndpointSettings } from '../spec/container-config.ts'
import { EngineError } from '../spec/errors.ts'
import { digest, networkId, type ContainerId } from '../spec/ids.ts'
import type { ResolvedImage } from '../spec/image-types.ts'
import type { SandboxRequest, SandboxState } from '../spec/sandbox-types.ts'
import type { TaskExit } from '../spec/task-types.ts'
import type { ContainerPorts } from './core.ts'
import type { StoredMount } from './ports.ts'
import { FakeClock } from './testing-clock.ts'
import { FakeTask } from './testing-task.ts'

const busyboxId = digest(`sha256:${'b'.repeat(64)}`)

/** All rooms at once, with a log of what was asked of them in order. */
export class FakeWorld {
  readonly clock = new FakeClock()
  readonly calls: string[] = []
  readonly failures = new Map<string, Error>()
  keepersTake = false
  readonly events: { action: string; id: string; attributes: Record<string, string> }[] = []
  readonly tasks = new Map<string, FakeTask>()
  /** What `adopt` answers for a container that has no running task. */
  readonly exits = new Map<string, TaskExit>()
  readonly sandboxes = new Map<string, SandboxRequest>()
  readonly layers = new Set<string>()
  readonly mounted = new Set<string>()
  readonly releasedMounts: { id: string; removeAnonymous: boolean }[] = []
  readonly networks = new Map<string, string>([['front', '1'.repeat(64)]])
  readonly image: ResolvedImage = {
    id: busyboxId,
    reference: 'busybox:latest',
    config: ContainerConfig.parse({ Env: ['PATH=/bin'], Cmd: ['sh'] }),
    platform: { os: 'linux', architecture: 'amd64' },
    diffIds: [],
    topLayer: undefined,
    manifest: undefined,
  }
  /** Volumes that `prepare` answers with. */
  storedMounts: StoredMount[] = []
  psOutput = ''
  #pid = 100

  note(call: string): void {
    this.calls.push(call)
  }

  nextPid(): number {
    this.#pid += 1
    return this.#pid
  }

  failure(call: string): Error {
    return this.failures.get(call) ?? new Error(call)
  }

  #step(call: string): void {
    this.note(call)
    if (this.failures.has(call)) throw this.failure(call)
  }

  /** The running task of a container. */
  task(id: string): FakeTask {
    const task = this.tasks.get(id)
    if (task === undefined) throw new Error(`no task ${id}`)
    return task
  }

  /** Actions of the events of one container, in order. */
  actions(id: string): string[] {
    return this.events.filter((event) => event.id === id).map(({ action }) => action)
  }

  readonly ports: ContainerPorts = {
    images: {
      resolve: (reference) => {
        const names = ['busybox', 'busybox:latest', busyboxId]
        if (!names.includes(reference))
          throw new EngineError('notFound', `No such image: ${reference}:latest`)
        return this.image
      },
      namesOf: () => ['busybox:latest'],
    },
    rootfs: {
      driverName: 'overlay2',
      prepare: async (id) => {
        this.#step('rootfs.prepare')
        this.layers.add(id)
      },
      mount: async (id) => {
        this.#step('rootfs.mount')
        this.mounted.add(id)
        return `/rootfs/${id}`
      },
      unmount: async (id) => {
        this.note('rootfs.unmount')
        this.mounted.delete(id)
      },
      remove: async (id) => {
        this.note('rootfs.remove')
        this.layers.delete(id)
      },
      usage: async () => ({ writableBytes: 10, rootBytes: 100 }),
      changes: async () => [{ Path: '/new', Kind: 1 }],
      describe: () => ({ Name: 'overlay2', Data: null }),
      list: async () => [...this.layers].map(brand),
    },
    runtime: {
      validate: () => [],
      create: async (start) => {
        this.#step('runtime.create')
        const task = new FakeTask(this, this.nextPid(), start)
        this.tasks.set(start.id, task)
        return task
      },
      adopt: async (id) => this.exits.get(id) ?? this.#runningTask(id),
      adoptExecs: async () => new Map(),
      remove: async (id) => {
        this.note('runtime.remove')
        this.tasks.delete(id)
        this.exits.delete(id)
      },
      prewarm: () => {},
      list: async () => [...this.tasks.keys(), ...this.exits.keys()].map(brand),
    },
    networking: {
      resolve: (network) => {
        const id = this.networks.get(network)
        if (id === undefined && !['bridge', 'host', 'none'].includes(network)) {
          throw new EngineError('notFound', `network ${network} not found`)
        }
        return { id: networkId(id ?? '0'.repeat(64)), name: network, driver: 'bridge' }
      },
      validate: () => {},
      create: async (request) => {
        this.#step('networking.create')
        this.sandboxes.set(request.containerId, request)
        return sandboxOf(request)
      },
      adopt: async () => this.note('networking.adopt'),
      remove: async (id) => {
        this.note('networking.remove')
        this.sandboxes.delete(id)
      },
      connect: async (_id, network, settings) => ({ ...settings, NetworkID: network, IPAddress: '10.0.0.2' }),
      disconnect: async () => this.note('networking.disconnect'),
      rename: async () => this.note('networking.rename'),
      counters: async () => [fakeCounters],
      list: async () => [...this.sandboxes.keys()].map(brand),
    },
    mounts: {
      prepare: async () => {
        this.#step('mounts.prepare')
        return { mounts: this.storedMounts, warnings: [], undo: async () => this.note('mounts.undo') }
      },
      activate: async () => {
        this.#step('mounts.activate')
        return []
      },
      place: (point) => point,
      deactivate: async () => this.note('mounts.deactivate'),
      release: async (id, _mounts, removeAnonymous) => {
        this.#step('mounts.release')
        this.releasedMounts.push({ id, removeAnonymous })
      },
    },
    logs: {
      validate: () => {},
      taskLog: () => undefined,
      logPath: () => '',
      started: () => this.note('logs.started'),
      ended: () => this.note('logs.ended'),
    },
    events: {
      emit: ({ action, id, attributes }) => {
        this.events.push({ action, id, attributes })
      },
    },
  }

  #runningTask(id: string): FakeTask | undefined {
    const task = this.tasks.get(id)
    return task?.running === true ? task : undefined
  }
}

const fakeCounters = {
  name: 'eth0',
  rxBytes: 1,
  rxPackets: 2,
  rxErrors: 3,
  rxDropped: 4,
  txBytes: 5,
  txPackets: 6,
  txErrors: 7,
  txDropped: 8,
}

function brand(id: string): ContainerId {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- ids the fakes were given
  return id as ContainerId
}

function sandboxOf(request: SandboxRequest): SandboxState {
  const endpoint = (network: string) =>
    EndpointSettings.parse({ NetworkID: `id-of-${network}`, IPAddress: '172.17.0.2', IPPrefixLen: 16 })
  return {
    sandboxId: `sandbox-${request.containerId}`,
    sandboxKey: request.mode === 'host' ? '' : `/run/netns/${request.containerId}`,
    etcFiles: {},
    endpoints: Object.fromEntries(request.endpoints.map(({ network }) => [network, endpoint(network)])),
    ports: request.portBindings ?? {},
  }
}
