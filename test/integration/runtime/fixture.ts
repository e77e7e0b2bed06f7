/** A runtime of its own for a test file: a busybox root file system, a directory, a cgroup parent. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { silentLog } from '../../../src/lib/log.ts'
import { TaskGroup } from '../../../src/lib/task-group.ts'
import { detectCgroups, prepareCgroups } from '../../../src/kernel/cgroup-layout.ts'
import { Cgroups } from '../../../src/kernel/cgroups.ts'
import { readKernelFacts } from '../../../src/kernel/host-info.ts'
import { Sweeper } from '../../../src/kernel/sweeper.ts'
import { OciContainerRuntime } from '../../../src/runtime/container-runtime.ts'
import { SeccompFilters } from '../../../src/runtime/seccomp.ts'
import { ContainerConfig, HostConfig } from '../../../src/spec/container-config.ts'
import { containerId, execId, type ContainerId } from '../../../src/spec/ids.ts'
import type { ContainerTaskStart, ExecTaskStart } from '../../../src/spec/task-types.ts'

/** The repository. */
export const repository = join(import.meta.dirname, '../../..')

/** A fresh id of a container or exec. */
export const newId = (): string => randomBytes(32).toString('hex')

/** See the file's head. */
export class RuntimeFixture implements AsyncDisposable {
  readonly directory: string
  readonly rootfs: string
  readonly cgroupParent: string
  readonly cgroups: Cgroups
  readonly runtime: OciContainerRuntime
  readonly sweeper: Sweeper
  readonly #background = new TaskGroup(silentLog)

  /** `from` takes over the directories of another fixture, as a daemon does after a restart. */
  constructor(options: { shimLimits?: string[]; shimProgram?: string; from?: string } = {}) {
    execFileSync('bash', [join(repository, 'tools/setup/build-native.sh')])
    this.directory = options.from ?? mkdtempSync(join(tmpdir(), 'wharf-runtime-'))
    this.rootfs = join(this.directory, 'rootfs')
    if (options.from === undefined) makeRootfs(this.rootfs)
    this.cgroupParent = `/wharf-test-${this.directory.slice(-6)}`
    this.cgroups = new Cgroups(prepareCgroups(), this.cgroupParent)
    const facts = readKernelFacts(detectCgroups())
    const shimProgram = options.shimProgram ?? join(repository, 'build/wharf-shim')
    this.sweeper = new Sweeper(shimProgram, silentLog)
    this.runtime = new OciContainerRuntime({
      runRoot: join(this.directory, 'run'),
      shimProgram,
      shimLimits: options.shimLimits ?? [],
      runtimes: { crun: { path: 'crun', args: [] }, runc: { path: 'runc', args: [] } },
      defaultRuntime: 'crun',
      // A keeper that is a script would load it, too.
      ...(options.shimProgram === undefined && { crunPreload: join(repository, 'build/no-systemd.so') }),
      cgroups: this.cgroups,
      oci: {
        facts,
        cgroupPath: (id, parent) => this.cgroups.pathFor(id, parent),
        initPath: undefined,
        defaultInit: false,
        defaultUlimits: [],
        noNewPrivileges: false,
        seccomp: new SeccompFilters(facts),
      },
      validate: () => [],
      sweep: this.sweeper.sweep,
      background: this.#background,
      log: silentLog,
    })
  }

  /** A container that runs `args`, with changes to its configuration. */
  start(args: string[], change: StartChange = {}): ContainerTaskStart {
    const id = change.id ?? containerId(newId())
    const directory = join(this.directory, 'containers', id)
    mkdirSync(directory, { recursive: true })
    return {
      id,
      name: id.slice(0, 12),
      config: { ...ContainerConfig.parse({}), ...change.config },
      hostConfig: { ...HostConfig.parse({}), ...change.hostConfig },
      args,
      hostname: 'box',
      directory,
      rootfs: this.rootfs,
      mounts: [],
      etcFiles: {},
      namespaces: {
        network: { kind: 'new' },
        ipc: { kind: 'new' },
        pid: { kind: 'new' },
        uts: { kind: 'new' },
        cgroup: { kind: 'host' },
      },
      ...(change.log !== undefined && { log: { ...change.log, path: join(directory, 'log') } }),
      ...(change.consoleSize !== undefined && { consoleSize: change.consoleSize }),
    }
  }

