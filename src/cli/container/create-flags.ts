/** The flags of `create` and `run`. */
import { flag } from '../../lib/flags.ts'
import type { Flag, FlagOptions, FlagValues } from '../../lib/flags.ts'
import {
  environmentValue,
  labelValue,
  extraHost,
  ipAddress,
  linkValue,
  searchDomain,
  checkSysctl,
} from './environment.ts'
import { parseMount } from './mounts.ts'
import type { MountRequest } from './mounts.ts'
import { parseNetwork } from './networks.ts'
import type { NetworkAttachment } from './networks.ts'
import {
  parseCpus,
  parseGpus,
  parseThrottleBytes,
  parseThrottleOperations,
  parseUlimit,
  parseWeightDevice,
} from './resources.ts'
import type { DeviceRequest, Ulimit } from './resources.ts'
import { ramInBytes } from '../../lib/units.ts'

type Throttle = { Path: string; Rate: number }

function listOf<T>(
  type: string,
  parse: (text: string) => T,
  help: string,
  options: FlagOptions = {},
): Flag<T[]> {
  return flag.custom<T[]>(
    { type, initial: [], parse: (text, previous) => [...previous, parse(text)] },
    help,
    options,
  )
}

function throttle(parse: (text: string) => Throttle, help: string): Flag<Throttle[]> {
  return listOf('list', parse, help, { shownDefault: '[]' })
}

function attachName(text: string): string {
  const name = text.toLowerCase()
  if (!['stdin', 'stdout', 'stderr'].includes(name))
    throw new Error('valid streams are STDIN, STDOUT and STDERR')
  return name
}

function cgroupRule(text: string): string {
  if (!/^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$/.test(text)) {
    throw new Error(`invalid device cgroup format '${text}'`)
  }
  return text
}

const swapBytes = (text: string) => (text === '-1' ? -1 : ramInBytes(text))

const identity = {
  name: flag.string('Name of the container'),
  hostname: flag.string('Host name inside the container', { short: 'h' }),
  domainname: flag.string('NIS domain name inside the container'),
  user: flag.string('User to run as: <name|uid>[:<group|gid>]', { short: 'u' }),
  'group-add': flag.list('Further groups of the user'),
  workdir: flag.string('Working directory inside the container', { short: 'w' }),
  env: flag.list('Set an environment variable', { short: 'e' }, environmentValue),
  'env-file': flag.list('Set the environment variables listed in a file'),
  label: flag.list('Attach a label', { short: 'l' }, labelValue),
  'label-file': flag.list('Attach the labels listed in a file'),
  annotation: flag.map('Pass an annotation on to the OCI runtime'),
  entrypoint: flag.string("Run this instead of the image's entrypoint"),
  cidfile: flag.string("Write the container's id to a file"),
  platform: flag.string('Platform of the image, where the engine has several'),
  runtime: flag.string('OCI runtime'),
  isolation: flag.string('Isolation technology (Windows)'),
  init: flag.bool('Run an init as process 1, which passes signals on and reaps'),
  interactive: flag.bool('Keep standard input open', { short: 'i' }),
  tty: flag.bool('Give the container a terminal', { short: 't' }),
  attach: flag.list('Attach to STDIN, STDOUT or STDERR', { short: 'a' }, attachName),
  rm: flag.bool('Remove the container and its anonymous volumes when it has ended'),
  restart: flag.string('When to start the container again after it has ended', { initial: 'no' }),
  'stop-signal': flag.string('Signal that stops the container'),
  'stop-timeout': flag.int('Seconds to wait for the container to stop before it is killed'),
  'log-driver': flag.string("Driver of the container's log"),
  'log-opt': flag.list('Option of the log driver'),
  pull: flag.string('When to pull the image ("always", "missing", "never")', { initial: 'missing' }),
  quiet: flag.bool('Do not show the progress of the pull', { short: 'q' }),
  'disable-content-trust': flag.bool("Do not verify the image's signature", { initial: true }),
  help: flag.bool('Show this help'),
}

