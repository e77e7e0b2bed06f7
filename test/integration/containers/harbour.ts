/** The container engine on all its real rooms: images, layers, runtime, networks, volumes and logs; no HTTP. */
import type { TestContext } from 'node:test'
import { join } from 'node:path'
import { Containers } from '../../../src/containers/engine.ts'
import { noFaults, systemTimer, thisMachine } from '../../../src/containers/machine.ts'
import type { Faults } from '../../../src/containers/core.ts'
import { detectCgroups } from '../../../src/kernel/cgroup-layout.ts'
import { readKernelFacts } from '../../../src/kernel/host-info.ts'
import { randomIds, systemClock } from '../../../src/lib/clock.ts'
import { createLog, type Log } from '../../../src/lib/log.ts'
import { validateHostConfig } from '../../../src/runtime/host-config-validate.ts'
import { ContainerLogFiles } from '../../../src/runtime/logs/container-logs.ts'
import {
  ContainerConfig,
  ExecConfig,
  HostConfig,
  NetworkingConfig,
} from '../../../src/spec/container-config.ts'
import { ContainerMountService } from '../../../src/volumes/container-mounts.ts'
import { LocalVolumeDriver } from '../../../src/volumes/local-driver.ts'
import { VolumeDrivers } from '../../../src/volumes/volume-drivers.ts'
import { VolumeService } from '../../../src/volumes/volume-service.ts'
import { busyboxArchive } from '../../fixtures/busybox-image.ts'
import { openTestRoom, type TestRoom } from '../images/image-room.ts'
import { Lab } from '../networks/lab.ts'
import { RuntimeFixture } from '../runtime/fixture.ts'

const hostConfigSettings = {
  defaultShmSizeBytes: 64 << 20,
  defaultIpcMode: 'private',
  defaultCgroupnsMode: '',
  defaultRuntime: 'crun',
  runtimes: ['crun', 'runc'],
  remapped: false,
}
const noSignal = () => AbortSignal.timeout(60_000)

/** See the file's head. Dispose it before the test ends: the image room goes with the test. */
export class Harbour implements AsyncDisposable {
  readonly events: { action: string; id: string; attributes: Record<string, string> }[] = []
  readonly volumes: VolumeService
  readonly #room: TestRoom
  readonly #lab: Lab
  #runtime: RuntimeFixture
  readonly #logs: ContainerLogFiles
  readonly #log: Log
  #engine: Containers | undefined

  private constructor(room: TestRoom, lab: Lab, runtime: RuntimeFixture) {
    this.#room = room
    this.#lab = lab
    this.#runtime = runtime
    this.#log = createLog({ level: 'warn', format: 'text', write: (line) => void process.stderr.write(line) })
    this.#logs = new ContainerLogFiles({ log: this.#log, daemonName: 'wharf' })
    this.volumes = new VolumeService({
      database: room.database,
      drivers: new VolumeDrivers([new LocalVolumeDriver(join(room.root, 'volumes'))]),
      events: this.#sink(),
      clock: systemClock,
      log: this.#log,
    })
  }

  static async open(t: TestContext): Promise<Harbour> {
    const room = await openTestRoom(t)
    await room.load(await busyboxArchive())
    const lab = await Lab.start()
    const harbour = new Harbour(room, lab, new RuntimeFixture())
    await harbour.reboot()
    return harbour
  }

