/**
 * Limits that a request asks for, checked against what this kernel can do. What it cannot is taken out of the request
 * with a warning; what makes no sense is refused. Texts and order are Docker's (moby, daemon_unix.go,
 * verifyPlatformContainerResources).
 */
import type { Resources } from '../spec/container-config.ts'
import { EngineError } from '../spec/errors.ts'
import { parseNumberList, type KernelFacts } from '../kernel/host-info.ts'

const minMemoryBytes = 6 << 20
const sharesRange = { least: 2, most: 262_144 }

/** Checks and corrects `resources` in place; answers warnings. `update`: the container exists already. */
export function checkResources(resources: Resources, facts: KernelFacts, update: boolean): string[] {
  const warnings: string[] = []
  if (resources.MemorySwappiness === -1) resources.MemorySwappiness = null
  checkMemory(resources, facts, { update, warnings })
  checkMemoryExtras(resources, facts, warnings)
  checkOomAndPids(resources, facts, warnings)
  checkCpu(resources, facts, warnings)
  checkCpuset(resources, facts, warnings)
  checkBlockIo(resources, facts, warnings)
  return warnings
}

/** Values that Docker fills in when they are not given. */
export function completeResources(resources: Resources): void {
  if (resources.Memory > 0 && resources.MemorySwap === 0) resources.MemorySwap = resources.Memory * 2
  resources.OomKillDisable ??= false
}

function checkMemory(
  resources: Resources,
  { features }: KernelFacts,
  { update, warnings }: { update: boolean; warnings: string[] },
): void {
  if (resources.Memory !== 0 && resources.Memory < minMemoryBytes)
    refuse('Minimum memory limit allowed is 6MB')
  if (resources.Memory > 0 && !features.memoryLimit) {
    warnings.push(
      'Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.',
    )
    resources.Memory = 0
    resources.MemorySwap = -1
  }
  if (resources.Memory > 0 && resources.MemorySwap !== -1 && !features.swapLimit) {
    warnings.push(
      'Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.',
    )
    resources.MemorySwap = -1
  }
  if (resources.Memory > 0 && resources.MemorySwap > 0 && resources.MemorySwap < resources.Memory) {
    refuse('Minimum memoryswap limit should be larger than memory limit, see usage')
  }
  if (resources.Memory === 0 && resources.MemorySwap > 0 && !update) {
    refuse('You should always set the Memory limit when using Memoryswap limit, see usage')
  }
}

