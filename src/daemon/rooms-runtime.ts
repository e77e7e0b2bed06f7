/** The room that runs containers, as the configuration has it. */
import { arch } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ContainerSettings } from '../containers/core.ts'
import { Cgroups } from '../kernel/cgroups.ts'
import { prepareCgroups } from '../kernel/cgroup-layout.ts'
import type { KernelFacts } from '../kernel/host-info.ts'
import type { Sweep } from '../kernel/sweeper.ts'
import type { IdMapping } from '../lib/id-mapping.ts'
import type { Log } from '../lib/log.ts'
import type { TaskGroup } from '../lib/task-group.ts'
import { OciContainerRuntime } from '../runtime/container-runtime.ts'
import type { RuntimeEntries } from '../runtime/shim-runtimes.ts'
import { SeccompFilters } from '../runtime/seccomp.ts'
import { findInitProgram } from '../runtime/init-program.ts'
import { validateHostConfig } from '../runtime/host-config-validate.ts'
import type { Platform } from '../spec/image-types.ts'
import type { Settings } from './config-values.ts'
import type { LiveSettings } from './live-settings.ts'
import { findProgram, findRuntimes } from './runtime-facts.ts'
import { seccompText } from './seccomp-file.ts'

const defaultShmSizeBytes = 64 * 1024 * 1024

/** What the runtime is built from. */
export type RuntimeParts = {
  live: LiveSettings
  log: Log
  facts: KernelFacts
  execRoot: string
  /** What ids of containers are on the host; undefined for the same. */
  ids: IdMapping | undefined
  searchPath: string | undefined
  background: TaskGroup
  sweep: Sweep
}

/** A program of ours that lies beside the sources. */
export function builtProgram(name: string): string {
  return fileURLToPath(new URL(`../../build/${name}`, import.meta.url))
}

/** Builds the runtime. */
export function buildRuntime(parts: RuntimeParts): OciContainerRuntime {
  const { live, log, facts, execRoot, searchPath, background, sweep } = parts
  const settings = live.current
  const cgroups = new Cgroups(prepareCgroups(), settings.text('cgroup-parent'))
  let known = Object.keys(findRuntimes(settings, searchPath))
  const runtime = new OciContainerRuntime({
    runRoot: execRoot,
    shimProgram: builtProgram('wharf-shim'),
    runtimes: runtimeEntries(settings, searchPath),
    defaultRuntime: defaultRuntime(settings),
    crunPreload: builtProgram('no-systemd.so'),
    cgroups,
    oci: {
      facts,
      ids: parts.ids,
      cgroupPath: (id, parent) => cgroups.pathFor(id, parent),
      initPath: initProgram(settings, searchPath),
      defaultInit: settings.flag('init'),
      defaultUlimits: settings.ulimits(),
      noNewPrivileges: settings.flag('no-new-privileges'),
      seccomp: new SeccompFilters(facts, seccompText(settings.text('seccomp-profile'))),
    },
    validate: (hostConfig) =>
      validateHostConfig(hostConfig, facts, {
        defaultShmSizeBytes: live.current.number('default-shm-size', defaultShmSizeBytes),
        defaultIpcMode: live.current.text('default-ipc-mode', 'private'),
        defaultCgroupnsMode: live.current.text('default-cgroupns-mode'),
        defaultRuntime: defaultRuntime(live.current),
        runtimes: known,
        remapped: parts.ids !== undefined,
      }),
    sweep,
    background,
    log: log.child('runtime'),
  })
  live.onReload((now) => {
    known = Object.keys(findRuntimes(now, searchPath))
    runtime.setRuntimes(runtimeEntries(now, searchPath), defaultRuntime(now))
  })
  return runtime
}

function runtimeEntries(settings: Settings, searchPath: string | undefined): RuntimeEntries {
  const entries = Object.entries(findRuntimes(settings, searchPath))
  return Object.fromEntries(
    entries.map(([name, { path = name, runtimeArgs = [] }]) => [name, { path, args: runtimeArgs }]),
  )
}

function defaultRuntime(settings: Settings): string {
  return settings.text('default-runtime', 'crun')
}

/** The program of `--init`: the one configured, ours, or one of the machine's. */
function initProgram(settings: Settings, searchPath: string | undefined): string | undefined {
  const ofMachine = ['docker-init', 'tini-static', 'tini', 'catatonit']
  return findInitProgram([
    settings.text('init-path'),
    builtProgram('wharf-init'),
    ...ofMachine.map((name) => findProgram(name, searchPath) ?? ''),
  ])
}

/** What containers ask of the configuration; read anew at each use. */
export function containerSettings(live: LiveSettings, dataRoot: string): ContainerSettings {
  const settings = live.current
  return {
    root: join(dataRoot, 'containers'),
    // python3-docker takes a container's output only where it knows the driver: json-file, bounded here.
    logDriver: settings.text('log-driver', 'json-file'),
    logOptions: settings.map('log-opts'),
    platform: hostPlatform(),
  }
}

/** What images run here. */
export function hostPlatform(): Platform {
  return { os: 'linux', architecture: goArchitectures[arch()] ?? arch() }
}

const goArchitectures: Record<string, string> = { x64: 'amd64', arm64: 'arm64' }
