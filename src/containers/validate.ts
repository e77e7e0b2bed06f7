/** Checks of a create or update request that need no other room. Every refusal is Docker's. */
import { isIP } from 'node:net'
import { EngineError } from '../spec/errors.ts'
import type { ContainerConfig, HostConfig, PortMap, RestartPolicy } from '../spec/container-config.ts'
import { joinedContainer } from './modes.ts'
import { isNoPolicy } from './restart-policy.ts'
import { parseSignal } from './signals.ts'

const millisecondNs = 1_000_000
const longestHostname = 64

/** Checks the portable part. Throws invalid. */
export function validateConfig(config: ContainerConfig): void {
  if (config.StopSignal !== '') parseSignal(config.StopSignal)
  for (const entry of config.Env ?? []) {
    if (entry === '' || entry.startsWith('=')) refuse(`invalid environment variable: ${entry}`)
    if (entry.includes('\0')) refuse(`invalid environment variable: ${JSON.stringify(entry)}`)
  }
  for (const port of Object.keys(config.ExposedPorts ?? {})) {
    if (!isPortRange(port)) refuse(`invalid port specification: "${port}"`)
  }
  // The kernel takes 64 bytes; what a name may hold is left to those who resolve it, but it becomes lines of files.
  if (config.Hostname.length > longestHostname || /[\s/:\0]/.test(config.Hostname)) {
    refuse(`invalid hostname format: ${config.Hostname}`)
  }
  if (/[\s/:\0]/.test(config.Domainname)) refuse(`invalid domainname format: ${config.Domainname}`)
  validateHealth(config)
}

function validateHealth({ Healthcheck: health }: ContainerConfig): void {
  if (health === null) return
  for (const field of ['Interval', 'Timeout', 'StartPeriod', 'StartInterval'] as const) {
    if (health[field] !== 0 && health[field] < millisecondNs) {
      refuse(`${field} in Healthcheck cannot be less than 1ms`)
    }
  }
  if (health.Retries < 0) refuse('Retries in Healthcheck cannot be negative')
}

/** Checks the part that depends on the host, and how both go together. Throws invalid. */
export function validateHostConfig(config: ContainerConfig, hostConfig: HostConfig): void {
  validateNetworkMode(config, hostConfig)
  validateNamespaceModes(hostConfig)
  if (hostConfig.UTSMode === 'host' && config.Hostname !== '') {
    refuse('conflicting options: hostname and the UTS mode')
  }
  if (hostConfig.UTSMode === 'host' && config.Domainname !== '') {
    refuse('conflicting options: domainname and the UTS mode')
  }
  if (hostConfig.AutoRemove && !isNoPolicy(hostConfig.RestartPolicy)) {
    refuse("can't create 'AutoRemove' container with restart policy")
  }
  for (const entry of hostConfig.ExtraHosts ?? []) validateExtraHost(entry)
  validatePortBindings(hostConfig.PortBindings)
  validateRestartPolicy(hostConfig.RestartPolicy)
  if (hostConfig.Isolation !== '' && hostConfig.Isolation !== 'default') {
    refuse(`invalid isolation '${hostConfig.Isolation}' on linux`)
  }
  if (Object.hasOwn(hostConfig.Annotations ?? {}, '')) {
    refuse('invalid Annotations: the empty string is not permitted as an annotation key')
  }
  if (hostConfig.ShmSize < 0) refuse('SHM size can not be less than 0')
}