  /** An exec of a container. */
  exec(container: ContainerId, args: string[], change: Partial<ExecTaskStart> = {}): ExecTaskStart {
    return {
      id: execId(newId()),
      containerId: container,
      args,
      env: [],
      tty: false,
      openStdin: false,
      privileged: false,
      user: '',
      workingDir: '',
      attached: true,
      ...change,
    }
  }

  /** Stops listening to the tasks, as a daemon that ends. */
  async leave(): Promise<void> {
    await this.runtime[Symbol.asyncDispose]()
    this.sweeper[Symbol.dispose]()
    await this.#background[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const id of await this.runtime.list()) await this.runtime.remove(id)
    await this.leave()
    for (const name of await this.cgroups.list()) await this.cgroups.remove(`${this.cgroupParent}/${name}`)
    await this.cgroups.remove(this.cgroupParent)
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** What a test wants otherwise. */
export type StartChange = {
  id?: ContainerId
  config?: Partial<ContainerConfig>
  hostConfig?: Partial<HostConfig>
  log?: Omit<NonNullable<ContainerTaskStart['log']>, 'path'>
  consoleSize?: { rows: number; columns: number }
}

/** Runs a container to its end: all that its attached client got, and how it ended. */
export async function runToEnd(fixture: RuntimeFixture, start: ContainerTaskStart, input?: Uint8Array) {
  const pending = await fixture.runtime.create(start, AbortSignal.timeout(60_000))
  const stream = await pending.attach({ stdin: input !== undefined, stdout: true, stderr: true })
  const output = readAll(stream)
  const task = await pending.start()
  if (input === undefined) stream.end()
  else stream.end(input)
  const raw = await output
  const exit = await task.exited
  return { raw, exit, task, ...splitFrames(start.config.Tty ? Buffer.alloc(0) : raw) }
}

/** Everything until the stream's end. */
export async function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Takes Docker's 8-byte frames apart. Throws for anything else. */
export function splitFrames(raw: Buffer): { stdout: Buffer; stderr: Buffer } {
  const parts: [Buffer[], Buffer[]] = [[], []]
  for (let at = 0; at < raw.length;) {
    const stream = raw[at]
    const size = raw.readUInt32BE(at + 4)
    if ((stream !== 1 && stream !== 2) || raw.readUIntBE(at + 1, 3) !== 0 || at + 8 + size > raw.length)
      throw new Error(`bad frame at ${at}`)
    parts[stream - 1]?.push(raw.subarray(at + 8, at + 8 + size))
    at += 8 + size
  }
  return { stdout: Buffer.concat(parts[0]), stderr: Buffer.concat(parts[1]) }
}

/** Waits for what has no event, up to ten seconds. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`never happened: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Text of a file under the fixture's container directory. */
export const logText = (start: ContainerTaskStart): string =>
  readFileSync(join(start.directory, 'log'), 'utf8')

function makeRootfs(root: string): void {
  for (const name of ['bin', 'etc', 'dev', 'proc', 'sys', 'tmp', 'root', 'home/user']) {
    mkdirSync(join(root, name), { recursive: true })
  }
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'))
  chmodSync(join(root, 'bin/busybox'), 0o755)
  const applets = execFileSync('/bin/busybox', ['--list'], { encoding: 'utf8' }).trim().split('\n')
  for (const applet of applets) {
    if (applet !== 'busybox') symlinkSync('busybox', join(root, 'bin', applet))
  }
  writeFileSync(
    join(root, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n',
  )
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\nuser:x:1000:\nextra:x:2000:user\n')
  writeFileSync(join(root, 'etc/plain'), 'not a program\n')
  chmodSync(join(root, 'etc/plain'), 0o644)
  chmodSync(join(root, 'tmp'), 0o1777)
}
