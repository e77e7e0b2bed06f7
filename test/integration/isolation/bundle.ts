/** Runs a container's configuration under a real OCI runtime, without shim or daemon: for tests of the configuration. */
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ContainerConfig, HostConfig } from '../../../src/spec/container-config.ts'
import { containerId } from '../../../src/spec/ids.ts'
import type { OciSpec } from '../../../src/spec/oci-runtime-types.ts'
import type { ContainerTaskStart } from '../../../src/spec/task-types.ts'
import { prepareCgroups } from '../../../src/kernel/cgroup-layout.ts'
import { Cgroups } from '../../../src/kernel/cgroups.ts'
import { readKernelFacts } from '../../../src/kernel/host-info.ts'
import { SeccompFilters } from '../../../src/runtime/seccomp.ts'
import { buildOciSpec, serializeOci, type OciSettings } from '../../../src/runtime/oci-spec.ts'

/** What a container printed and how it ended. */
export type Outcome = { code: number; stdout: string; stderr: string }

const layout = prepareCgroups()
/** Facts of this machine. */
export const facts = readKernelFacts(layout)

/** One container on a root of busybox. Disposing removes all that it left. */
export class Bundle implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'wharf-bundle-'))
  readonly rootfs = join(this.directory, 'rootfs')
  readonly id = containerId(randomBytes(32).toString('hex'))
  readonly cgroups = new Cgroups(layout, '/wharf-test')
  readonly settings: OciSettings

  constructor(settings: Partial<OciSettings> = {}) {
    this.settings = {
      facts,
      cgroupPath: (id, parent) => this.cgroups.pathFor(id, parent),
      initPath: undefined,
      defaultInit: false,
      defaultUlimits: [],
      noNewPrivileges: false,
      runtimeTakesBpf: true,
      seccomp: new SeccompFilters(facts),
      ...settings,
    }
    for (const name of ['bin', 'etc', 'proc', 'sys', 'dev', 'tmp'])
      mkdirSync(join(this.rootfs, name), { recursive: true })
    chmodSync(join(this.rootfs, 'tmp'), 0o1777)
    copyFileSync('/bin/busybox', join(this.rootfs, 'bin/busybox'))
    for (const name of execFileSync('/bin/busybox', ['--list'], { encoding: 'utf8' }).split('\n')) {
      if (name !== '' && name !== 'busybox') symlinkSync('busybox', join(this.rootfs, 'bin', name))
    }
    writeFileSync(
      join(this.rootfs, 'etc/passwd'),
      'root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n',
    )
    writeFileSync(join(this.rootfs, 'etc/group'), 'root:x:0:\nalice:x:1000:\nwheel:x:10:alice\naudio:x:29:\n')
  }

  get cgroup(): string {
    return this.cgroups.pathFor(this.id, '')
  }

  /** A start of `sh -c script` with the given fields of HostConfig and Config. */
  start(
    script: string,
    given: { host?: object; config?: object; task?: Partial<ContainerTaskStart> } = {},
  ): ContainerTaskStart {
    const created = { kind: 'new' } as const
    return {
      id: this.id,
      name: 'test',
      config: ContainerConfig.parse(given.config ?? {}),
      hostConfig: HostConfig.parse({ ShmSize: 64 << 20, ...given.host }),
      args: ['/bin/sh', '-c', script],
      hostname: 'box',
      directory: this.directory,
      rootfs: this.rootfs,
      mounts: [],
      etcFiles: {},
      namespaces: { network: created, ipc: created, pid: created, uts: created, cgroup: { kind: 'host' } },
      ...given.task,
    }
  }

  /** Builds, and runs to the end. */
  async run(start: ContainerTaskStart, runtime = 'crun'): Promise<Outcome> {
    return this.runSpec(await buildOciSpec(start, this.settings), runtime)
  }

  /** Runs a finished configuration to the end. */
  async runSpec(spec: OciSpec, runtime = 'crun'): Promise<Outcome> {
    writeFileSync(join(this.directory, 'config.json'), serializeOci(spec))
    const root = ['--root', join(this.directory, 'run')]
    return run(runtime, [...root, 'run', '--bundle', this.directory, this.id], 60_000)
  }

  /** Another command of the runtime about this container. */
  async runtime(args: string[], runtime = 'crun'): Promise<Outcome> {
    return run(runtime, ['--root', join(this.directory, 'run'), ...args], 60_000)
  }

  /** Runs and expects success; answers the output. */
  async output(script: string, given: Parameters<Bundle['start']>[1] = {}): Promise<string> {
    const outcome = await this.run(this.start(script, given))
    assert.equal(outcome.code, 0, `${outcome.stdout}${outcome.stderr}`)
    return outcome.stdout
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run('crun', ['--root', join(this.directory, 'run'), 'delete', '--force', this.id], 20_000)
    await this.cgroups.kill(this.cgroup)
    await this.cgroups.remove(this.cgroup)
    await this.cgroups.remove('/wharf-test').catch(() => {})
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** Runs a program; a failure is an outcome, not an exception. */
export async function run(program: string, args: string[], timeout: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = {
      encoding: 'utf8' as const,
      timeout,
      killSignal: 'SIGKILL' as const,
      maxBuffer: 64 << 20,
    }
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      const code = typeof error?.code === 'number' ? error.code : error === null ? 0 : 255
      resolve({ code, stdout, stderr })
    })
    child.stdin?.end()
  })
}
