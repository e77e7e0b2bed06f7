/** Reading a cgroup's files: text in, numbers out. Kernel counters are 64 bits wide, so bigint. */
import type { TaskStats } from '../spec/task-types.ts'

/** The texts of a cgroup's files by name; those the kernel does not have are absent. */
export type CgroupTexts = Readonly<Record<string, string | undefined>>

/** Files of each version 1 controller that `parseStatsV1` reads. */
export const statsFilesV1: Readonly<Record<string, readonly string[]>> = {
  cpuacct: [
    'cpuacct.usage',
    'cpuacct.usage_user',
    'cpuacct.usage_sys',
    'cpuacct.stat',
    'cpuacct.usage_percpu',
  ],
  cpu: ['cpu.stat'],
  memory: [
    'memory.usage_in_bytes',
    'memory.max_usage_in_bytes',
    'memory.limit_in_bytes',
    'memory.failcnt',
    'memory.stat',
  ],
  pids: ['pids.current', 'pids.max'],
  blkio: [
    'blkio.throttle.io_service_bytes_recursive',
    'blkio.throttle.io_serviced_recursive',
    'blkio.bfq.io_service_bytes_recursive',
    'blkio.bfq.io_serviced_recursive',
  ],
}

/** Files of the version 2 tree that `parseStatsV2` reads. */
export const statsFilesV2: readonly string[] = [
  'cpu.stat',
  'memory.current',
  'memory.peak',
  'memory.max',
  'memory.events',
  'memory.stat',
  'pids.current',
  'pids.max',
  'io.stat',
]

/** Nanoseconds of a tick in cpuacct.stat: USER_HZ is 100 on every architecture. */
const tickNs = 10_000_000n
/** What version 1 shows where there is no limit: the largest page multiple of 63 bits, or close to it. */
const noLimitFrom = 2n ** 62n

/** A reading of version 1 controllers. */
export function parseStatsV1(texts: CgroupTexts): TaskStats {
  const ticks = parsePairs(texts['cpuacct.stat'])
  const throttling = parsePairs(texts['cpu.stat'])
  const limit = number(texts['memory.limit_in_bytes'])
  const bytes = texts['blkio.throttle.io_service_bytes_recursive']
  const counts = texts['blkio.throttle.io_serviced_recursive']
  return {
    cpuUsageNs: number(texts['cpuacct.usage']),
    cpuUserNs: texts['cpuacct.usage_user']
      ? number(texts['cpuacct.usage_user'])
      : (ticks['user'] ?? 0n) * tickNs,
    cpuSystemNs: texts['cpuacct.usage_sys']
      ? number(texts['cpuacct.usage_sys'])
      : (ticks['system'] ?? 0n) * tickNs,
    perCpuNs: (texts['cpuacct.usage_percpu'] ?? '')
      .split(' ')
      .filter(isNumber)
      .map((text) => number(text)),
    throttledPeriods: throttling['nr_periods'] ?? 0n,
    throttledRuns: throttling['nr_throttled'] ?? 0n,
    throttledNs: throttling['throttled_time'] ?? 0n,
    memoryUsageBytes: number(texts['memory.usage_in_bytes']),
    memoryMaxUsageBytes: number(texts['memory.max_usage_in_bytes']),
    memoryLimitBytes: limit >= noLimitFrom ? 0n : limit,
    memoryStat: parsePairs(texts['memory.stat']),
    memoryFailCount: number(texts['memory.failcnt']),
    pids: number(texts['pids.current']),
    pidsLimit: number(texts['pids.max']),
    blockIo: parseBlkioV1(
      hasDevices(bytes) ? bytes : texts['blkio.bfq.io_service_bytes_recursive'],
      hasDevices(counts) ? counts : texts['blkio.bfq.io_serviced_recursive'],
    ),
  }
}

