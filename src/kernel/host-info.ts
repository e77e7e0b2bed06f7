/**
 * What this machine is and can: facts for `info`, for warnings, and for what goes into a container's configuration.
 * Read once at start; all parsing is of texts, so that it is testable with those of other machines.
 */
import { existsSync, readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { capabilityNames } from '../spec/capabilities.ts'
import { errorCode } from '../spec/errors.ts'
import { detectCgroups, type CgroupLayout } from './cgroup-layout.ts'

/** Which limits the mounted cgroup controllers offer. */
export type CgroupFeatures = {
  memoryLimit: boolean
  swapLimit: boolean
  memoryReservation: boolean
  memorySwappiness: boolean
  oomKillDisable: boolean
  kernelMemory: boolean
  pidsLimit: boolean
  cpuCfs: boolean
  cpuShares: boolean
  cpuRealtime: boolean
  cpuset: boolean
  blkioWeight: boolean
  blkioWeightDevice: boolean
  blkioThrottle: boolean
}

/** See the file's head. */
export type KernelFacts = {
  kernelVersion: string
  /** As `uname -m`. */
  architecture: string
  operatingSystem: string
  osVersion: string
  cpuCount: number
  memoryBytes: number
  cgroup: CgroupLayout
  features: CgroupFeatures
  /** CPUs and memory nodes that containers may use, as lists (`0-3,7`). */
  cpusetCpus: string
  cpusetMems: string
  cgroupNamespaces: boolean
  /** Capabilities that the daemon has to give. */
  capabilities: readonly string[]
  apparmor: boolean
  selinux: boolean
  seccomp: boolean
  ipv4Forwarding: boolean
  bridgeNfIptables: boolean
  bridgeNfIp6tables: boolean
  /** The daemon's hard limits by OCI name, where it may not exceed them (no CAP_SYS_RESOURCE). */
  hardLimits?: Readonly<Record<string, number>>
  /** Further paths to hide from containers: they tell about other tenants' load. */
  thermalPaths: readonly string[]
}

/** Reads the facts of this machine. */
export function readKernelFacts(cgroup: CgroupLayout = detectCgroups()): KernelFacts {
  const status = readText('/proc/self/status')
  const capabilities = parseCapabilities(status)
  const osRelease = parseOsRelease(readText('/etc/os-release') || readText('/usr/lib/os-release'))
  const hardLimits = capabilities.includes('CAP_SYS_RESOURCE')
    ? undefined
    : parseLimits(readText('/proc/self/limits'))
  const cpuCount = Math.max(cpus().length, 1)
  return {
    kernelVersion: release(),
    architecture: machine(),
    operatingSystem: osRelease['PRETTY_NAME'] ?? 'Linux',
    osVersion: osRelease['VERSION_ID'] ?? '',
    cpuCount: Math.min(cpuCount, availableParallelism()),
    memoryBytes: totalmem(),
    cgroup,
    features: cgroupFeatures(cgroup, existsSync),
    cpusetCpus: cpusetList(cgroup, 'cpus'),
    cpusetMems: cpusetList(cgroup, 'mems'),
    cgroupNamespaces: existsSync('/proc/self/ns/cgroup'),
    capabilities,
    apparmor: readText('/sys/module/apparmor/parameters/enabled').startsWith('Y'),
    selinux: existsSync('/sys/fs/selinux/enforce'),
    seccomp: /^Seccomp:/m.test(status),
    // The daemon itself may switch it on later.
    get ipv4Forwarding() {
      return readText('/proc/sys/net/ipv4/ip_forward').trim() === '1'
    },
    bridgeNfIptables: readText('/proc/sys/net/bridge/bridge-nf-call-iptables').trim() === '1',
    bridgeNfIp6tables: readText('/proc/sys/net/bridge/bridge-nf-call-ip6tables').trim() === '1',
    ...(hardLimits !== undefined && { hardLimits }),
    thermalPaths: thermalPaths(readText('/sys/devices/system/cpu/possible')),
  }
}

/** `SecurityOptions` of info. */
export function securityOptions(
  facts: KernelFacts,
  { cgroupnsPrivate, isRemapped }: { cgroupnsPrivate: boolean; isRemapped: boolean },
): string[] {
  const options: string[] = []
  if (facts.apparmor) options.push('name=apparmor')
  if (facts.seccomp) options.push('name=seccomp,profile=builtin')
  if (facts.selinux) options.push('name=selinux')
  if (isRemapped) options.push('name=userns')
  if (cgroupnsPrivate) options.push('name=cgroupns')
  return options
}

/** `Warnings` of info, as Docker words what a kernel lacks. */
export function kernelWarnings(facts: KernelFacts): string[] {
  const { features } = facts
  const v2 = facts.cgroup.mode === 'v2'
  const missing: [boolean, string][] = [
    [features.memoryLimit, 'No memory limit support'],
    [features.swapLimit, 'No swap limit support'],
    [features.oomKillDisable || v2, 'No oom kill disable support'],
    [features.cpuCfs, 'No cpu cfs quota support'],
    [features.cpuCfs, 'No cpu cfs period support'],
    [features.cpuShares, 'No cpu shares support'],
    [features.cpuset, 'No cpuset support'],
    ...throttleNames(v2).map((name): [boolean, string] => [features.blkioThrottle, `No ${name} support`]),
    [facts.ipv4Forwarding, 'IPv4 forwarding is disabled'],
  ]
  return missing.filter(([there]) => !there).map(([, what]) => `WARNING: ${what}`)
}

/** Block I/O limits as each version names them. */
function throttleNames(v2: boolean): string[] {
  if (v2) return ['io.max (rbps)', 'io.max (wbps)', 'io.max (riops)', 'io.max (wiops)']
  const limits = ['read_bps_device', 'write_bps_device', 'read_iops_device', 'write_iops_device']
  return limits.map((name) => `blkio throttle.${name}`)
}

/** Which limits exist, from the files of the controllers' roots (version 1) or of what version 2 offers. */
export function cgroupFeatures(layout: CgroupLayout, exists: (path: string) => boolean): CgroupFeatures {
  if (layout.mode === 'v2') return cgroupFeaturesV2(layout.unifiedControllers)
  const has = (controller: string, file: string) => {
    const directory = layout.controllers.get(controller)
    return directory !== undefined && exists(join(directory, file))
  }
  return {
    memoryLimit: has('memory', 'memory.limit_in_bytes'),
    swapLimit: has('memory', 'memory.memsw.limit_in_bytes'),
    memoryReservation: has('memory', 'memory.soft_limit_in_bytes'),
    memorySwappiness: has('memory', 'memory.swappiness'),
    oomKillDisable: has('memory', 'memory.oom_control'),
    kernelMemory: false,
    pidsLimit: layout.controllers.has('pids'),
    cpuCfs: has('cpu', 'cpu.cfs_quota_us'),
    cpuShares: has('cpu', 'cpu.shares'),
    cpuRealtime: has('cpu', 'cpu.rt_runtime_us'),
    cpuset: layout.controllers.has('cpuset'),
    blkioWeight: has('blkio', 'blkio.weight') || has('blkio', 'blkio.bfq.weight'),
    blkioWeightDevice: has('blkio', 'blkio.weight_device') || has('blkio', 'blkio.bfq.weight_device'),
    blkioThrottle: has('blkio', 'blkio.throttle.read_bps_device'),
  }
}

function cgroupFeaturesV2(controllers: ReadonlySet<string>): CgroupFeatures {
  const memory = controllers.has('memory')
  const io = controllers.has('io')
  return {
    memoryLimit: memory,
    swapLimit: memory,
    memoryReservation: memory,
    memorySwappiness: false,
    oomKillDisable: false,
    kernelMemory: false,
    pidsLimit: controllers.has('pids'),
    cpuCfs: controllers.has('cpu'),
    cpuShares: controllers.has('cpu'),
    cpuRealtime: false,
    cpuset: controllers.has('cpuset'),
    blkioWeight: io,
    blkioWeightDevice: io,
    blkioThrottle: io,
  }
}

/** Names of the capabilities that are both permitted and in the bounding set, from /proc/self/status. */
export function parseCapabilities(status: string): string[] {
  const bits = (name: string) =>
    BigInt(`0x${new RegExp(`^${name}:\\s*([0-9a-f]+)`, 'm').exec(status)?.[1] ?? '0'}`)
  const have = bits('CapPrm') & bits('CapBnd')
  return capabilityNames.filter((_name, index) => (have >> BigInt(index)) & 1n)
}

/** Hard limits of /proc/self/limits by OCI name; unlimited ones are left out. */
export function parseLimits(text: string): Record<string, number> {
  const limits: Record<string, number> = {}
  for (const [label, name] of Object.entries(limitLabels)) {
    const hard = new RegExp(`^${label}\\s+\\S+\\s+(\\d+)`, 'm').exec(text)?.[1]
    if (hard !== undefined) limits[name] = Number(hard)
  }
  return limits
}

const limitLabels: Readonly<Record<string, string>> = {
  'Max cpu time': 'RLIMIT_CPU',
  'Max file size': 'RLIMIT_FSIZE',
  'Max data size': 'RLIMIT_DATA',
  'Max stack size': 'RLIMIT_STACK',
  'Max core file size': 'RLIMIT_CORE',
  'Max resident set': 'RLIMIT_RSS',
  'Max processes': 'RLIMIT_NPROC',
  'Max open files': 'RLIMIT_NOFILE',
  'Max locked memory': 'RLIMIT_MEMLOCK',
  'Max file locks': 'RLIMIT_LOCKS',
  'Max pending signals': 'RLIMIT_SIGPENDING',
  'Max msgqueue size': 'RLIMIT_MSGQUEUE',
  'Max nice priority': 'RLIMIT_NICE',
  'Max realtime priority': 'RLIMIT_RTPRIO',
  'Max realtime timeout': 'RLIMIT_RTTIME',
}

/** os-release(5): shell assignments, quotes taken off. */
export function parseOsRelease(text: string): Record<string, string> {
  const values: Record<string, string> = {}
  for (const line of text.split('\n')) {
    const match = /^([A-Z_0-9]+)=(?:"(.*)"|'(.*)'|(.*))$/.exec(line.trim())
    if (match?.[1] !== undefined)
      values[match[1]] = (match[2] ?? match[3] ?? match[4] ?? '').replaceAll('\\', '')
  }
  return values
}

/** Numbers of a kernel list such as `0-2,5`. Throws a RangeError for anything else. Empty text is no number. */
export function parseNumberList(text: string): Set<number> {
  const numbers = new Set<number>()
  if (text.trim() === '') return numbers
  for (const part of text.trim().split(',')) {
    const match = /^(\d{1,7})(?:-(\d{1,7}))?$/.exec(part)
    if (match === null) throw new RangeError(`invalid format: ${text}`)
    const first = Number(match[1])
    const last = Number(match[2] ?? match[1])
    if (last < first || last > 8192) throw new RangeError(`invalid format: ${text}`)
    for (let value = first; value <= last; value++) numbers.add(value)
  }
  return numbers
}

function thermalPaths(possible: string): string[] {
  return [...parseNumberList(possible)]
    .map((cpu) => `/sys/devices/system/cpu/cpu${cpu}/thermal_throttle`)
    .filter((path) => existsSync(path))
}

function cpusetList(layout: CgroupLayout, what: 'cpus' | 'mems'): string {
  const v1 = layout.controllers.get('cpuset')
  if (v1 !== undefined) return readText(join(v1, `cpuset.${what}`)).trim()
  return layout.unified === undefined ? '' : readText(join(layout.unified, `cpuset.${what}.effective`)).trim()
}

function machine(): string {
  const names: Record<string, string> = { x64: 'x86_64', arm64: 'aarch64', ia32: 'i686' }
  return names[process.arch] ?? process.arch
}

/** The file's text, empty where there is none. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES' || code === 'EINVAL') return ''
    throw error
  }
}
