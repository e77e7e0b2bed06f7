/** `GET /containers/x/stats`: readings of cgroup and interfaces in the API's shape. */
import { zeroTime } from '../lib/clock.ts'
import type { ContainerStats } from '../spec/container-types.ts'
import { EngineError } from '../spec/errors.ts'
import type { InterfaceCounters } from '../spec/sandbox-types.ts'
import type { TaskStats } from '../spec/task-types.ts'
import type { Container } from './container.ts'
import type { Core } from './core.ts'
import { joinedContainer } from './modes.ts'

const intervalMs = 1000

type CpuStats = Record<string, unknown>
const noCpu: CpuStats = {
  cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
  throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
}

/** One reading, or one a second until the container goes. A container that does not run reads as nothing. */
export async function* readStats(
  core: Core,
  container: Container,
  options: { stream: boolean; oneShot: boolean },
  signal: AbortSignal,
): AsyncIterable<ContainerStats> {
  let before: ContainerStats | undefined
  if (!options.stream) {
    before = options.oneShot ? undefined : await readOnce(core, container)
    if (before !== undefined) await core.timer.sleep(intervalMs, signal)
    yield await readOrNothing(core, container, before)
    return
  }
  while (!signal.aborted && core.registry.byId(container.id) === container) {
    const reading = await readOrNothing(core, container, before)
    yield reading
    before = reading.read === zeroTime ? undefined : reading
    try {
      await core.timer.sleep(intervalMs, signal)
    } catch (error) {
      // The client has gone: that ends the stream, it is no failure.
      if (signal.aborted) return
      throw error
    }
  }
}

async function readOrNothing(
  core: Core,
  container: Container,
  before: ContainerStats | undefined,
): Promise<ContainerStats> {
  const reading = await readOnce(core, container)
  if (reading === undefined) return nothing(container)
  if (before === undefined) return reading
  return { ...reading, preread: before.read, precpu_stats: before.cpu_stats }
}

/** Undefined when it does not run, also when it ends while being read. */
async function readOnce(core: Core, container: Container): Promise<ContainerStats | undefined> {
  const { task } = container
  if (task === undefined || !container.state.running) return undefined
  try {
    const [stats, systemNs, interfaces] = await Promise.all([
      task.stats(),
      core.host.systemCpuNs(),
      interfaceCounters(core, container),
    ])
    return shape(core, container, { stats, systemNs, interfaces })
  } catch (error) {
    if (error instanceof EngineError && error.kind === 'notFound') return undefined
    throw error
  }
}

/** Counters of its own interfaces, or of those it shares. */
async function interfaceCounters(core: Core, container: Container): Promise<InterfaceCounters[]> {
  let owner: Container | undefined = container
  for (let depth = 0; owner !== undefined && depth < 10; depth++) {
    const joined = joinedContainer(owner.record.hostConfig.NetworkMode)
    if (joined === undefined) break
    owner = core.registry.find(joined)
  }
  const sandbox = owner?.record.sandbox
  if (owner === undefined || sandbox === undefined || sandbox === null) return []
  return core.ports.networking.counters(owner.id, sandbox)
}

function nothing(container: Container): ContainerStats {
  return {
    name: `/${container.record.name}`,
    id: container.id,
    read: zeroTime,
    preread: zeroTime,
    num_procs: 0,
    pids_stats: {},
    blkio_stats: emptyBlockIo,
    storage_stats: {},
    cpu_stats: noCpu,
    precpu_stats: noCpu,
    memory_stats: {},
  }
}

const emptyBlockIo: ContainerStats['blkio_stats'] = {
  io_service_bytes_recursive: null,
  io_serviced_recursive: null,
  io_queue_recursive: null,
  io_service_time_recursive: null,
  io_wait_time_recursive: null,
  io_merged_recursive: null,
  io_time_recursive: null,
  sectors_recursive: null,
}

type Reading = { stats: TaskStats; systemNs: bigint; interfaces: InterfaceCounters[] }

function shape(core: Core, container: Container, reading: Reading): ContainerStats {
  const { stats, interfaces } = reading
  const networks = Object.fromEntries(interfaces.map((one) => [one.name, networkStats(one)]))
  return {
    name: `/${container.record.name}`,
    id: container.id,
    read: core.now(),
    preread: zeroTime,
    num_procs: 0,
    pids_stats: {
      current: Number(stats.pids),
      ...(stats.pidsLimit > 0n ? { limit: Number(stats.pidsLimit) } : {}),
    },
    blkio_stats: blockIo(stats),
    storage_stats: {},
    cpu_stats: cpuStats(core, reading),
    precpu_stats: noCpu,
    memory_stats: memoryStats(core, stats),
    ...(interfaces.length === 0 ? {} : { networks }),
  }
}

function cpuStats(core: Core, { stats, systemNs }: Reading): CpuStats {
  return {
    cpu_usage: {
      total_usage: Number(stats.cpuUsageNs),
      ...(stats.perCpuNs.length === 0 ? {} : { percpu_usage: stats.perCpuNs.map(Number) }),
      usage_in_kernelmode: Number(stats.cpuSystemNs),
      usage_in_usermode: Number(stats.cpuUserNs),
    },
    system_cpu_usage: Number(systemNs),
    online_cpus: core.host.onlineCpus,
    throttling_data: {
      periods: Number(stats.throttledPeriods),
      throttled_periods: Number(stats.throttledRuns),
      throttled_time: Number(stats.throttledNs),
    },
  }
}

function memoryStats(core: Core, stats: TaskStats): Record<string, unknown> {
  const limit = Number(stats.memoryLimitBytes)
  const machine = core.host.memoryTotalBytes
  return {
    usage: Number(stats.memoryUsageBytes),
    ...(stats.memoryMaxUsageBytes > 0n ? { max_usage: Number(stats.memoryMaxUsageBytes) } : {}),
    stats: Object.fromEntries(Object.entries(stats.memoryStat).map(([key, value]) => [key, Number(value)])),
    ...(stats.memoryFailCount > 0n ? { failcnt: Number(stats.memoryFailCount) } : {}),
    limit: limit === 0 || limit > machine ? machine : limit,
  }
}

function networkStats(one: InterfaceCounters): Record<string, number> {
  return {
    rx_bytes: one.rxBytes,
    rx_packets: one.rxPackets,
    rx_errors: one.rxErrors,
    rx_dropped: one.rxDropped,
    tx_bytes: one.txBytes,
    tx_packets: one.txPackets,
    tx_errors: one.txErrors,
    tx_dropped: one.txDropped,
  }
}

function blockIo({ blockIo: entries }: TaskStats): ContainerStats['blkio_stats'] {
  if (entries.length === 0) return emptyBlockIo
  const rows = (value: 'bytes' | 'count') =>
    entries.map(({ major, minor, operation, [value]: amount }) => {
      return { major, minor, op: operation, value: Number(amount) }
    })
  return {
    ...emptyBlockIo,
    io_service_bytes_recursive: rows('bytes'),
    io_serviced_recursive: rows('count'),
  }
}