function checkMemoryExtras(resources: Resources, { features }: KernelFacts, warnings: string[]): void {
  if (resources.MemorySwappiness !== null && !features.memorySwappiness) {
    warnings.push(
      'Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.',
    )
    resources.MemorySwappiness = null
  }
  const swappiness = resources.MemorySwappiness
  if (swappiness !== null && (swappiness < 0 || swappiness > 100)) {
    refuse(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`)
  }
  if (resources.MemoryReservation > 0 && !features.memoryReservation) {
    warnings.push(
      'Your kernel does not support memory soft limit capabilities or the cgroup is not mounted. Limitation discarded.',
    )
    resources.MemoryReservation = 0
  }
  if (resources.MemoryReservation > 0 && resources.MemoryReservation < minMemoryBytes) {
    refuse('Minimum memory reservation allowed is 6MB')
  }
  if (
    resources.Memory > 0 &&
    resources.MemoryReservation > 0 &&
    resources.Memory < resources.MemoryReservation
  ) {
    refuse('Minimum memory limit can not be less than memory reservation limit, see usage')
  }
  if (resources.KernelMemory > 0 && !features.kernelMemory) {
    warnings.push(
      'Your kernel does not support kernel memory limit capabilities or the cgroup is not mounted. Limitation discarded.',
    )
    resources.KernelMemory = 0
  }
}

function checkOomAndPids(resources: Resources, { features }: KernelFacts, warnings: string[]): void {
  if (resources.OomKillDisable !== null && !features.oomKillDisable) {
    if (resources.OomKillDisable) {
      warnings.push('Your kernel does not support OomKillDisable. OomKillDisable discarded.')
    }
    resources.OomKillDisable = null
  }
  if (resources.OomKillDisable === true && resources.Memory === 0) {
    warnings.push(
      'OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.',
    )
  }
  if (resources.PidsLimit !== null && !features.pidsLimit) {
    if (resources.PidsLimit > 0) {
      warnings.push(
        'Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.',
      )
    }
    resources.PidsLimit = null
  }
}

function checkCpu(resources: Resources, facts: KernelFacts, warnings: string[]): void {
  const { features, cpuCount } = facts
  const { NanoCpus: nano, CpuPeriod: period, CpuQuota: quota } = resources
  if (nano > 0 && period > 0) refuse('Conflicting options: Nano CPUs and CPU Period cannot both be set')
  if (nano > 0 && quota > 0) refuse('Conflicting options: Nano CPUs and CPU Quota cannot both be set')
  if (nano > 0 && !features.cpuCfs) {
    refuse(
      'NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted',
    )
  }
  if (nano < 0 || nano > cpuCount * 1e9) {
    refuse(`Range of CPUs is from 0.01 to ${cpuCount}.00, as there are only ${cpuCount} CPUs available`)
  }
  checkShares(resources, facts, warnings)
  if ((period !== 0 || quota !== 0) && !features.cpuCfs) {
    warnings.push('Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.')
    resources.CpuPeriod = 0
    resources.CpuQuota = 0
  }
  if (resources.CpuPeriod !== 0 && (resources.CpuPeriod < 1000 || resources.CpuPeriod > 1_000_000)) {
    refuse('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)')
  }
  if (resources.CpuQuota > 0 && resources.CpuQuota < 1000) {
    refuse('CPU cfs quota can not be less than 1ms (i.e. 1000)')
  }
  if (resources.CpuPercent > 0) {
    warnings.push('linux does not support CPU percent. Percent discarded.')
    resources.CpuPercent = 0
  }
  checkRealtime(resources, features.cpuRealtime)
}

function checkShares(resources: Resources, { features, cgroup }: KernelFacts, warnings: string[]): void {
  if (resources.CpuShares < 0) {
    refuse(`invalid CPU shares (${resources.CpuShares}): value must be a positive integer`)
  }
  if (resources.CpuShares === 0) return
  if (!features.cpuShares) {
    warnings.push('Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded.')
    resources.CpuShares = 0
    return
  }
  // The kernel would take another number in silence; runc, which Docker starts containers with, refuses it.
  if (cgroup.mode === 'v2') return
  const { least, most } = sharesRange
  if (resources.CpuShares < least) refuse(`the minimum allowed cpu-shares is ${least}`)
  if (resources.CpuShares > most) refuse(`the maximum allowed cpu-shares is ${most}`)
}

function checkRealtime(resources: Resources, supported: boolean): void {
  const { CpuRealtimePeriod: period, CpuRealtimeRuntime: runtime } = resources
  if ((period !== 0 || runtime !== 0) && !supported)
    refuse('Your kernel does not support CPU real-time scheduler')
  if (period !== 0 && runtime !== 0 && runtime > period) {
    refuse('cpu real-time runtime cannot be higher than cpu real-time period')
  }
}

function checkCpuset(resources: Resources, facts: KernelFacts, warnings: string[]): void {
  if ((resources.CpusetCpus !== '' || resources.CpusetMems !== '') && !facts.features.cpuset) {
    warnings.push('Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded.')
    resources.CpusetCpus = ''
    resources.CpusetMems = ''
  }
  if (!isAvailable(resources.CpusetCpus, facts.cpusetCpus, 'cpuset cpus')) {
    refuse(
      `Requested CPUs are not available - requested ${resources.CpusetCpus}, available: ${facts.cpusetCpus}`,
    )
  }
  if (!isAvailable(resources.CpusetMems, facts.cpusetMems, 'cpuset mems')) {
    refuse(
      `Requested memory nodes are not available - requested ${resources.CpusetMems}, available: ${facts.cpusetMems}`,
    )
  }
}

function isAvailable(asked: string, available: string, what: string): boolean {
  try {
    return parseNumberList(asked).isSubsetOf(parseNumberList(available))
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new EngineError('invalid', `Invalid value ${asked} for ${what}: ${error.message}`, { cause: error })
  }
}

function checkBlockIo(resources: Resources, { features }: KernelFacts, warnings: string[]): void {
  const discard = (what: string) => {
    warnings.push(`Your kernel does not support ${what}`)
  }
  if (resources.BlkioWeight > 0 && !features.blkioWeight) {
    discard('Block I/O weight or the cgroup is not mounted. Weight discarded.')
    resources.BlkioWeight = 0
  }
  if (
    resources.BlkioWeight < 0 ||
    (resources.BlkioWeight > 0 && (resources.BlkioWeight < 10 || resources.BlkioWeight > 1000))
  ) {
    refuse('Range of blkio weight is from 10 to 1000')
  }
  if (resources.IOMaximumBandwidth !== 0 || resources.IOMaximumIOps !== 0) {
    refuse('Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps')
  }
  if ((resources.BlkioWeightDevice ?? []).length > 0 && !features.blkioWeightDevice) {
    discard('Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.')
    resources.BlkioWeightDevice = []
  }
  if (features.blkioThrottle) return
  for (const [key, words] of throttleWords) {
    if ((resources[key] ?? []).length === 0) continue
    discard(words)
    resources[key] = []
  }
}

const throttleWords = [
  [
    'BlkioDeviceReadBps',
    'BPS Block I/O read limit or the cgroup is not mounted. Block I/O BPS read limit discarded.',
  ],
  [
    'BlkioDeviceWriteBps',
    'BPS Block I/O write limit or the cgroup is not mounted. Block I/O BPS write limit discarded.',
  ],
  [
    'BlkioDeviceReadIOps',
    'IOPS Block read limit or the cgroup is not mounted. Block I/O IOPS read limit discarded.',
  ],
  [
    'BlkioDeviceWriteIOps',
    'IOPS Block write limit or the cgroup is not mounted. Block I/O IOPS write limit discarded.',
  ],
] as const

function refuse(message: string): never {
  throw new EngineError('invalid', message)
}