const limits = {
  memory: flag.bytes('Most memory', { short: 'm' }),
  'memory-reservation': flag.bytes('Memory that is aimed at under pressure'),
  'memory-swap': flag.custom(
    { type: 'bytes', initial: 0, parse: swapBytes },
    "Most memory and swap together; '-1' for unlimited swap",
  ),
  'memory-swappiness': flag.int('Readiness to swap, 0 to 100', { initial: -1 }),
  'kernel-memory': flag.bytes('Most kernel memory'),
  'oom-kill-disable': flag.bool('Do not kill processes when memory runs out'),
  'oom-score-adj': flag.int('Preference of the OOM killer, -1000 to 1000'),
  cpus: flag.custom({ type: 'decimal', initial: 0, parse: parseCpus }, 'Number of CPUs'),
  'cpu-shares': flag.int('Relative weight of CPU time', { short: 'c' }),
  'cpu-period': flag.int('Period of the CPU quota, in microseconds'),
  'cpu-quota': flag.int('CPU time within a period, in microseconds'),
  'cpu-rt-period': flag.int('Period of the real-time scheduler, in microseconds'),
  'cpu-rt-runtime': flag.int('Real-time CPU time within a period, in microseconds'),
  'cpu-count': flag.int('Number of CPUs (Windows)'),
  'cpu-percent': flag.int('Percentage of CPU (Windows)'),
  'cpuset-cpus': flag.string('CPUs to run on (0-3, 0,1)'),
  'cpuset-mems': flag.string('Memory nodes to use (0-3, 0,1)'),
  'pids-limit': flag.int('Most processes; -1 for unlimited'),
  'blkio-weight': flag.uint(16, 'Relative weight of block I/O, 10 to 1000, or 0', { shownDefault: '0' }),
  'blkio-weight-device': listOf('list', parseWeightDevice, 'Relative weight of I/O of a device', {
    shownDefault: '[]',
  }),
  'device-read-bps': throttle(parseThrottleBytes, 'Most bytes a second read from a device'),
  'device-write-bps': throttle(parseThrottleBytes, 'Most bytes a second written to a device'),
  'device-read-iops': throttle(parseThrottleOperations, 'Most reads a second from a device'),
  'device-write-iops': throttle(parseThrottleOperations, 'Most writes a second to a device'),
  'io-maxbandwidth': flag.bytes('Most bytes a second of the system drive (Windows)'),
  'io-maxiops': flag.uint(64, 'Most operations a second of the system drive (Windows)'),
  ulimit: listOf<Ulimit>('ulimit', parseUlimit, 'Resource limit: name=soft[:hard]', { shownDefault: '[]' }),
  'shm-size': flag.bytes('Size of /dev/shm'),
  'cgroup-parent': flag.string("Parent of the container's cgroup"),
}

const isolation = {
  privileged: flag.bool('Give all capabilities and devices'),
  'read-only': flag.bool("Make the container's root file system read-only"),
  'cap-add': flag.list('Add a capability'),
  'cap-drop': flag.list('Take a capability away'),
  'security-opt': flag.list('Security option'),
  device: flag.list('Add a device of the host'),
  'device-cgroup-rule': flag.list('Add a rule about devices', {}, cgroupRule),
  gpus: flag.custom<DeviceRequest[]>(
    { type: 'gpu-request', initial: [], parse: (text, previous) => [...previous, parseGpus(text)] },
    "Add GPUs ('all' for all of them)",
  ),
  sysctl: flag.custom<Record<string, string>>(
    {
      type: 'map',
      initial: {},
      parse: (text, previous) => {
        const at = checkSysctl(text).indexOf('=')
        return { ...previous, [text.slice(0, at)]: text.slice(at + 1) }
      },
    },
    'Set a kernel parameter',
    { shownDefault: 'map[]' },
  ),
  'use-api-socket': flag.bool("Give the container the engine's socket and the credentials for registries"),
  'storage-opt': flag.list('Option of the storage driver'),
  cgroupns: flag.string(
    "Cgroup namespace\n'host':    that of the host\n'private': one of its own\n'':        what the daemon is configured for (default)",
  ),
  ipc: flag.string('IPC namespace'),
  pid: flag.string('PID namespace'),
  userns: flag.string('User namespace'),
  uts: flag.string('UTS namespace'),
}

const storageAndNetwork = {
  volume: flag.list('Mount a volume or a directory of the host', { short: 'v' }),
  'volume-driver': flag.string('Driver of volumes that are created'),
  'volumes-from': flag.list('Mount the volumes of another container'),
  mount: listOf<MountRequest>('mount', parseMount, 'Mount a file system'),
  tmpfs: flag.list('Mount a tmpfs'),
  publish: flag.list('Publish a port: [address:][host:]container', { short: 'p' }),
  'publish-all': flag.bool('Publish all exposed ports at random ones of the host', { short: 'P' }),
  expose: flag.list('Expose a port or a range of ports'),
  network: listOf<NetworkAttachment>('network', parseNetwork, 'Connect the container to a network'),
  net: listOf<NetworkAttachment>('network', parseNetwork, 'Same as --network', { hidden: true }),
  'network-alias': flag.list('Further name of the container on its network'),
  'net-alias': flag.list('Same as --network-alias', { hidden: true }),
  ip: flag.string('IPv4 address'),
  ip6: flag.string('IPv6 address'),
  'link-local-ip': flag.list('Link-local address'),
  'mac-address': flag.string('MAC address (92:d0:c6:0a:29:33)'),
  link: flag.list('Link to another container', {}, linkValue),
  'add-host': flag.list('Add a line to /etc/hosts: host:address', {}, extraHost),
  dns: flag.list('DNS server', {}, ipAddress),
  'dns-option': flag.list('Option of the resolver'),
  'dns-opt': flag.list('Same as --dns-option', { hidden: true }),
  'dns-search': flag.list('DNS search domain', {}, searchDomain),
}

const health = {
  'health-cmd': flag.string('Command that checks health'),
  'health-interval': flag.duration('Time between checks (ms|s|m|h)'),
  'health-retries': flag.int('Failures in a row that mean unhealthy'),
  'health-start-interval': flag.duration('Time between checks in the start period (ms|s|m|h)'),
  'health-start-period': flag.duration('Time to start up in which failures do not count (ms|s|m|h)'),
  'health-timeout': flag.duration('Longest time for a check (ms|s|m|h)'),
  'no-healthcheck': flag.bool("Switch the image's health check off"),
}

/** See the file's description. */
export const createFlags = { ...identity, ...limits, ...isolation, ...storageAndNetwork, ...health }

/** Their values. */
export type CreateFlagValues = FlagValues<typeof createFlags>
