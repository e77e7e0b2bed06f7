/**
 * From a container's configuration to the OCI runtime's: what Docker's defaults are, what the flags change. Building
 * touches the root file system in two ways only, both through the root-scoped resolver: it reads the user database
 * and makes the working directory. All else is data, so the same bundle runs under crun, runc and others.
 */
import { EngineError } from '../spec/errors.ts'
import type { HostConfig } from '../spec/container-config.ts'
import type { OciProcess, OciSpec } from '../spec/oci-runtime-types.ts'
import type { ContainerTaskStart } from '../spec/task-types.ts'
import type { KernelFacts } from '../kernel/host-info.ts'
import { containerCapabilities } from './capabilities.ts'
import { containerDevices } from './devices.ts'
import { ociNamespaces, type IdMappings } from './namespaces.ts'
import { initDestination, ociMounts } from './oci-spec-mounts.ts'
import {
  capabilitySets,
  containerEnvironment,
  makeWorkingDirectory,
  processAnnotations,
} from './oci-spec-process.ts'
import { defaultMaskedPaths, defaultReadonlyPaths } from './oci-paths.ts'
import { ociResources } from './resources-oci.ts'
import { ociRlimits, type Ulimit } from './rlimits.ts'
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
  idMappings?: IdMappings
  /** Whether the runtime takes a compiled seccomp filter by annotation (crun); others get the profile itself. */
  runtimeTakesBpf: boolean
  seccomp: SeccompFilters
}

/** The configuration of a container. Throws Docker's errors; `hostConfig` has been through `validateHostConfig`. */
export async function buildOciSpec(start: ContainerTaskStart, settings: OciSettings): Promise<OciSpec> {
  const { hostConfig, config } = start
  const remapped = settings.idMappings !== undefined && hostConfig.UsernsMode !== 'host'
  const security = parseSecurityOptions(hostConfig.SecurityOpt ?? [], settings.noNewPrivileges)
  const names = capabilities(hostConfig, settings.facts)
  const seccomp = settings.seccomp.filterFor({
    option: security.seccomp,
    privileged: hostConfig.Privileged,
    capabilities: names,
  })
  const { devices, rules } = await containerDevices(hostConfig)
  const user = resolveUser(start.rootfs, config.User, hostConfig.GroupAdd ?? [])
  const owner = rootOwner(remapped ? settings.idMappings : undefined)
  makeWorkingDirectory(start.rootfs, config.WorkingDir, owner)
  const environment = containerEnvironment(config, start.hostname, user.home)
  const initPath = usedInit(start, settings)
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
    ...rlimits(hostConfig, settings),
    noNewPrivileges: security.noNewPrivileges,
    ...(settings.facts.apparmor &&
      security.apparmor !== '' && {
        apparmorProfile: hostConfig.Privileged ? 'unconfined' : security.apparmor,
      }),
    oomScoreAdj: hostConfig.OomScoreAdj,
  }
  return {
    ociVersion: '1.0.2',
    ...(start.namespaces.uts.kind === 'new' && { hostname: start.hostname }),
    root: { path: start.rootfs, readonly: hostConfig.ReadonlyRootfs },
    process,
    mounts: ociMounts(start, initPath),
    annotations: {
      ...hostConfig.Annotations,
      ...processAnnotations(environment, hostConfig),
      ...seccompAnnotation(seccomp, settings),
    },
    linux: {
      namespaces: ociNamespaces(start.namespaces, remapped, settings.facts.cgroupNamespaces),
      ...(remapped && {
        uidMappings: settings.idMappings?.uid ?? [],
        gidMappings: settings.idMappings?.gid ?? [],
      }),
      devices,
      cgroupsPath: settings.cgroupPath(start.id, hostConfig.CgroupParent),
      resources: { ...(await ociResources(hostConfig)), devices: rules },
      ...propagation(start),
      ...hiddenPaths(hostConfig, settings.facts),
      sysctl: sysctls(start, remapped),
      ...seccompProfile(seccomp, settings),
    },
  }
}

/** The text of a configuration. JSON numbers are doubles: an unlimited 64-bit value is written out exactly. */
export function serializeOci(value: OciSpec | OciProcess): string {
  return JSON.stringify(value).replaceAll('18446744073709552000', '18446744073709551615')
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

function rlimits(hostConfig: HostConfig, settings: OciSettings): Pick<OciProcess, 'rlimits'> {
  const limits = ociRlimits(settings.defaultUlimits, hostConfig.Ulimits ?? [], settings.facts.hardLimits)
  return limits.length > 0 ? { rlimits: limits } : {}
}

/** The host's id of the container's root. */
function rootOwner(mappings: IdMappings | undefined): { uid: number; gid: number } {
  const hostId = (list: IdMappings['uid']) => list.find((mapping) => mapping.containerID === 0)?.hostID ?? 0
  return mappings === undefined
    ? { uid: 0, gid: 0 }
    : { uid: hostId(mappings.uid), gid: hostId(mappings.gid) }
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
  if (config.Domainname !== '' && namespaces.uts.kind === 'new')
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