function validateNetworkMode(config: ContainerConfig, hostConfig: HostConfig): void {
  const joined = joinedContainer(hostConfig.NetworkMode)
  const links = (hostConfig.Links ?? []).length > 0
  if (hostConfig.NetworkMode === 'host' && links) {
    refuse(
      "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
    )
  }
  if ((hostConfig.NetworkMode === 'host' || joined !== undefined) && config.MacAddress !== '') {
    refuse('conflicting options: mac-address and the network mode')
  }
  if (joined === undefined) return
  if (joined === '' || hostConfig.NetworkMode === 'container') {
    refuse('invalid network mode: invalid container format container:<name|id>')
  }
  if (links) {
    refuse(
      "conflicting options: container type network can't be used with links. This would result in undefined behavior",
    )
  }
  const conflicts: [boolean, string][] = [
    [config.Hostname !== '', 'hostname and the network mode'],
    [(hostConfig.Dns ?? []).length > 0, 'dns and the network mode'],
    [(hostConfig.ExtraHosts ?? []).length > 0, 'custom host-to-IP mapping and the network mode'],
    [
      Object.keys(hostConfig.PortBindings ?? {}).length > 0 || hostConfig.PublishAllPorts,
      'port publishing and the container type network mode',
    ],
    [Object.keys(config.ExposedPorts ?? {}).length > 0, 'port exposing and the container type network mode'],
  ]
  for (const [conflict, text] of conflicts) if (conflict) refuse(`conflicting options: ${text}`)
}

function validateNamespaceModes(hostConfig: HostConfig): void {
  const { PidMode, IpcMode, UTSMode, CgroupnsMode, UsernsMode } = hostConfig
  const joins = (mode: string) => (joinedContainer(mode) ?? '') !== ''
  if (PidMode !== '' && PidMode !== 'host' && !joins(PidMode)) refuse(`invalid PID mode: ${PidMode}`)
  if (!['', 'none', 'private', 'shareable', 'host'].includes(IpcMode) && !joins(IpcMode)) {
    refuse(`invalid IPC mode: ${IpcMode}`)
  }
  if (UTSMode !== '' && UTSMode !== 'host') refuse(`invalid UTS mode: ${UTSMode}`)
  if (!['', 'private', 'host'].includes(CgroupnsMode)) {
    refuse(`invalid cgroup namespace mode: ${CgroupnsMode}`)
  }
  if (UsernsMode !== '' && UsernsMode !== 'host') refuse(`invalid user namespace mode: ${UsernsMode}`)
}

function validateExtraHost(entry: string): void {
  const separator = entry.search(/[:=]/)
  const host = entry.slice(0, Math.max(separator, 0))
  if (host === '' || /[\s#\0]/.test(entry)) refuse(`bad format for add-host: "${entry}"`)
  const address = entry.slice(separator + 1)
  const bare = address.startsWith('[') && address.endsWith(']') ? address.slice(1, -1) : address
  if (address !== 'host-gateway' && isIP(bare) === 0) refuse(`invalid IP address in add-host: "${address}"`)
}

function validatePortBindings(ports: PortMap): void {
  for (const [port, bindings] of Object.entries(ports ?? {})) {
    if (!isPortRange(port)) refuse(`invalid port specification: "${port}"`)
    for (const binding of bindings ?? []) {
      if (binding.HostPort !== '' && !isPortRange(binding.HostPort)) {
        refuse(`invalid port specification: "${binding.HostPort}"`)
      }
      if (binding.HostIp !== '' && isIP(binding.HostIp) === 0) {
        refuse(`invalid IP address: ${binding.HostIp}`)
      }
    }
  }
}

/** Whether the text is `port[-port][/protocol]`. */
function isPortRange(text: string): boolean {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(text)
  if (match === null) return false
  const first = Number(match[1])
  const last = match[2] === undefined ? first : Number(match[2])
  return first <= last && last <= 65_535
}

/** Throws invalid for an unknown policy or a count where it has no meaning. */
export function validateRestartPolicy(policy: RestartPolicy): void {
  switch (policy.Name) {
    case 'always':
    case 'unless-stopped':
    case 'no': {
      if (policy.MaximumRetryCount === 0) return
      const negative = policy.MaximumRetryCount < 0 ? ' and cannot be negative' : ''
      return refuse(
        `invalid restart policy: maximum retry count can only be used with 'on-failure'${negative}`,
      )
    }
    case 'on-failure':
      if (policy.MaximumRetryCount < 0) {
        refuse('invalid restart policy: maximum retry count cannot be negative')
      }
      return
    case '':
      return
    default:
      refuse(
        `invalid restart policy: unknown policy '${policy.Name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
      )
  }
}

function refuse(message: string): never {
  throw new EngineError('invalid', message)
}
