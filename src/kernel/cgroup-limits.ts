/** Limits as writes to a cgroup's files, for changing a live container. Pure: which text goes into which file. */
import type { Resources } from '../spec/container-config.ts'

/** One write. Version 1 files are in their controller's directory. `optional`: a kernel without the file is fine. */
export type CgroupWrite = { controller: string; file: string; value: string; optional?: boolean }

/** What stands in the files now, where a write depends on it. Bytes; undefined is unlimited. */
export type CurrentLimits = { memoryBytes?: number; swapBytes?: number }

/** CPU quota for `--cpus`: microseconds in a period of 100 ms. */
const cpuPeriodUs = 100_000

/** Quota and period of a request; undefined where it says nothing. */
export function cpuBandwidth(resources: Resources): { quotaUs?: number; periodUs?: number } {
  if (resources.NanoCpus > 0) {
    return { quotaUs: Math.trunc((resources.NanoCpus * cpuPeriodUs) / 1e9), periodUs: cpuPeriodUs }
  }
  return {
    ...(resources.CpuQuota !== 0 && { quotaUs: resources.CpuQuota }),
    ...(resources.CpuPeriod !== 0 && { periodUs: resources.CpuPeriod }),
  }
}

/** Version 1 writes for what the request sets; zero values leave a limit alone. */
export function limitWritesV1(resources: Resources, current: CurrentLimits): CgroupWrite[] {
  const { quotaUs, periodUs } = cpuBandwidth(resources)
  const writes = [...memoryWritesV1(resources, current)]
  const add = (controller: string, file: string, value: number | string | undefined) => {
    if (value !== undefined) writes.push({ controller, file, value: String(value) })
  }
  add('memory', 'memory.soft_limit_in_bytes', nonZero(resources.MemoryReservation))
  add('cpu', 'cpu.cfs_period_us', periodUs)
  add('cpu', 'cpu.cfs_quota_us', quotaUs)
  add('cpu', 'cpu.shares', nonZero(resources.CpuShares))
  add('cpu', 'cpu.rt_period_us', nonZero(resources.CpuRealtimePeriod))
  add('cpu', 'cpu.rt_runtime_us', nonZero(resources.CpuRealtimeRuntime))
  add('cpuset', 'cpuset.cpus', nonEmpty(resources.CpusetCpus))
  add('cpuset', 'cpuset.mems', nonEmpty(resources.CpusetMems))
  add('pids', 'pids.max', pidsMax(resources))
  if (resources.BlkioWeight > 0) {
    const value = String(resources.BlkioWeight)
    writes.push({ controller: 'blkio', file: 'blkio.weight', value, optional: true })
    writes.push({ controller: 'blkio', file: 'blkio.bfq.weight', value, optional: true })
  }
  return writes
}

/** Memory before memory and swap when both shrink, after it when they grow: the first may never exceed the second. */
function memoryWritesV1(resources: Resources, current: CurrentLimits): CgroupWrite[] {
  const memory = resources.Memory === 0 ? undefined : resources.Memory
  const swap = resources.MemorySwap === 0 ? undefined : resources.MemorySwap
  const writes: CgroupWrite[] = []
  if (memory !== undefined) {
    writes.push({ controller: 'memory', file: 'memory.limit_in_bytes', value: String(memory) })
  }
  if (swap === undefined) return writes
  const swapWrite = {
    controller: 'memory',
    file: 'memory.memsw.limit_in_bytes',
    value: String(swap),
    optional: true,
  }
  const grows = swap < 0 || (current.swapBytes !== undefined && swap > current.swapBytes)
  return grows ? [swapWrite, ...writes] : [...writes, swapWrite]
}

/** Version 2 writes for what the request sets. */
export function limitWritesV2(resources: Resources, current: CurrentLimits): CgroupWrite[] {
  const { quotaUs, periodUs } = cpuBandwidth(resources)
  const writes: CgroupWrite[] = []
  const add = (controller: string, file: string, value: number | string | undefined) => {
    if (value !== undefined) writes.push({ controller, file, value: String(value) })
  }
  add('memory', 'memory.max', resources.Memory < 0 ? 'max' : nonZero(resources.Memory))
  add('memory', 'memory.swap.max', swapMaxV2(resources, current))
  add('memory', 'memory.low', nonZero(resources.MemoryReservation))
  if (quotaUs !== undefined || periodUs !== undefined) {
    const quota = quotaUs === undefined || quotaUs < 0 ? 'max' : String(quotaUs)
    add('cpu', 'cpu.max', periodUs === undefined ? quota : `${quota} ${periodUs}`)
  }
  if (resources.CpuShares > 0) add('cpu', 'cpu.weight', cpuWeight(resources.CpuShares))
  add('cpuset', 'cpuset.cpus', nonEmpty(resources.CpusetCpus))
  add('cpuset', 'cpuset.mems', nonEmpty(resources.CpusetMems))
  add('pids', 'pids.max', pidsMax(resources))
  if (resources.BlkioWeight > 0) {
    writes.push({
      controller: 'io',
      file: 'io.bfq.weight',
      value: String(resources.BlkioWeight),
      optional: true,
    })
    writes.push({
      controller: 'io',
      file: 'io.weight',
      value: String(ioWeight(resources.BlkioWeight)),
      optional: true,
    })
  }
  return writes
}

/** Docker counts memory and swap together; version 2 limits swap alone. */
function swapMaxV2(resources: Resources, current: CurrentLimits): number | string | undefined {
  if (resources.MemorySwap === 0) return undefined
  if (resources.MemorySwap < 0) return 'max'
  const memory = resources.Memory > 0 ? resources.Memory : current.memoryBytes
  return memory === undefined ? undefined : Math.max(0, resources.MemorySwap - memory)
}

/** Shares (2 to 262144) as weight (1 to 10000): the conversion of the OCI runtimes. */
export function cpuWeight(shares: number): number {
  const clamped = Math.min(262_144, Math.max(2, shares))
  return 1 + Math.trunc(((clamped - 2) * 9999) / 262_142)
}

/** blkio weight (10 to 1000) as io.weight (1 to 10000): the conversion of the OCI runtimes. */
function ioWeight(weight: number): number {
  return 1 + Math.trunc(((weight - 10) * 9999) / 990)
}

function pidsMax(resources: Resources): string | undefined {
  if (resources.PidsLimit === null) return undefined
  return resources.PidsLimit <= 0 ? 'max' : String(resources.PidsLimit)
}

function nonZero(value: number): number | undefined {
  return value === 0 ? undefined : value
}

function nonEmpty(value: string): string | undefined {
  return value === '' ? undefined : value
}
