/** An engine on stand-ins, for tests. */
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomIds } from '../lib/clock.ts'
import { silentLog } from '../lib/log.ts'
import { ContainerConfig, HostConfig, NetworkingConfig } from '../spec/container-config.ts'
import { Database } from '../store/database.ts'
import type { CoreOptions } from './core.ts'
import { Containers } from './engine.ts'
import { FakeWorld } from './testing-world.ts'

/** An engine on fakes, with a directory and database of its own; several engines may follow each other on them. */
export class EngineFixture implements AsyncDisposable {
  readonly world = new FakeWorld()
  readonly root: string
  readonly database = new Database(':memory:')
  /** Called at the named points of operations; may fail or wait. */
  pauseAt: (point: string) => Promise<void> = async () => {}
  #engine: Containers | undefined

  private constructor(root: string) {
    this.root = root
  }

  /** Makes one and boots it. */
  static async make(): Promise<EngineFixture> {
    const fixture = new EngineFixture(await mkdtemp(join(tmpdir(), 'wharf-containers-')))
    await fixture.reboot()
    return fixture
  }

  get engine(): Containers {
    if (this.#engine === undefined) throw new Error('not booted')
    return this.#engine
  }

  /** Drops the engine as a crash would, and boots another on the same state. */
  async reboot(): Promise<void> {
    await this.#engine?.shutdown({ liveRestore: true })
    this.#engine = new Containers(this.#options())
    await this.#engine.boot()
  }

  #options(): CoreOptions {
    const { world } = this
    return {
      ...world.ports,
      database: this.database,
      settings: () => ({
        root: this.root,
        logDriver: 'local',
        logOptions: {},
        platform: { os: 'linux', architecture: 'amd64' },
      }),
      host: {
        hostname: 'harbour',
        onlineCpus: 2,
        memoryTotalBytes: 1e9,
        systemCpuNs: async () => 5_000n,
        runPs: async () => ({ exitCode: 0, stdout: world.psOutput, stderr: '' }),
        makeDirectory: (path) => void mkdirSync(path, { recursive: true }),
        mountShm: async () => world.note('shm.mount'),
        mountPoints: async () => [],
        unmountShm: async () => world.note('shm.unmount'),
        removeDirectory: async (path) => rm(path, { recursive: true, force: true }),
      },
      clock: world.clock,
      timer: world.clock,
      ids: randomIds,
      random: Math.random,
      faults: { reach: (point) => this.pauseAt(point) },
      log: silentLog,
    }
  }

  /** Creates a container of the fake image. */
  async create(
    config: Record<string, unknown> = {},
    hostConfig: Record<string, unknown> = {},
    name = '',
  ): Promise<string> {
    const request = {
      config: ContainerConfig.parse({ Image: 'busybox', ...config }),
      hostConfig: HostConfig.parse(hostConfig),
      networkingConfig: NetworkingConfig.parse({}),
    }
    const created = await this.engine.create(request, { name, platform: '' }, new AbortController().signal)
    return created.id
  }

  /** Creates and starts one. */
  async run(
    config: Record<string, unknown> = {},
    hostConfig: Record<string, unknown> = {},
    name = '',
  ): Promise<string> {
    const id = await this.create(config, hostConfig, name)
    await this.engine.start(id, { detachKeys: '' })
    return id
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine?.shutdown({ liveRestore: true })
    this.database[Symbol.dispose]()
    await rm(this.root, { recursive: true, force: true })
  }
}

/** Lets the engine work until the condition holds; fails after many turns of the event loop. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  for (let turn = 0; turn < 5000; turn++) {
    if (condition()) return
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.fail(`never happened: ${what}`)
}

/** An exec as clients ask for it without a terminal. */
export function execOf(cmd: string[]) {
  return {
    AttachStdin: false,
    AttachStdout: true,
    AttachStderr: true,
    ConsoleSize: null,
    DetachKeys: '',
    Tty: false,
    Env: null,
    Cmd: cmd,
    Privileged: false,
    User: '',
    WorkingDir: '',
  }
}