/** A reading of the version 2 tree. */
export function parseStatsV2(texts: CgroupTexts): TaskStats {
  const cpu = parsePairs(texts['cpu.stat'])
  return {
    cpuUsageNs: (cpu['usage_usec'] ?? 0n) * 1000n,
    cpuUserNs: (cpu['user_usec'] ?? 0n) * 1000n,
    cpuSystemNs: (cpu['system_usec'] ?? 0n) * 1000n,
    perCpuNs: [],
    throttledPeriods: cpu['nr_periods'] ?? 0n,
    throttledRuns: cpu['nr_throttled'] ?? 0n,
    throttledNs: (cpu['throttled_usec'] ?? 0n) * 1000n,
    memoryUsageBytes: number(texts['memory.current']),
    memoryMaxUsageBytes: number(texts['memory.peak']),
    memoryLimitBytes: number(texts['memory.max']),
    memoryStat: parsePairs(texts['memory.stat']),
    memoryFailCount: parsePairs(texts['memory.events'])['oom'] ?? 0n,
    pids: number(texts['pids.current']),
    pidsLimit: number(texts['pids.max']),
    blockIo: parseIoStatV2(texts['io.stat']),
  }
}

/** Lines `name value`. Lines of any other shape are left out. */
function parsePairs(text: string | undefined): Record<string, bigint> {
  const pairs: Record<string, bigint> = {}
  for (const line of (text ?? '').split('\n')) {
    const [name, value] = line.split(' ')
    if (name !== undefined && value !== undefined && isNumber(value)) pairs[name] = BigInt(value)
  }
  return pairs
}

/** See `parseOomState`. `halted`: processes wait for memory, because the kernel may not kill. */
export type OomState = { kills: number; halted: boolean }

/** How often the kernel killed for memory: memory.oom_control of version 1, memory.events of version 2. */
export function parseOomState(text: string): OomState {
  const pairs = parsePairs(text)
  const halted = pairs['oom_kill_disable'] === 1n && pairs['under_oom'] === 1n
  return { kills: Number(pairs['oom_kill'] ?? 0n), halted }
}

/** Process ids of cgroup.procs. */
export function parsePids(text: string): number[] {
  return text
    .split('\n')
    .filter(isNumber)
    .map(Number)
    .filter((pid) => pid > 0)
}

/** A number; `max`, nothing and anything else are 0. */
function number(text: string | undefined): bigint {
  const trimmed = (text ?? '').trim()
  return isNumber(trimmed) ? BigInt(trimmed) : 0n
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text)
}

function hasDevices(text: string | undefined): boolean {
  return text !== undefined && /^\d+:\d+ /m.test(text)
}

type BlockIo = TaskStats['blockIo']

/** Lines `8:0 Read 4096`. */
function parseBlkioV1(bytesText: string | undefined, countText: string | undefined): BlockIo {
  const counts = new Map(
    blkioLines(countText).map((line) => [`${line.device} ${line.operation}`, line.value]),
  )
  return blkioLines(bytesText).map(({ device, operation, value }) => {
    const [major = '0', minor = '0'] = device.split(':')
    const count = counts.get(`${device} ${operation}`) ?? 0n
    return { major: Number(major), minor: Number(minor), operation, bytes: value, count }
  })
}

function blkioLines(text: string | undefined): { device: string; operation: string; value: bigint }[] {
  const lines = []
  for (const line of (text ?? '').split('\n')) {
    const [device = '', operation = '', value = ''] = line.split(' ')
    if (/^\d+:\d+$/.test(device) && isNumber(value)) lines.push({ device, operation, value: BigInt(value) })
  }
  return lines
}

/** Lines `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`. */
function parseIoStatV2(text: string | undefined): BlockIo {
  const result: BlockIo = []
  for (const line of (text ?? '').split('\n')) {
    const [device = '', ...pairs] = line.split(' ')
    const match = /^(\d+):(\d+)$/.exec(device)
    if (match === null) continue
    const values = new Map(pairs.map((pair) => splitPair(pair)))
    const entry = (operation: string, bytes: string, count: string) => ({
      major: Number(match[1]),
      minor: Number(match[2]),
      operation,
      bytes: number(values.get(bytes)),
      count: number(values.get(count)),
    })
    result.push(entry('read', 'rbytes', 'rios'), entry('write', 'wbytes', 'wios'))
  }
  return result
}

function splitPair(pair: string): [string, string] {
  const at = pair.indexOf('=')
  return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)]
}
