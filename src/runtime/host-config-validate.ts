/**
 * Host configuration at create and update: defaults filled in, what the kernel cannot do taken out with a warning,
 * nonsense refused. Texts are Docker's (moby, daemon/container.go and daemon_unix.go).
 */
import type { HostConfig, Resources } from '../spec/container-config.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import type { KernelFacts } from '../kernel/host-info.ts'
import { tmpfsOptions } from '../kernel/mount-options.ts'
import { normalizeCapabilities } from './capabilities.ts'
import { parseDeviceRule } from './devices.ts'
import { checkResources, completeResources } from './host-config-resources.ts'
import { defaultMaskedPaths, defaultReadonlyPaths } from './oci-paths.ts'
import { checkUlimits } from './rlimits.ts'
import { parseSecurityOptions } from './security-options.ts'

/** What of daemon.json decides about host configurations. */
export type HostConfigSettings = {
  defaultShmSizeBytes: number
  defaultIpcMode: string
  /** `host` or `private`; empty for the layout's default. */
  defaultCgroupnsMode: string
  defaultRuntime: string
  runtimes: readonly string[]
  /** Whether `userns-remap` is on. */
  remapped: boolean
}

/** Checks and completes in place; answers warnings in Docker's order. Throws invalid. */
export function validateHostConfig(
  hostConfig: HostConfig,
  facts: KernelFacts,
  settings: HostConfigSettings,
): string[] {
  checkPolicies(hostConfig)
  checkCapabilities(hostConfig, facts)
  complete(hostConfig, facts, settings)
  const warnings = checkResources(hostConfig, facts, false)
  checkModes(hostConfig, settings)
  warnings.push(...checkUlimits(hostConfig.Ulimits ?? [], facts.hardLimits))
  warnings.push(...networkWarnings(hostConfig, facts))
  checkRuntime(hostConfig, settings)
  checkTmpfs(hostConfig)
  if (hostConfig.CgroupnsMode === 'private' && !facts.cgroupNamespaces) {
    warnings.push('Your kernel does not support cgroup namespaces.  Cgroup namespace setting discarded.')
  }
  warnings.push(...securityWarnings(hostConfig, facts))
  for (const rule of hostConfig.DeviceCgroupRules ?? []) parseDeviceRule(rule)
  return warnings
}

/** Checks the limits of an update in place; answers warnings. Throws invalid. */
export function validateUpdate(resources: Resources, facts: KernelFacts): string[] {
  return checkResources(resources, facts, true)
}