  get engine(): Containers {
    if (this.#engine === undefined) throw new Error('not booted')
    return this.#engine
  }

  /** Lets go of engine, runtime and networks as a daemon that ends, and boots others on what is there. */
  async reboot(faults: Faults = noFaults): Promise<void> {
    if (this.#engine !== undefined) {
      await this.#engine.shutdown({ liveRestore: true })
      await this.#runtime.leave()
      this.#runtime = new RuntimeFixture({ from: this.#runtime.directory })
      await this.#lab.restart()
    }
    this.#engine = this.#build(faults)
    await this.#engine.boot(async ({ all, withSandbox }) => {
      await this.volumes.sweep(new Set(all))
      await this.#lab.networks.reconcile(withSandbox)
    })
  }

  #sink() {
    return {
      emit: (event: { action: string; id: string; attributes: Record<string, string> }) => {
        this.events.push(event)
      },
    }
  }

  #build(faults: Faults): Containers {
    const facts = readKernelFacts(detectCgroups())
    const runtime = this.#runtime.runtime
    return new Containers({
      images: this.#room.room.images,
      rootfs: this.#room.room.rootfs,
      runtime: {
        validate: (hostConfig) => validateHostConfig(hostConfig, facts, hostConfigSettings),
        create: (start, signal) => runtime.create(start, signal),
        adopt: (id) => runtime.adopt(id),
        adoptExecs: (id) => runtime.adoptExecs(id),
        remove: (id) => runtime.remove(id),
        prewarm: () => runtime.prewarm(),
        list: () => runtime.list(),
      },
      networking: this.#lab.networks.containers,
      mounts: new ContainerMountService({
        volumes: this.volumes,
        images: this.#room.room.imageMounts,
        events: this.#sink(),
        copy: this.#room.room.copyTree,
        runDirectory: join(this.#room.root, 'run'),
        dataRoot: this.#room.root,
      }),
      logs: this.#logs,
      events: this.#sink(),
      database: this.#room.database,
      settings: () => ({
        root: join(this.#room.root, 'containers'),
        logDriver: 'json-file',
        logOptions: {},
        platform: { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' },
      }),
      host: thisMachine(this.#runtime.sweeper.sweep),
      clock: systemClock,
      ids: randomIds,
      random: Math.random,
      timer: systemTimer,
      faults,
      log: this.#log,
    })
  }

  async create(cmd: string[], change: Change = {}): Promise<string> {
    const created = await this.engine.create(
      {
        config: ContainerConfig.parse({ Image: 'busybox', Cmd: cmd, ...change.config }),
        hostConfig: HostConfig.parse(change.hostConfig ?? {}),
        networkingConfig: NetworkingConfig.parse({}),
      },
      { name: change.name ?? '', platform: '' },
      noSignal(),
    )
    return created.id
  }

  async start(cmd: string[], change: Change = {}): Promise<string> {
    const id = await this.create(cmd, change)
    await this.engine.start(id, { detachKeys: '' })
    return id
  }

  /** As `docker run`: attach, wait, start; answers the framed output and the exit code. */
  async run(cmd: string[], change: Change = {}): Promise<{ id: string; output: string; exitCode: number }> {
    const id = await this.create(cmd, change)
    const { stream } = await this.engine.attach(id, {
      stdin: false,
      stdout: true,
      stderr: true,
      detachKeys: '',
    })
    const removes = change.hostConfig?.['AutoRemove'] === true
    const { result } = await this.engine.wait(id, removes ? 'removed' : 'next-exit', noSignal())
    const chunks: Buffer[] = []
    const ended = new Promise<void>((resolve, reject) => {
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.once('end', resolve).once('error', reject)
    })
    await this.engine.start(id, { detachKeys: '' })
    await ended
    const { exitCode } = await result
    return { id, output: unframe(Buffer.concat(chunks)), exitCode }
  }

  /** Output and exit code of an exec. */
  async exec(id: string, cmd: string[]): Promise<{ output: string; exitCode: number | null }> {
    const config = ExecConfig.parse({ Cmd: cmd, AttachStdout: true, AttachStderr: true })
    const exec = await this.engine.execCreate(id, config)
    const options = { detach: false, tty: false, consoleSize: null }
    const attached = await this.engine.execStart(exec, options, noSignal())
    const chunks: Buffer[] = []
    for await (const chunk of attached?.stream ?? []) chunks.push(chunk)
    await until(() => !this.engine.execInspect(exec).Running, 'the exec ends')
    return { output: unframe(Buffer.concat(chunks)), exitCode: this.engine.execInspect(exec).ExitCode }
  }

  actions(id: string): string[] {
    return this.events.filter((event) => event.id === id).map(({ action }) => action)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#engine !== undefined) {
      const rows = await this.#engine.list({ all: true, limit: 0, size: false, filters: new Map() })
      for (const { Id } of rows) await this.#engine.remove(Id, { force: true, volumes: true, link: false })
      await this.#engine.shutdown({ liveRestore: true })
    }
    await this.#logs[Symbol.asyncDispose]()
    await this.#runtime[Symbol.asyncDispose]()
    await this.#lab[Symbol.asyncDispose]()
  }
}

/** What a test wants of a container beyond its command. */
export type Change = { name?: string; config?: Record<string, unknown>; hostConfig?: Record<string, unknown> }

/** The payloads of a stream of frames. */
export function unframe(data: Buffer): string {
  const parts: Buffer[] = []
  for (let at = 0; at + 8 <= data.length;) {
    const length = data.readUInt32BE(at + 4)
    parts.push(data.subarray(at + 8, at + 8 + length))
    at += 8 + length
  }
  return Buffer.concat(parts).toString()
}

/** Asks until the condition holds; fails after ten seconds. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`never happened: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
