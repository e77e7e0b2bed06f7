/** From the flags of `create` and `run` to the body of `POST /containers/create`. Error texts are Docker's. */
import { readFileSync } from 'node:fs'
import { fileErrorMessage } from '../../lib/file-error.ts'
import { quoteGo } from '../../lib/go-quote.ts'
import { describeSyntaxError } from '../../lib/http-json-syntax.ts'
import type { ConfigFile } from '../config-file.ts'
import { cut, keyValueMap } from './csv.ts'
import type { CreateFlagValues } from './create-flags.ts'
import { inheritedValue, proxyVariables, readKeyValues } from './environment.ts'
import { parseTmpfs, parseVolumes } from './mounts.ts'
import { checkMac, isUserDefined, parseNetworks } from './networks.ts'
import { parsePorts } from './ports.ts'
import { isCdiName, parseDevice } from './resources.ts'

/** What a create request is made from. */
export type CreateInput = {
  flags: CreateFlagValues
  given: ReadonlySet<string>
  args: readonly string[]
  env: Readonly<Record<string, string | undefined>>
  config: ConfigFile
  /** Address of the engine, for its proxies. */
  host: string
}

/** The body, and the parts of it that the CLI itself needs. */
export type CreateRequest = {
  body: Record<string, unknown>
  image: string
  attach: { stdin: boolean; stdout: boolean; stderr: boolean }
  tty: boolean
  openStdin: boolean
}

type Flags = CreateFlagValues

/** `no`, `always`, `unless-stopped`, `on-failure[:N]`. */
export function restartPolicy(text: string): Record<string, unknown> {
  if (text === '') return {}
  const [Name, count] = cut(text, ':')
  if (count !== undefined && Name === '') {
    throw new Error('invalid restart policy format: no policy provided before colon')
  }
  if (count === undefined || count === '') return { Name, MaximumRetryCount: 0 }
  if (!/^[+-]?\d+$/.test(count)) {
    throw new Error('invalid restart policy format: maximum retry count must be an integer')
  }
  return { Name, MaximumRetryCount: Number(count) }
}

/** Why Go's json.Compact refuses a text. */
function compactionError(text: string): string {
  const { message } = describeSyntaxError(text)
  return message === 'unexpected EOF' ? 'unexpected end of JSON input' : message
}

function seccompProfile(path: string): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const reason = fileErrorMessage(error, path)
    throw new Error(`opening seccomp profile (${path}) failed: ${reason}`, { cause: error })
  }
  try {
    return JSON.stringify(JSON.parse(text))
  } catch (error) {
    const reason = compactionError(text)
    throw new Error(`compacting json for seccomp profile (${path}) failed: ${reason}`, { cause: error })
  }
}

function securityOptions(values: readonly string[]): Record<string, unknown> {
  const options: string[] = []
  let unmasked = false
  for (const value of values) {
    let [key, setting] = cut(value, '=')
    if (setting === undefined && key !== 'no-new-privileges') {
      if (!value.includes(':')) throw new Error(`Invalid --security-opt: ${quoteGo(value)}`)
      ;[key, setting] = cut(value, ':')
    }
    if (value === 'systempaths=unconfined') unmasked = true
    else if (key === 'seccomp' && setting !== undefined && !['unconfined', 'builtin'].includes(setting)) {
      options.push(`seccomp=${seccompProfile(setting)}`)
    } else options.push(value)
  }
  return {
    SecurityOpt: options.length === 0 ? null : options,
    ...(unmasked ? { MaskedPaths: [], ReadonlyPaths: [] } : {}),
  }
}

function storageOptions(values: readonly string[]): Record<string, string> {
  for (const value of values) if (!value.includes('=')) throw new Error('invalid storage option')
  return keyValueMap(values)
}

function checkModes(flags: Flags): void {
  const container = (mode: string) => mode.startsWith('container:') && mode.length > 10
  if (!['', 'host'].includes(flags.pid) && !container(flags.pid)) throw new Error('--pid: invalid PID mode')
  if (!['', 'host'].includes(flags.uts)) throw new Error('--uts: invalid UTS mode')
  if (!['', 'host'].includes(flags.userns)) throw new Error('--userns: invalid USER mode')
  if (!['', 'host', 'private'].includes(flags.cgroupns)) throw new Error('--cgroupns: invalid CGROUP mode')
}

