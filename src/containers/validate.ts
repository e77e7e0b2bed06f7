/**
 * Checks of a create request that need neither kernel nor other rooms. Every refusal is Docker's. Policies, modes and
 * limits are checked by the runtime.
 */
import { isIP } from 'node:net'
import { EngineError } from '../spec/errors.ts'
import type { ContainerConfig, HostConfig, PortMap } from '../spec/container-config.ts'
import { joinedContainer } from './modes.ts'
import { parseSignal } from '../lib/signals.ts'

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

/** Checks how the host's part and the portable part go together, ports and hosts. Throws invalid. */
export function validateHostConfig(config: ContainerConfig, hostConfig: HostConfig): void {
  validateNetworkMode(config, hostConfig)
  if (hostConfig.UTSMode === 'host' && config.Hostname !== '') {
    refuse('conflicting options: hostname and the UTS mode')
  }
  if (hostConfig.UTSMode === 'host' && config.Domainname !== '') {
    refuse('conflicting options: domainname and the UTS mode')
  }
  for (const entry of hostConfig.ExtraHosts ?? []) validateExtraHost(entry)
  validatePortBindings(hostConfig.PortBindings)
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
  if (joined === '' || hostConfig.NetworkMode === 'container') {
    refuse('invalid network mode: invalid container format container:<name|id>')
  }
  if (joined === undefined) return
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

function refuse(message: string): never {
  throw new EngineError('invalid', message)
}
