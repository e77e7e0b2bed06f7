/** Answers of `GET /info` and `GET /version`: facts of the kernel, the configuration and what the engine holds. */
import { readdirSync } from 'node:fs'
import { arch, hostname } from 'node:os'
import { kernelWarnings, securityOptions, type KernelFacts } from '../kernel/host-info.ts'
import { formatTimeNs, type Clock } from '../lib/clock.ts'
import { apiVersions, formatApiVersion } from '../spec/api-version.ts'
import type { RegistryIndex, RuntimeEntry, SystemInfo, SystemVersion } from '../spec/system-types.ts'
import type { Settings } from './config-values.ts'
import { isLoopback, type Host } from './hosts.ts'

/** Version of Wharf. */
export const productVersion = '0.1.0'

/** How many containers there are, by what they do. */
export type ContainerCounts = { total: number; running: number; paused: number; stopped: number }

/** What info is made of. Settings are read anew each time: a reload shows at once. */
export type InfoSources = {
  /** Identifies this data root for ever. */
  id: string
  clock: Clock
  settings: () => Settings
  facts: KernelFacts
  hosts: readonly Host[]
  dataRoot: string
  /** Whether containers have ids of their own. */
  isRemapped: boolean
  storage: { driver: string; status: [string, string][] }
  containers: () => ContainerCounts
  images: () => number
  eventListeners: () => number
  runtime: RuntimeFacts
  networkDrivers: () => string[]
  volumeDrivers: () => string[]
  debug: () => boolean
}

/** The OCI runtimes by name, and what the default one says of itself. */
export type RuntimeFacts = {
  defaultName: string
  runtimes: Record<string, RuntimeEntry>
  version: string
  commit: string
}

const goArchitectures: Record<string, string> = { x64: 'amd64', arm64: 'arm64' }

/** `GET /version`. */
export function systemVersion(sources: Pick<InfoSources, 'facts' | 'runtime' | 'settings'>): SystemVersion {
  const common = {
    ApiVersion: formatApiVersion(apiVersions.maximum),
    MinAPIVersion: formatApiVersion(apiVersions.minimum),
    GitCommit: productVersion,
    GoVersion: `node${process.versions.node}`,
    Os: 'linux',
    Arch: goArchitectures[arch()] ?? arch(),
    KernelVersion: sources.facts.kernelVersion,
  }
  const experimental = sources.settings().flag('experimental')
  const { defaultName, version, commit } = sources.runtime
  return {
    Platform: { Name: 'Wharf Engine' },
    Components: [
      { Name: 'Engine', Version: productVersion, Details: { ...common, Experimental: String(experimental) } },
      { Name: defaultName, Version: version, Details: { GitCommit: commit } },
    ],
    Version: productVersion,
    ...common,
    ...(experimental ? { Experimental: true } : {}),
  }
}

/** `GET /info`, in the newest version's shape plus what older ones had. */
export function systemInfo(sources: InfoSources): SystemInfo {
  const settings = sources.settings()
  const counts = sources.containers()
  const pools = settings.pools()
  return {
    ID: sources.id,
    Containers: counts.total,
    ContainersRunning: counts.running,
    ContainersPaused: counts.paused,
    ContainersStopped: counts.stopped,
    Images: sources.images(),
    Driver: sources.storage.driver,
    DriverStatus: sources.storage.status,
    Plugins: {
      Volume: sources.volumeDrivers(),
      Network: sources.networkDrivers(),
      Authorization: null,
      Log: ['journald', 'json-file', 'local', 'none', 'syslog'],
    },
    ...limits(sources.facts),
    Debug: sources.debug(),
    NFd: readdirSync('/proc/self/fd').length,
    NGoroutines: readdirSync('/proc/self/task').length,
    SystemTime: formatTimeNs(sources.clock.nowNs()),
    LoggingDriver: settings.text('log-driver', 'json-file'),
    CgroupDriver: 'cgroupfs',
    CgroupVersion: sources.facts.cgroup.mode === 'v2' ? '2' : '1',
    NEventsListener: sources.eventListeners(),
    ...machine(sources.facts),
    IndexServerAddress: 'https://index.docker.io/v1/',
    RegistryConfig: registryConfig(settings),
    GenericResources: null,
    DockerRootDir: sources.dataRoot,
    ...proxies(settings),
    Labels: settings.list('labels'),
    ExperimentalBuild: settings.flag('experimental'),
    ServerVersion: productVersion,
    Runtimes: sources.runtime.runtimes,
    DefaultRuntime: sources.runtime.defaultName,
    Swarm: {
      NodeID: '',
      NodeAddr: '',
      LocalNodeState: 'inactive',
      ControlAvailable: false,
      Error: '',
      RemoteManagers: null,
    },
    LiveRestoreEnabled: settings.flag('live-restore', true),
    Isolation: '',
    InitBinary: 'wharf-init',
    ContainerdCommit: { ID: '' },
    RuncCommit: { ID: sources.runtime.commit },
    InitCommit: { ID: '' },
    SecurityOptions: securityOptions(sources.facts, {
      cgroupnsPrivate: settings.text('default-cgroupns-mode') !== 'host',
      isRemapped: sources.isRemapped,
    }),
    FirewallBackend: { Driver: 'nftables' },
    DiscoveredDevices: null,
    CDISpecDirs: settings.list('cdi-spec-dirs'),
    ...(pools.length > 0
      ? { DefaultAddressPools: pools.map((pool) => ({ Base: pool.base, Size: pool.size })) }
      : {}),
    ProductLicense: 'Apache-2.0',
    Warnings: warnings(sources, settings),
  }
}