function checkPolicies(hostConfig: HostConfig): void {
  const { Name: name, MaximumRetryCount: retries } = hostConfig.RestartPolicy
  if (hostConfig.AutoRemove && name !== '' && name !== 'no') {
    refuse("can't create 'AutoRemove' container with restart policy")
  }
  if (['always', 'no', 'unless-stopped'].includes(name)) {
    if (retries !== 0) {
      const negative = retries < 0 ? ' and cannot be negative' : ''
      refuse(`invalid restart policy: maximum retry count can only be used with 'on-failure'${negative}`)
    }
  } else if (name === 'on-failure') {
    if (retries < 0) refuse('invalid restart policy: maximum retry count cannot be negative')
  } else if (name !== '') {
    refuse(
      `invalid restart policy: unknown policy '${name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
    )
  }
  if (!['', 'default'].includes(hostConfig.Isolation.toLowerCase())) {
    refuse(`invalid isolation '${hostConfig.Isolation}' on linux`)
  }
  if (Object.keys(hostConfig.Annotations ?? {}).includes('')) {
    refuse('invalid Annotations: the empty string is not permitted as an annotation key')
  }
}

function checkCapabilities(hostConfig: HostConfig, facts: KernelFacts): void {
  const normalize = (field: 'CapAdd' | 'CapDrop') => {
    const asked = hostConfig[field]
    if (asked === null) return
    try {
      const names = normalizeCapabilities(asked, facts.capabilities)
      hostConfig[field] = [...new Set(names)].sort()
    } catch (error) {
      throw new EngineError('invalid', `invalid ${field}: ${errorMessage(error)}`, { cause: error })
    }
  }
  normalize('CapAdd')
  normalize('CapDrop')
}

function complete(hostConfig: HostConfig, facts: KernelFacts, settings: HostConfigSettings): void {
  completeResources(hostConfig)
  if (hostConfig.ShmSize === 0) hostConfig.ShmSize = settings.defaultShmSizeBytes
  if (hostConfig.IpcMode === '') hostConfig.IpcMode = settings.defaultIpcMode
  if (hostConfig.CgroupnsMode === '') {
    const v2 = facts.cgroup.mode === 'v2'
    const fallback = settings.defaultCgroupnsMode || (v2 ? 'private' : 'host')
    hostConfig.CgroupnsMode = hostConfig.Privileged && !v2 ? 'host' : fallback
  }
  if (hostConfig.Runtime === '') hostConfig.Runtime = settings.defaultRuntime
  if (hostConfig.Privileged) {
    hostConfig.MaskedPaths ??= []
    hostConfig.ReadonlyPaths ??= []
  }
  hostConfig.MaskedPaths ??= [...defaultMaskedPaths, ...facts.thermalPaths]
  hostConfig.ReadonlyPaths ??= [...defaultReadonlyPaths]
}

function checkModes(hostConfig: HostConfig, settings: HostConfigSettings): void {
  const { IpcMode: ipc, PidMode: pid, UTSMode: uts, UsernsMode: userns } = hostConfig
  const container = (mode: string) => /^container:.+$/.test(mode)
  if (!['private', 'host', 'shareable', 'none'].includes(ipc) && !container(ipc)) {
    refuse(`invalid IPC mode: ${ipc}`)
  }
  if (!['', 'host'].includes(pid) && !container(pid)) refuse(`invalid PID mode: ${pid}`)
  if (hostConfig.ShmSize < 0) refuse('SHM size can not be less than 0')
  if (!['', 'host'].includes(uts)) refuse(`invalid UTS mode: ${uts}`)
  if (!['', 'host'].includes(userns)) refuse(`invalid USER mode: ${userns}`)
  if (!['private', 'host'].includes(hostConfig.CgroupnsMode)) {
    refuse(`invalid cgroup namespace mode: ${hostConfig.CgroupnsMode}`)
  }
  const score = hostConfig.OomScoreAdj
  if (score < -1000 || score > 1000)
    refuse(`Invalid value ${score}, range for oom score adj is [-1000, 1000]`)
  if (settings.remapped && userns !== 'host') checkRemapped(hostConfig)
}

function checkRemapped(hostConfig: HostConfig): void {
  if (hostConfig.Privileged) {
    refuse(
      'privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode',
    )
  }
  if (hostConfig.NetworkMode === 'host') {
    refuse("cannot share the host's network namespace when user namespaces are enabled")
  }
  if (hostConfig.PidMode === 'host') {
    refuse('cannot share the host PID namespace when user namespaces are enabled')
  }
}

function networkWarnings(hostConfig: HostConfig, facts: KernelFacts): string[] {
  const warnings: string[] = []
  const mode = hostConfig.NetworkMode
  if (!facts.ipv4Forwarding && mode !== 'host' && mode !== 'none') {
    warnings.push('IPv4 forwarding is disabled. Networking will not work.')
  }
  if (mode === 'host' && Object.keys(hostConfig.PortBindings ?? {}).length > 0) {
    warnings.push('Published ports are discarded when using host network mode')
  }
  return warnings
}

function checkRuntime(hostConfig: HostConfig, settings: HostConfigSettings): void {
  if (!settings.runtimes.includes(hostConfig.Runtime)) {
    refuse(`unknown or invalid runtime name: ${hostConfig.Runtime}`)
  }
}

function checkTmpfs(hostConfig: HostConfig): void {
  for (const [destination, options] of Object.entries(hostConfig.Tmpfs ?? {})) {
    if (!destination.startsWith('/')) {
      refuse(`invalid mount path: '${destination}' mount path must be absolute`)
    }
    if (/^\/*(\.\/*)*$/.test(destination)) refuse("invalid specification: destination can't be '/'")
    tmpfsOptions(options)
  }
}

/** Decodes the options once, so that a bad one fails at create; says what this kernel has no module for. */
function securityWarnings(hostConfig: HostConfig, facts: KernelFacts): string[] {
  const { apparmor, labels } = parseSecurityOptions(hostConfig.SecurityOpt ?? [], false)
  const warnings: string[] = []
  if (!facts.apparmor && apparmor !== '' && apparmor !== 'unconfined') {
    warnings.push('Your kernel does not support AppArmor or it is not enabled. AppArmor profile discarded.')
  }
  if (!facts.selinux && labels.some((label) => label !== 'disable')) {
    warnings.push('Your kernel does not support SELinux or it is not enabled. Security labels discarded.')
  }
  return warnings
}

function refuse(message: string): never {
  throw new EngineError('invalid', message)
}
