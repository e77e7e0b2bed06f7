/** The filters of `GET /containers/json`: parsed once, then asked for every container. */
import { containerStates, type ContainerStatus } from '../spec/container-types.ts'
import { EngineError } from '../spec/errors.ts'
import { zeroTime } from '../lib/clock.ts'
import type { Container } from './container.ts'
import type { Filters } from './contract.ts'
import type { Core } from './core.ts'
import { endpointsOf } from './inspect.ts'
import { statusOf } from './record.ts'

const accepted = new Set([
  'ancestor',
  'before',
  'exited',
  'expose',
  'health',
  'id',
  'is-task',
  'isolation',
  'label',
  'name',
  'network',
  'publish',
  'since',
  'status',
  'volume',
])
const healthValues = ['starting', 'healthy', 'unhealthy', 'none']

/** Parsed filters. */
export type ListFilters = {
  matches: (container: Container) => boolean
  /** A status was asked for: containers that do not run count too. */
  showsStopped: boolean
  before: Container | undefined
  since: Container | undefined
}

/** Throws invalid for a filter or value that there is none of, notFound for an unknown container. */
export function parseListFilters(core: Core, filters: Filters): ListFilters {
  for (const key of filters.keys()) {
    if (!accepted.has(key)) throw new EngineError('invalid', `invalid filter '${key}'`)
  }
  const values = (key: string) => filters.get(key) ?? []
  const tests = [
    isTask(values('is-task')),
    exited(values('exited')),
    status(values('status')),
    health(values('health')),
    ancestor(core, values('ancestor')),
    ports('publish', values('publish'), ({ record }) => Object.keys(record.hostConfig.PortBindings ?? {})),
    ports('expose', values('expose'), ({ record }) => Object.keys(record.config.ExposedPorts ?? {})),
    pattern(values('name'), ({ record }) => [`/${record.name}`, record.name]),
    pattern(values('id'), ({ id }) => [id]),
    pattern(values('isolation'), ({ record }) => [record.hostConfig.Isolation.toLowerCase() || 'default']),
    labels(values('label')),
    network(values('network')),
    volume(values('volume')),
  ].filter((test) => test !== undefined)
  return {
    matches: (container) => tests.every((test) => test(container)),
    showsStopped: values('status').length > 0,
    before: oneContainer(core, values('before')),
    since: oneContainer(core, values('since')),
  }
}

type Test = ((container: Container) => boolean) | undefined

function invalidValue(key: string, value: string): EngineError {
  return new EngineError('invalid', `invalid filter '${key}=${value}'`)
}

function oneContainer(core: Core, values: readonly string[]): Container | undefined {
  const [reference] = values
  return reference === undefined ? undefined : core.registry.get(reference)
}

/** No container is a task of a service here. */
function isTask(values: readonly string[]): Test {
  const [value] = values
  if (value === undefined) return undefined
  const parsed = /^(1|true)$/i.test(value) ? true : /^(0|false)$/i.test(value) ? false : undefined
  if (parsed === undefined) throw invalidValue('is-task', value)
  return () => !parsed
}

function exited(values: readonly string[]): Test {
  if (values.length === 0) return undefined
  const codes = values.map((value) => {
    if (!/^[+-]?\d+$/.test(value)) throw invalidValue('exited', value)
    return Number(value)
  })
  return ({ state }) => !state.running && state.startedAt !== zeroTime && codes.includes(state.exitCode)
}

function status(values: readonly string[]): Test {
  if (values.length === 0) return undefined
  const known: readonly string[] = containerStates
  for (const value of values) if (!known.includes(value)) throw invalidValue('status', value)
  return ({ state }) => values.includes(statusOf(state) satisfies ContainerStatus)
}

function health(values: readonly string[]): Test {
  if (values.length === 0) return undefined
  for (const value of values) if (!healthValues.includes(value)) throw invalidValue('health', value)
  return ({ state }) => values.includes(state.health?.Status ?? 'none')
}

/** An image that is not there matches nothing, as in Docker. */
function ancestor(core: Core, values: readonly string[]): Test {
  if (values.length === 0) return undefined
  const ids = new Set<string>()
  for (const value of values) {
    try {
      ids.add(core.ports.images.resolve(value).id)
    } catch (error) {
      if (!(error instanceof EngineError)) throw error
    }
  }
  return ({ record }) => ids.has(record.imageId)
}

function ports(key: string, values: readonly string[], of: (container: Container) => string[]): Test {
  if (values.length === 0) return undefined
  const ranges = values.map((value) => parsePortFilter(key, value))
  return (container) =>
    of(container).some((port) => {
      const [number, protocol = 'tcp'] = port.split('/')
      return ranges.some(
        (range) =>
          range.protocol === protocol && Number(number) >= range.first && Number(number) <= range.last,
      )
    })
}

function parsePortFilter(key: string, value: string): { first: number; last: number; protocol: string } {
  if (value.includes(':')) {
    throw new EngineError('invalid', `filter for '${key}' should not contain ':': ${value}`)
  }
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/.exec(value)
  const first = Number(match?.[1])
  const last = Number(match?.[2] ?? match?.[1])
  if (match === null || first > last || last > 65_535) {
    throw new EngineError('invalid', `error while looking up for ${key} ${value}: invalid port: ${value}`)
  }
  return { first, last, protocol: match[3] ?? 'tcp' }
}

/** Exactly equal, or found by the value as a regular expression. */
function pattern(values: readonly string[], of: (container: Container) => string[]): Test {
  if (values.length === 0) return undefined
  const expressions = values.map((value) => compile(value))
  return (container) =>
    of(container).some((text) => values.includes(text) || expressions.some((one) => one?.test(text)))
}

function compile(expression: string): RegExp | undefined {
  try {
    return new RegExp(expression)
  } catch {
    // What is no expression can still be an exact name.
    return undefined
  }
}

function labels(values: readonly string[]): Test {
  if (values.length === 0) return undefined
  return ({ record }) => matchesLabels(values, record.config.Labels ?? {})
}

/** Whether all of `key` or `key=value` are among the labels. */
export function matchesLabels(wanted: readonly string[], labels: Record<string, string>): boolean {
  return wanted.every((entry) => {
    const equals = entry.indexOf('=')
    const key = equals === -1 ? entry : entry.slice(0, equals)
    if (!Object.hasOwn(labels, key)) return false
    return equals === -1 || labels[key] === entry.slice(equals + 1)
  })
}

function network(values: readonly string[]): Test {
  if (values.length === 0) return undefined
  return ({ record }) => {
    const endpoints = endpointsOf(record)
    return values.some(
      (value) =>
        Object.hasOwn(endpoints, value) ||
        (value !== '' && Object.values(endpoints).some(({ NetworkID }) => NetworkID.startsWith(value))),
    )
  }
}

function volume(values: readonly string[]): Test {
  if (values.length === 0) return undefined
  return ({ record }) =>
    record.mounts.some(({ point }) =>
      values.some(
        (value) => value === point.Name || value === point.Source || value === trimSlash(point.Destination),
      ),
    )
}

function trimSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
}
