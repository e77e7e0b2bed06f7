/** `POST /containers/x/update`: which of the given limits replace which of the container's. */
import { EngineError, errorMessage } from '../spec/errors.ts'
import type { HostConfig, UpdateConfig } from '../spec/container-config.ts'
import type { Container } from './container.ts'
import type { Core } from './core.ts'
import { isNoPolicy } from './restart-policy.ts'

/** Applies what was given (0, empty and null are not) to the record and, while it runs, to the kernel. */
export async function updateContainer(
  core: Core,
  container: Container,
  update: UpdateConfig,
): Promise<{ warnings: string[] }> {
  using _lock = await core.locks.acquire(container.id)
  const fail = (error: unknown) => {
    const kind = error instanceof EngineError ? error.kind : 'internal'
    return new EngineError(kind, `Cannot update container ${container.id}: ${errorMessage(error)}`, {
      cause: error,
    })
  }
  const { state } = container
  if (state.removing !== null || state.dead) {
    throw fail(new EngineError('internal', 'container is marked for removal and cannot be "update"'))
  }
  const before = container.record.hostConfig
  let merged: HostConfig
  try {
    merged = mergeUpdate(before, update)
  } catch (error) {
    throw fail(error)
  }
  // It may take back what this kernel cannot do, with a warning; those of the create are not repeated.
  const known = new Set(core.ports.runtime.validate({ ...before }))
  const warnings = core.ports.runtime.validate(merged).filter((warning) => !known.has(warning))
  core.registry.save(container, { hostConfig: merged })
  try {
    if (state.running && !state.restarting) await container.task?.update(merged)
  } catch (error) {
    core.recordFact(container, {}, { hostConfig: before })
    throw fail(error)
  }
  core.emit(container, 'update')
  return { warnings }
}

/** Numbers: 0 keeps. Strings: empty keeps. The rest: null keeps. */
const replacedNumbers = [
  'BlkioWeight',
  'CpuShares',
  'NanoCpus',
  'CpuPeriod',
  'CpuQuota',
  'CpuRealtimePeriod',
  'CpuRealtimeRuntime',
  'Memory',
  'MemorySwap',
  'MemoryReservation',
  'KernelMemory',
] as const
const replacedTexts = ['CpusetCpus', 'CpusetMems'] as const

/** See the file's head; throws for limits that contradict those the container has. */
export function mergeUpdate(current: HostConfig, update: UpdateConfig): HostConfig {
  refuseCpuConflicts(current, update)
  refuseMemoryConflicts(current, update)
  const merged: HostConfig = { ...current }
  for (const key of replacedNumbers) if (update[key] !== 0) merged[key] = update[key]
  // No quota at all also takes back what `--cpus` gave, which the kernel knows as a quota.
  if (update.CpuQuota < 0) merged.NanoCpus = 0
  for (const key of replacedTexts) if (update[key] !== '') merged[key] = update[key]
  if (update.PidsLimit !== null) merged.PidsLimit = update.PidsLimit
  if (update.MemorySwappiness !== null) merged.MemorySwappiness = update.MemorySwappiness
  if (update.BlkioWeightDevice !== null) merged.BlkioWeightDevice = update.BlkioWeightDevice
  for (const key of [
    'BlkioDeviceReadBps',
    'BlkioDeviceWriteBps',
    'BlkioDeviceReadIOps',
    'BlkioDeviceWriteIOps',
  ] as const) {
    if (update[key] !== null) merged[key] = update[key]
  }
  if (update.RestartPolicy.Name !== '') {
    if (current.AutoRemove && !isNoPolicy(update.RestartPolicy)) {
      throw new EngineError(
        'internal',
        'Restart policy cannot be updated because AutoRemove is enabled for the container',
      )
    }
    merged.RestartPolicy = update.RestartPolicy
  }
  return merged
}

function refuseCpuConflicts(current: HostConfig, update: UpdateConfig): void {
  const conflicts: [boolean, string][] = [
    [
      current.NanoCpus > 0 && update.CpuPeriod > 0,
      'CPU Period cannot be updated as NanoCPUs has already been set',
    ],
    [
      current.NanoCpus > 0 && update.CpuQuota > 0,
      'CPU Quota cannot be updated as NanoCPUs has already been set',
    ],
    [
      update.NanoCpus > 0 && current.CpuPeriod > 0,
      'NanoCPUs cannot be updated as CPU Period has already been set',
    ],
    [
      update.NanoCpus > 0 && current.CpuQuota > 0,
      'NanoCPUs cannot be updated as CPU Quota has already been set',
    ],
  ]
  for (const [conflict, text] of conflicts) {
    if (conflict) throw new EngineError('conflict', `Conflicting options: ${text}`)
  }
}

function refuseMemoryConflicts(current: HostConfig, update: UpdateConfig): void {
  if (update.Memory === 0 || update.MemorySwap !== 0) return
  if (current.MemorySwap !== -1 && update.Memory > current.MemorySwap && current.MemorySwap !== 0) {
    throw new EngineError(
      'conflict',
      'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time',
    )
  }
}
