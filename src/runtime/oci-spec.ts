/**
 * From a container's configuration to the OCI runtime's: what Docker's defaults are, what the flags change. Building
 * touches the root file system in two ways only, both through the root-scoped resolver: it reads the user database
 * and makes the working directory. All else is data, so the same bundle runs under crun, runc and others.
 */
import { encodeJson } from '../lib/http-json.ts'
import { EngineError } from '../spec/errors.ts'
import type { HostConfig } from '../spec/container-config.ts'
import type { OciProcess, OciRlimit, OciSpec } from '../spec/oci-runtime-types.ts'
import type { ContainerTaskStart, NamespaceSource } from '../spec/task-types.ts'
import type { KernelFacts } from '../kernel/host-info.ts'
import { rootOwner, type IdMapping } from '../lib/id-mapping.ts'
import { containerCapabilities } from './capabilities.ts'
import { containerDevices } from './devices.ts'
import { ociNamespaces } from './namespaces.ts'
import { initDestination, ociMounts } from './oci-spec-mounts.ts'
import {
  capabilitySets,
  containerEnvironment,
  makeWorkingDirectory,
  processAnnotations,
} from './oci-spec-process.ts'
import { defaultMaskedPaths, defaultReadonlyPaths } from './oci-paths.ts'
import { ociResources } from './resources-oci.ts'
import { ociRlimits, oomScoreAnnotation, type Ulimit } from './rlimits.ts'
import { bpfAnnotation, type SeccompFilter, type SeccompFilters } from './seccomp.ts'
import { parseSecurityOptions } from './security-options.ts'
import { checkSysctls } from './sysctls.ts'
import { resolveUser } from './users.ts'

/** What of the daemon and its machine goes into every container. */
export type OciSettings = {
  facts: KernelFacts
  /** The cgroup of a container: `Cgroups.pathFor`. */
  cgroupPath(id: string, parent: string): string
  /** The program of `--init`; undefined when there is none. */
  initPath: string | undefined
  /** daemon.json `init`. */
  defaultInit: boolean
  /** daemon.json `default-ulimits`. */
  defaultUlimits: readonly Ulimit[]
  /** daemon.json `no-new-privileges`. */
  noNewPrivileges: boolean
  /** daemon.json `userns-remap`: absent without. */
  ids?: IdMapping | undefined
  /** Whether the runtime takes a compiled seccomp filter by annotation (crun); others get the profile itself. */
  runtimeTakesBpf: boolean
  seccomp: SeccompFilters
}

/** What ids of a container are on the host; undefined where they are the same. */
export function containerIds(
  hostConfig: HostConfig,
  { ids }: Pick<OciSettings, 'ids'>,
): IdMapping | undefined {
  return hostConfig.UsernsMode === 'host' ? undefined : ids
}

/**
 * The configuration of a container. Throws Docker's errors; `hostConfig` has been through `validateHostConfig`.
 * `userNamespace` is the file of the user namespace to join, for a container with ids of its own.
 */
export async function buildOciSpec(
  start: ContainerTaskStart,
  settings: OciSettings,
  userNamespace?: string,
): Promise<OciSpec> {
  const { hostConfig, config } = start
  const ids = containerIds(hostConfig, settings)
  const security = parseSecurityOptions(hostConfig.SecurityOpt ?? [], settings.noNewPrivileges)
  const names = capabilities(hostConfig, settings.facts)
  const seccomp = settings.seccomp.filterFor({
    option: security.seccomp,
    privileged: hostConfig.Privileged,
    capabilities: names,
  })
  const { devices, rules } = await containerDevices(hostConfig)
  const user = resolveUser(start.rootfs, config.User, hostConfig.GroupAdd ?? [])
  // The daemon's files are as all its containers see them, also for one with the host's ids.
  makeWorkingDirectory(start.rootfs, config.WorkingDir, rootOwner(settings.ids))
  const environment = containerEnvironment(config, start.hostname, user.home)
  const initPath = usedInit(start, settings)
  const limits = containerRlimits(hostConfig, settings)
  const process: OciProcess = {
    terminal: config.Tty,
    ...(start.consoleSize !== undefined && {
      consoleSize: { height: start.consoleSize.rows, width: start.consoleSize.columns },
    }),
    user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids },
    args: initPath === undefined ? start.args : [initDestination, '--', ...start.args],
    env: environment.env,
    cwd: config.WorkingDir === '' ? '/' : config.WorkingDir,
    capabilities: capabilitySets(names, user.uid),
    ...(limits.length > 0 && { rlimits: limits }),
    noNewPrivileges: security.noNewPrivileges,
    ...(settings.facts.apparmor &&
      security.apparmor !== '' && {
        apparmorProfile: hostConfig.Privileged ? 'unconfined' : security.apparmor,
      }),
    // Inside a user namespace nobody may lower it: the keeper does.
    ...(ids === undefined && { oomScoreAdj: hostConfig.OomScoreAdj }),
  }
  return {
    ociVersion: '1.0.2',
    ...hostNames(start, ids !== undefined),
    root: { path: start.rootfs, readonly: hostConfig.ReadonlyRootfs },
    process,
    mounts: ociMounts(start, initPath),
    annotations: {
      ...hostConfig.Annotations,
      ...processAnnotations(environment, hostConfig),
      ...(ids !== undefined && { [oomScoreAnnotation]: String(hostConfig.OomScoreAdj) }),
      ...seccompAnnotation(seccomp, settings),
    },
    linux: {
      namespaces: ociNamespaces(
        start.namespaces,
        userSource(ids, userNamespace),
        settings.facts.cgroupNamespaces,
      ),
      ...(ids !== undefined && { uidMappings: ids.uid, gidMappings: ids.gid }),
      devices,
      cgroupsPath: settings.cgroupPath(start.id, hostConfig.CgroupParent),
      resources: { ...(await ociResources(hostConfig)), devices: rules },
      ...propagation(start),
      ...hiddenPaths(hostConfig, settings.facts),
      sysctl: sysctls(start, ids !== undefined),
      ...seccompProfile(seccomp, settings),
    },
  }
}

