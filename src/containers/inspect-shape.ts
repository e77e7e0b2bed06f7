/** Configurations as inspect shows them: Docker leaves certain fields out while they hold nothing. */
import { optionalConfigFields, type ContainerConfig, type HostConfig } from '../spec/container-config.ts'
import type { ShownConfig, ShownHostConfig } from '../spec/container-types.ts'

const optionalHostConfig = [
  'Annotations',
  'StorageOpt',
  'Tmpfs',
  'Sysctls',
  'Runtime',
  'KernelMemory',
  'KernelMemoryTCP',
  'Mounts',
  'Init',
] as const satisfies readonly (keyof HostConfig)[]

/** `Config` of inspect. */
export function shownConfig(config: ContainerConfig): ShownConfig {
  const shown = without(config, optionalConfigFields)
  if (config.Healthcheck === null) return shown
  // Go leaves each of its fields out while it is zero; who reads it takes an absent one for zero.
  const fields = Object.entries(config.Healthcheck).filter(([, value]) => value !== 0 && !isNothing(value))
  return { ...shown, Healthcheck: Object.fromEntries(fields) }
}

/** `HostConfig` of inspect. */
export function shownHostConfig(hostConfig: HostConfig, links: string[] | null): ShownHostConfig {
  const shown = { ...hostConfig, Links: links, ConsoleSize: hostConfig.ConsoleSize ?? [0, 0] }
  const { Mounts: mounts, ...rest } = without<HostConfig>(shown, optionalHostConfig)
  return { ...rest, ...(mounts && { Mounts: mounts.map(shownMount) }) }
}

/** A mount, or one of its groups of options: Go leaves every field out that holds nothing, but no empty group. */
function shownMount(value: object): object {
  const fields = Object.entries(value).flatMap(([key, field]: [string, unknown]) => {
    if (typeof field === 'object' && field !== null && optionGroups.has(key))
      return [[key, shownMount(field)]]
    return isNothing(field) || field === 0 || field === false ? [] : [[key, field]]
  })
  return Object.fromEntries(fields)
}

const optionGroups = new Set([
  'BindOptions',
  'VolumeOptions',
  'DriverConfig',
  'ImageOptions',
  'TmpfsOptions',
  'ClusterOptions',
])

function without<T extends object>(value: T, optional: readonly (keyof T)[]): Partial<T> {
  const shown: Partial<T> = { ...value }
  for (const key of optional) if (isNothing(value[key]) || isZero(key, value[key])) delete shown[key]
  return shown
}

/** Go's `omitempty` for these fields. `Init` and `StopTimeout` are pointers: only null is nothing. */
function isNothing(value: unknown): boolean {
  if (value === null || value === '') return true
  if (Array.isArray(value)) return value.length === 0
  return typeof value === 'object' && Object.keys(value).length === 0
}

function isZero(key: PropertyKey, value: unknown): boolean {
  return key !== 'Init' && key !== 'StopTimeout' && (value === 0 || value === false)
}
