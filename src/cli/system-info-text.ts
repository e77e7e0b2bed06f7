/** The text of `info`, line by line as Docker's CLI prints it. */
import { bytesSize } from '../lib/units.ts'
import type { SystemInfo } from '../spec/system-types.ts'

function pairs(indent: string, rows: readonly (readonly [string, string])[]): string[] {
  return rows.map(([name, value]) => `${indent}${name}: ${value}`)
}

function securityLines(options: readonly string[]): string[] {
  if (options.length === 0) return []
  const lines = [' Security Options:']
  for (const option of options) {
    const parts = option.split(',').map((part) => part.split('='))
    for (const [key = '', value = ''] of parts) {
      if (key === 'name') lines.push(`  ${value}`)
      else lines.push(`   ${key === 'profile' ? 'Profile' : key}: ${value}`)
    }
  }
  return lines
}

function registryLines(info: SystemInfo): string[] {
  const lines: string[] = []
  const { InsecureRegistryCIDRs, IndexConfigs, Mirrors } = info.RegistryConfig
  const insecure = Object.values(IndexConfigs).filter((registry) => !registry.Secure)
  if (InsecureRegistryCIDRs.length > 0 || insecure.length > 0) {
    lines.push(' Insecure Registries:')
    for (const registry of insecure) lines.push(`  ${registry.Name}`)
    for (const range of InsecureRegistryCIDRs) lines.push(`  ${range}`)
  }
  if (Mirrors.length > 0) lines.push(' Registry Mirrors:', ...Mirrors.map((mirror) => `  ${mirror}`))
  return lines
}

function list(title: string, values: readonly string[] | null | undefined): string[] {
  return values === null || values === undefined || values.length === 0
    ? []
    : [`  ${title}: ${values.join(' ')}`]
}

function swarmLines(info: SystemInfo): string[] {
  const { Swarm } = info
  const lines = [` Swarm: ${Swarm.LocalNodeState}`]
  if (Swarm.LocalNodeState !== 'inactive' && Swarm.LocalNodeState !== 'locked') {
    lines.push(`  NodeID: ${Swarm.NodeID}`)
    if (Swarm.Error !== '') lines.push(`  Error: ${Swarm.Error}`)
    lines.push(`  Is Manager: ${Swarm.ControlAvailable}`, `  Node Address: ${Swarm.NodeAddr}`)
  }
  return lines
}

function engineLines(info: SystemInfo): string[] {
  return [
    ` Containers: ${info.Containers}`,
    `  Running: ${info.ContainersRunning}`,
    `  Paused: ${info.ContainersPaused}`,
    `  Stopped: ${info.ContainersStopped}`,
    ` Images: ${info.Images}`,
    ` Server Version: ${info.ServerVersion}`,
    ` Storage Driver: ${info.Driver}`,
    ...pairs('  ', info.DriverStatus ?? []),
    ` Logging Driver: ${info.LoggingDriver}`,
    ` Cgroup Driver: ${info.CgroupDriver}`,
    ` Cgroup Version: ${info.CgroupVersion}`,
    ' Plugins:',
    ...list('Volume', info.Plugins.Volume),
    ...list('Network', info.Plugins.Network),
    ...list('Authorization', info.Plugins.Authorization),
    ...list('Log', info.Plugins.Log),
    ...swarmLines(info),
    ` Runtimes: ${Object.keys(info.Runtimes).sort().join(' ')}`,
    ` Default Runtime: ${info.DefaultRuntime}`,
    ` Init Binary: ${info.InitBinary}`,
    ` containerd version: ${info.ContainerdCommit.ID}`,
    ` runc version: ${info.RuncCommit.ID}`,
    ` init version: ${info.InitCommit.ID}`,
  ]
}

function hostLines(info: SystemInfo): string[] {
  return [
    ` Kernel Version: ${info.KernelVersion}`,
    ` Operating System: ${info.OperatingSystem}`,
    ` OSType: ${info.OSType}`,
    ` Architecture: ${info.Architecture}`,
    ` CPUs: ${info.NCPU}`,
    ` Total Memory: ${bytesSize(info.MemTotal)}`,
    ` Name: ${info.Name}`,
    ` ID: ${info.ID}`,
    ` Docker Root Dir: ${info.DockerRootDir}`,
    ` Debug Mode: ${info.Debug}`,
  ]
}

function proxyLines(info: SystemInfo): string[] {
  const proxies = [
    ['HTTP Proxy', info.HttpProxy],
    ['HTTPS Proxy', info.HttpsProxy],
    ['No Proxy', info.NoProxy],
  ] as const
  return proxies.flatMap(([name, value]) =>
    value === '' || value === undefined ? [] : [` ${name}: ${value}`],
  )
}

/** The lines below `Server:`. */
export function serverInfoLines(info: SystemInfo): string[] {
  const lines = [...engineLines(info), ...securityLines(info.SecurityOptions ?? []), ...hostLines(info)]
  if (info.Debug) {
    lines.push(`  File Descriptors: ${info.NFd}`, `  Goroutines: ${info.NGoroutines}`)
    lines.push(`  System Time: ${info.SystemTime}`, `  EventsListeners: ${info.NEventsListener}`)
  }
  lines.push(...proxyLines(info))
  if ((info.Labels ?? []).length > 0) lines.push(' Labels:', ...info.Labels.map((label) => `  ${label}`))
  lines.push(` Experimental: ${info.ExperimentalBuild}`, ...registryLines(info))
  lines.push(` Live Restore Enabled: ${info.LiveRestoreEnabled}`)
  if (info.ProductLicense !== undefined && info.ProductLicense !== '')
    lines.push(` Product License: ${info.ProductLicense}`)
  const pools = info.DefaultAddressPools ?? []
  if (pools.length > 0) {
    lines.push(' Default Address Pools:', ...pools.map(({ Base, Size }) => `   Base: ${Base}, Size: ${Size}`))
  }
  if (info.FirewallBackend !== undefined) {
    lines.push(
      ` Firewall Backend: ${info.FirewallBackend.Driver}`,
      ...pairs('  ', info.FirewallBackend.Info ?? []),
    )
  }
  return lines
}
