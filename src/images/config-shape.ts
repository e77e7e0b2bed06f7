/** An image's configuration in JSON as Go writes it: maps sorted by key, some fields left out while they hold nothing. */
import { optionalConfigFields, type ContainerConfig } from '../spec/container-config.ts'

const omittedWhenEmpty: ReadonlySet<string> = new Set(optionalConfigFields)

const shownFields = [
  'User',
  'ExposedPorts',
  'Env',
  'Cmd',
  'Healthcheck',
  'ArgsEscaped',
  'Volumes',
  'WorkingDir',
  'Entrypoint',
  'OnBuild',
  'Labels',
  'StopSignal',
  'StopTimeout',
  'Shell',
] as const satisfies readonly (keyof ContainerConfig)[]

/** `config` of the image's document. */
export function storedConfig(config: ContainerConfig): Record<string, unknown> {
  return shaped(Object.entries(config))
}

/** `Config` of inspect: the fields that concern an image. */
export function shownConfig(config: ContainerConfig): Partial<ContainerConfig> {
  return shaped(shownFields.map((key) => [key, config[key]]))
}

function shaped(entries: [string, unknown][]): Record<string, unknown> {
  return Object.fromEntries(
    entries
      .map(([key, value]): [string, unknown] => [
        key,
        key === 'Healthcheck' ? withoutZeros(value) : sorted(value),
      ])
      .filter(([key, value]) => !omittedWhenEmpty.has(key) || !isNothing(value)),
  )
}

function isNothing(value: unknown): boolean {
  if (value === null || value === '' || value === false) return true
  return typeof value === 'object' && Object.keys(value).length === 0
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function sorted(value: unknown): unknown {
  if (!isMap(value)) return value
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

function withoutZeros(health: unknown): unknown {
  if (!isMap(health)) return health
  return Object.fromEntries(Object.entries(health).filter(([, value]) => value !== null && value !== 0))
}