/** A container's limits: those asked for, and the daemon's defaults. */
export function containerRlimits(
  hostConfig: HostConfig,
  settings: Pick<OciSettings, 'defaultUlimits' | 'facts'>,
): OciRlimit[] {
  return ociRlimits(settings.defaultUlimits, hostConfig.Ulimits ?? [], settings.facts.hardLimits)
}

/** The text of a configuration. Most numbers are doubles: an unlimited 64-bit value is written out exactly. */
export function serializeOci(value: OciSpec | OciProcess): string {
  return encodeJson(value).replaceAll('18446744073709552000', '18446744073709551615')
}

function seccompAnnotation(filter: SeccompFilter | undefined, settings: OciSettings): Record<string, string> {
  return settings.runtimeTakesBpf && filter?.bpf !== undefined ? { [bpfAnnotation]: filter.bpf } : {}
}

/** The profile itself, for runtimes that compile it and for filters that only they can. */
function seccompProfile(
  filter: SeccompFilter | undefined,
  settings: OciSettings,
): Pick<OciSpec['linux'], 'seccomp'> {
  if (filter === undefined || (settings.runtimeTakesBpf && filter.bpf !== undefined)) return {}
  return { seccomp: filter.profile }
}

function capabilities(hostConfig: HostConfig, facts: KernelFacts): string[] {
  const request = {
    add: hostConfig.CapAdd ?? [],
    drop: hostConfig.CapDrop ?? [],
    privileged: hostConfig.Privileged,
  }
  return containerCapabilities(request, facts.capabilities)
}

function userSource(ids: IdMapping | undefined, path: string | undefined): NamespaceSource {
  if (ids === undefined) return { kind: 'host' }
  return path === undefined ? { kind: 'new' } : { kind: 'path', path }
}

/** An init makes sense only where the container's process is the first of a pid namespace. */
function usedInit(start: ContainerTaskStart, settings: OciSettings): string | undefined {
  const wanted = start.hostConfig.Init ?? settings.defaultInit
  if (!wanted || start.namespaces.pid.kind !== 'new') return undefined
  if (settings.initPath === undefined) {
    throw new EngineError('internal', 'exec: "docker-init": executable file not found in $PATH')
  }
  return settings.initPath
}

function hiddenPaths(
  hostConfig: HostConfig,
  facts: KernelFacts,
): { maskedPaths: string[]; readonlyPaths: string[] } {
  if (hostConfig.Privileged) return { maskedPaths: [], readonlyPaths: [] }
  return {
    maskedPaths: hostConfig.MaskedPaths ?? [...defaultMaskedPaths, ...facts.thermalPaths],
    readonlyPaths: hostConfig.ReadonlyPaths ?? [...defaultReadonlyPaths],
  }
}

/** The domain name is a parameter for runtimes of old; inside a user namespace nobody may write that. */
function hostNames(start: ContainerTaskStart, remapped: boolean): Pick<OciSpec, 'hostname' | 'domainname'> {
  const { config, hostname, namespaces } = start
  if (namespaces.uts.kind !== 'new') return {}
  return { hostname, ...(remapped && config.Domainname !== '' && { domainname: config.Domainname }) }
}

function sysctls(start: ContainerTaskStart, remapped: boolean): Record<string, string> {
  const { hostConfig, config, namespaces } = start
  const asked = hostConfig.Sysctls ?? {}
  checkSysctls(asked, {
    ipc: namespaces.ipc.kind !== 'host',
    network: hostConfig.NetworkMode !== 'host' && namespaces.network.kind !== 'host',
    uts: namespaces.uts.kind !== 'host',
  })
  const result: Record<string, string> = {}
  const joined = hostConfig.NetworkMode === 'host' || hostConfig.NetworkMode.startsWith('container:')
  if (!joined && namespaces.network.kind !== 'host') {
    // Docker's choice: ping sockets and low ports without capabilities, as the container's network is its own.
    if (!remapped) result['net.ipv4.ping_group_range'] = '0 2147483647'
    result['net.ipv4.ip_unprivileged_port_start'] = '0'
  }
  if (config.Domainname !== '' && namespaces.uts.kind === 'new' && !remapped)
    result['kernel.domainname'] = config.Domainname
  return { ...result, ...asked }
}

/** The root's propagation must let through what a shared or slave mount below it asks for. */
function propagation(start: ContainerTaskStart): { rootfsPropagation?: string } {
  const all = new Set(start.mounts.flatMap((mount) => mount.options))
  if (all.has('shared') || all.has('rshared')) return { rootfsPropagation: 'shared' }
  if (all.has('slave') || all.has('rslave')) return { rootfsPropagation: 'rslave' }
  return {}
}
