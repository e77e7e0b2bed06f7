/** Limits of a container as the OCI configuration states them. Zero and unset values are left out. */
import type { Resources, ThrottleDevice } from '../spec/container-config.ts'
import { EngineError, errorCode } from '../spec/errors.ts'
import type { OciResources, OciThrottle } from '../spec/oci-runtime-types.ts'
import { cpuBandwidth } from '../kernel/cgroup-limits.ts'
import { blockDeviceNumber } from '../kernel/device-node.ts'

/** The limits, device rules apart. `resources` has been through `validateHostConfig`. */
export async function ociResources(resources: Resources): Promise<OciResources> {
  const memory = memoryResources(resources)
  const cpu = cpuResources(resources)
  const blockIO = await blockResources(resources)
  return {
    ...(Object.keys(memory).length > 0 && { memory }),
    ...(Object.keys(cpu).length > 0 && { cpu }),
    ...(resources.PidsLimit !== null && {
      pids: { limit: resources.PidsLimit <= 0 ? -1 : resources.PidsLimit },
    }),
    ...(Object.keys(blockIO).length > 0 && { blockIO }),
  }
}

function memoryResources(resources: Resources): NonNullable<OciResources['memory']> {
  return {
    ...(resources.Memory > 0 && { limit: resources.Memory }),
    ...(resources.MemoryReservation > 0 && { reservation: resources.MemoryReservation }),
    ...(resources.MemorySwap > 0 && { swap: resources.MemorySwap }),
    ...(resources.MemorySwappiness !== null &&
      resources.MemorySwappiness >= 0 && { swappiness: resources.MemorySwappiness }),
    ...(resources.OomKillDisable === true && { disableOOMKiller: true }),
  }
}

function cpuResources(resources: Resources): NonNullable<OciResources['cpu']> {
  const { quotaUs, periodUs } = cpuBandwidth(resources)
  return {
    ...(resources.CpuShares > 0 && { shares: resources.CpuShares }),
    // A negative one is no limit, which a new cgroup has, and which crun cannot write.
    ...(quotaUs !== undefined && quotaUs > 0 && { quota: quotaUs }),
    ...(periodUs !== undefined && { period: periodUs }),
    ...(resources.CpuRealtimePeriod !== 0 && { realtimePeriod: resources.CpuRealtimePeriod }),
    ...(resources.CpuRealtimeRuntime !== 0 && { realtimeRuntime: resources.CpuRealtimeRuntime }),
    ...(resources.CpusetCpus !== '' && { cpus: resources.CpusetCpus }),
    ...(resources.CpusetMems !== '' && { mems: resources.CpusetMems }),
  }
}

async function blockResources(resources: Resources): Promise<NonNullable<OciResources['blockIO']>> {
  const weights = await Promise.all(
    (resources.BlkioWeightDevice ?? []).map(async ({ Path, Weight }) => ({
      ...(await deviceNumber(Path)),
      weight: Weight,
    })),
  )
  const readBps = await throttles(resources.BlkioDeviceReadBps)
  const writeBps = await throttles(resources.BlkioDeviceWriteBps)
  const readIops = await throttles(resources.BlkioDeviceReadIOps)
  const writeIops = await throttles(resources.BlkioDeviceWriteIOps)
  return {
    ...(resources.BlkioWeight > 0 && { weight: resources.BlkioWeight }),
    ...(weights.length > 0 && { weightDevice: weights }),
    ...(readBps.length > 0 && { throttleReadBpsDevice: readBps }),
    ...(writeBps.length > 0 && { throttleWriteBpsDevice: writeBps }),
    ...(readIops.length > 0 && { throttleReadIOPSDevice: readIops }),
    ...(writeIops.length > 0 && { throttleWriteIOPSDevice: writeIops }),
  }
}

async function throttles(devices: readonly ThrottleDevice[] | null): Promise<OciThrottle[]> {
  return Promise.all(
    (devices ?? []).map(async ({ Path, Rate }) => ({ ...(await deviceNumber(Path)), rate: Rate })),
  )
}

async function deviceNumber(path: string): Promise<{ major: number; minor: number }> {
  try {
    return await blockDeviceNumber(path)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    throw new EngineError('internal', `stat ${path}: no such file or directory`, { cause: error })
  }
}