function limits({ features, ipv4Forwarding }: KernelFacts) {
  return {
    MemoryLimit: features.memoryLimit,
    SwapLimit: features.swapLimit,
    KernelMemoryTCP: features.kernelMemory,
    CpuCfsPeriod: features.cpuCfs,
    CpuCfsQuota: features.cpuCfs,
    CPUShares: features.cpuShares,
    CPUSet: features.cpuset,
    PidsLimit: features.pidsLimit,
    IPv4Forwarding: ipv4Forwarding,
    OomKillDisable: features.oomKillDisable,
  }
}

function machine(facts: KernelFacts) {
  return {
    KernelVersion: facts.kernelVersion,
    OperatingSystem: facts.operatingSystem,
    OSVersion: facts.osVersion,
    OSType: 'linux',
    Architecture: facts.architecture,
    NCPU: facts.cpuCount,
    MemTotal: facts.memoryBytes,
    Name: hostname(),
  }
}

function proxies(settings: Settings) {
  const nested = settings.map('proxies')
  const proxy = (name: string) => hidePassword(settings.text(name, nested[name] ?? ''))
  return { HttpProxy: proxy('http-proxy'), HttpsProxy: proxy('https-proxy'), NoProxy: proxy('no-proxy') }
}

/** Info is shown to everybody who may look: credentials in a proxy's address are not. */
function hidePassword(address: string): string {
  return address.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/@]*@/i, '$1xxxxx:xxxxx@')
}

function registryConfig(settings: Settings): SystemInfo['RegistryConfig'] {
  const insecure = settings.list('insecure-registries')
  const mirrors = settings
    .list('registry-mirrors')
    .map((mirror) => (mirror.endsWith('/') ? mirror : `${mirror}/`))
  const indexes: Record<string, RegistryIndex> = {
    'docker.io': { Name: 'docker.io', Mirrors: mirrors, Secure: true, Official: true },
  }
  const networks = ['::1/128', '127.0.0.0/8']
  for (const registry of insecure) {
    if (/^[0-9a-fA-F.:]+\/[0-9]+$/.test(registry)) networks.push(registry)
    else indexes[registry] = { Name: registry, Mirrors: [], Secure: false, Official: false }
  }
  return { InsecureRegistryCIDRs: networks.toSorted(), IndexConfigs: indexes, Mirrors: mirrors }
}

function warnings(sources: InfoSources, settings: Settings): string[] | null {
  const list = kernelWarnings(sources.facts)
  for (const host of sources.hosts) {
    if (host.kind !== 'tcp' || settings.flag('tlsverify')) continue
    const address = `${host.address}:${host.port}`
    const what = settings.flag('tls') ? 'without client authentication' : 'without encryption'
    list.push(
      `WARNING: API is accessible on ${settings.flag('tls') ? 'https' : 'http'}://${address} ${what}.${isLoopback(host.address) ? '' : ' Access to the remote API is equivalent to root access on the host.'}`,
    )
  }
  return list.length === 0 ? null : list
}