function checkPlatform(text: string): void {
  const parts = text.split('/')
  if (parts.length > 3 || (text !== '' && parts.includes(''))) {
    throw new Error(
      `error parsing specified platform: ${quoteGo(text)}: cannot parse platform specifier: invalid argument`,
    )
  }
}

function healthcheck(flags: Flags): Record<string, unknown> | undefined {
  const names = [
    'health-interval',
    'health-timeout',
    'health-start-period',
    'health-retries',
    'health-start-interval',
  ] as const
  const set = flags['health-cmd'] !== '' || names.some((name) => flags[name] !== 0)
  if (flags['no-healthcheck']) {
    if (set) throw new Error('--no-healthcheck conflicts with --health-* options')
    return { Test: ['NONE'] }
  }
  if (!set) return undefined
  for (const name of names) if (flags[name] < 0) throw new Error(`--${name} cannot be negative`)
  return {
    ...(flags['health-cmd'] === '' ? {} : { Test: ['CMD-SHELL', flags['health-cmd']] }),
    Interval: flags['health-interval'],
    Timeout: flags['health-timeout'],
    StartPeriod: flags['health-start-period'],
    StartInterval: flags['health-start-interval'],
    Retries: flags['health-retries'],
  }
}

/** Devices that a Container Device Interface driver would have to find: one request for all of them. */
function cdiRequests(devices: readonly string[]): Record<string, unknown>[] {
  const names = devices.filter(isCdiName)
  if (names.length === 0) return []
  return [{ Driver: 'cdi', Count: 0, DeviceIDs: names, Capabilities: null, Options: null }]
}

function resources(flags: Flags, given: ReadonlySet<string>): Record<string, unknown> {
  const swappiness = flags['memory-swappiness']
  if (swappiness !== -1 && (swappiness < 0 || swappiness > 100)) {
    throw new Error(`invalid value: ${swappiness}. Valid memory swappiness range is 0-100`)
  }
  return {
    CgroupParent: flags['cgroup-parent'],
    Memory: flags.memory,
    MemoryReservation: flags['memory-reservation'],
    MemorySwap: flags['memory-swap'],
    ...(given.has('memory-swappiness') && swappiness !== -1 ? { MemorySwappiness: swappiness } : {}),
    ...(flags['kernel-memory'] === 0 ? {} : { KernelMemory: flags['kernel-memory'] }),
    ...(given.has('oom-kill-disable') ? { OomKillDisable: flags['oom-kill-disable'] } : {}),
    NanoCpus: flags.cpus,
    CpuCount: flags['cpu-count'],
    CpuPercent: flags['cpu-percent'],
    CpuShares: flags['cpu-shares'],
    CpuPeriod: flags['cpu-period'],
    CpusetCpus: flags['cpuset-cpus'],
    CpusetMems: flags['cpuset-mems'],
    CpuQuota: flags['cpu-quota'],
    CpuRealtimePeriod: flags['cpu-rt-period'],
    CpuRealtimeRuntime: flags['cpu-rt-runtime'],
    ...(given.has('pids-limit') ? { PidsLimit: flags['pids-limit'] } : {}),
    BlkioWeight: flags['blkio-weight'],
    BlkioWeightDevice: flags['blkio-weight-device'],
    BlkioDeviceReadBps: flags['device-read-bps'],
    BlkioDeviceWriteBps: flags['device-write-bps'],
    BlkioDeviceReadIOps: flags['device-read-iops'],
    BlkioDeviceWriteIOps: flags['device-write-iops'],
    IOMaximumIOps: flags['io-maxiops'],
    IOMaximumBandwidth: flags['io-maxbandwidth'],
    Ulimits: flags.ulimit,
    DeviceCgroupRules: flags['device-cgroup-rule'],
    Devices: flags.device.filter((text) => !isCdiName(text)).flatMap(parseDevice),
    DeviceRequests: [...flags.gpus, ...cdiRequests(flags.device)],
  }
}

function hostConfig(input: CreateInput, binds: string[], networkMode: string): Record<string, unknown> {
  const { flags, given } = input
  const policy = restartPolicy(flags.restart)
  if (flags['log-driver'] === 'none' && flags['log-opt'].length > 0) {
    throw new Error(`invalid logging opts for driver ${flags['log-driver']}`)
  }
  const security = securityOptions(flags['security-opt'])
  const storage = storageOptions(flags['storage-opt'])
  const isNone = policy['Name'] === undefined || policy['Name'] === 'no' || policy['Name'] === ''
  if (flags.rm && !isNone) throw new Error('conflicting options: cannot specify both --restart and --rm')
  return {
    Binds: binds,
    ContainerIDFile: flags.cidfile,
    OomScoreAdj: flags['oom-score-adj'],
    AutoRemove: flags.rm,
    Privileged: flags.privileged,
    Links: isUserDefined(networkMode) ? null : flags.link,
    PublishAllPorts: flags['publish-all'],
    Dns: flags.dns,
    DnsOptions: [...flags['dns-option'], ...flags['dns-opt']],
    DnsSearch: flags['dns-search'],
    ExtraHosts: flags['add-host'],
    VolumesFrom: flags['volumes-from'],
    IpcMode: flags.ipc,
    NetworkMode: networkMode,
    PidMode: flags.pid,
    UTSMode: flags.uts,
    UsernsMode: flags.userns,
    CgroupnsMode: flags.cgroupns,
    CapAdd: flags['cap-add'],
    CapDrop: flags['cap-drop'],
    GroupAdd: flags['group-add'],
    RestartPolicy: policy,
    ...security,
    StorageOpt: Object.keys(storage).length === 0 ? null : storage,
    ReadonlyRootfs: flags['read-only'],
    LogConfig: { Type: flags['log-driver'], Config: keyValueMap(flags['log-opt']) },
    VolumeDriver: flags['volume-driver'],
    Isolation: flags.isolation,
    ShmSize: flags['shm-size'],
    ...resources(flags, given),
    Tmpfs: parseTmpfs(flags.tmpfs),
    Sysctls: flags.sysctl,
    Runtime: flags.runtime,
    ...(flags.mount.length === 0 ? {} : { Mounts: flags.mount }),
    Annotations: flags.annotation,
    ...(given.has('init') ? { Init: flags.init } : {}),
  }
}

function environment(input: CreateInput): string[] {
  const { flags, env } = input
  const given = flags.env.map((value) => inheritedValue(value, env))
  return [...proxyVariables(input.config, input.host, given), ...readKeyValues(flags['env-file'], given, env)]
}

/** Makes the request. Throws an Error with Docker's text for values that make no sense together. */
export function createRequest(input: CreateInput): CreateRequest {
  const { flags, given } = input
  const [image = '', ...command] = input.args
  if (flags['mac-address'] !== '') checkMac(flags['mac-address'])
  const asked = new Set(flags.attach)
  const attach = {
    stdin: asked.has('stdin') || flags.interactive,
    stdout: asked.size === 0 || asked.has('stdout'),
    stderr: asked.size === 0 || asked.has('stderr'),
  }
  const { binds, volumes } = parseVolumes(flags.volume)
  checkPlatform(flags.platform)
  const ports = parsePorts(flags.publish, flags.expose)
  const env = environment(input)
  const labels = keyValueMap(readKeyValues(flags['label-file'], flags.label))
  checkModes(flags)
  const networks = parseNetworks([...flags.network, ...flags.net], {
    aliases: [...flags['network-alias'], ...flags['net-alias']],
    links: flags.link,
    ip: flags.ip,
    ip6: flags.ip6,
    linkLocalIps: flags['link-local-ip'],
    macAddress: flags['mac-address'],
  })
  const health = healthcheck(flags)
  const body = {
    Hostname: flags.hostname,
    Domainname: flags.domainname,
    User: flags.user,
    AttachStdin: attach.stdin,
    AttachStdout: attach.stdout,
    AttachStderr: attach.stderr,
    ExposedPorts: ports.exposed,
    Tty: flags.tty,
    OpenStdin: flags.interactive,
    // The container's input ends with the client that was attached from the start.
    StdinOnce: flags.interactive && attach.stdin,
    Env: env,
    Cmd: command.length === 0 ? null : command,
    Image: image,
    Volumes: volumes,
    WorkingDir: flags.workdir,
    Entrypoint: flags.entrypoint !== '' ? [flags.entrypoint] : given.has('entrypoint') ? [''] : null,
    Labels: labels,
    ...(health === undefined ? {} : { Healthcheck: health }),
    ...(given.has('stop-signal') ? { StopSignal: flags['stop-signal'] } : {}),
    ...(given.has('stop-timeout') ? { StopTimeout: flags['stop-timeout'] } : {}),
    HostConfig: { ...hostConfig(input, binds, networks.mode), PortBindings: ports.bindings },
    NetworkingConfig: { EndpointsConfig: networks.endpoints },
  }
  return { body, image, attach, tty: flags.tty, openStdin: flags.interactive }
}
