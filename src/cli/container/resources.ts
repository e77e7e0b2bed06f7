/** Values of the flags about limits and devices. Error texts are Docker's. */
import { ulimitNames } from '../../spec/ulimits.ts'
import { globSync } from 'node:fs'
import { normalize } from 'node:path'
import { parseInteger } from '../../lib/flags.ts'
import { ramInBytes } from '../../lib/units.ts'
import { cut, keyValueMap, parseCsvRecord } from './csv.ts'

/** A resource limit of a process. */
export type Ulimit = { Name: string; Soft: number; Hard: number }

/** `nofile=1024:2048`. */
export function parseUlimit(text: string): Ulimit {
  const [Name, values] = cut(text, '=')
  if (values === undefined) throw new Error(`invalid ulimit argument: ${text}`)
  if (!ulimitNames.has(Name)) throw new Error(`invalid ulimit type: ${Name}`)
  const parts = values.split(':')
  if (parts.length > 2) {
    throw new Error(`too many limit value arguments - ${values}, can only have up to two, \`soft[:hard]\``)
  }
  const Soft = parseInteger(parts[0] ?? '')
  const Hard = parts[1] === undefined ? Soft : parseInteger(parts[1])
  const problem = 'ulimit soft limit must be less than or equal to hard limit:'
  if (Hard !== -1 && Soft === -1) throw new Error(`${problem} soft: -1 (unlimited), hard: ${Hard}`)
  if (Hard !== -1 && Soft > Hard) throw new Error(`${problem} ${Soft} > ${Hard}`)
  return { Name, Soft, Hard }
}

function devicePath(text: string): [string, string] {
  const [path, value] = cut(text, ':')
  if (value === undefined) throw new Error(`bad format: ${text}`)
  if (!path.startsWith('/dev/')) throw new Error(`bad format for device path: ${text}`)
  return [path, value]
}

/** `/dev/sda:500`. */
export function parseWeightDevice(text: string): { Path: string; Weight: number } {
  const [Path, value] = devicePath(text)
  const Weight = /^\d+$/.test(value) ? Number(value) : Number.NaN
  if (!(Weight === 0 || (Weight >= 10 && Weight <= 1000)))
    throw new Error(`invalid weight for device: ${text}`)
  return { Path, Weight }
}

/** `/dev/sda:10mb`, bytes a second. */
export function parseThrottleBytes(text: string): { Path: string; Rate: number } {
  const [Path, value] = devicePath(text)
  try {
    return { Path, Rate: ramInBytes(value) }
  } catch (error) {
    throw new Error(
      `invalid rate for device: ${text}. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb`,
      { cause: error },
    )
  }
}

/** `/dev/sda:1000`, operations a second. */
export function parseThrottleOperations(text: string): { Path: string; Rate: number } {
  const [Path, value] = devicePath(text)
  if (!/^\d+$/.test(value)) {
    throw new Error(
      `invalid rate for device: ${text}. The correct format is <device-path>:<number>. Number must be a positive integer`,
    )
  }
  return { Path, Rate: Number(value) }
}

/** `1.5` CPUs as billionths. */
export function parseCpus(text: string): number {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(text)
  const fraction = /^([+-]?\d+)\/(\d+)$/.exec(text)
  if ((match === null || (match[2] === '' && (match[3] ?? '') === '')) && fraction === null) {
    throw new Error(`failed to parse ${text} as a rational number`)
  }
  const nano = fraction === null ? Number(text) * 1e9 : (Number(fraction[1]) / Number(fraction[2])) * 1e9
  if ((match?.[3] ?? '').replace(/0+$/, '').length > 9 && match?.[4] === undefined)
    throw new Error('value is too precise')
  return Math.round(nano)
}

function gpuCount(text: string): number {
  if (text === 'all') return -1
  if (!/^[+-]?\d+$/.test(text)) {
    throw new Error(`invalid count (${text}): value must be either "all" or an integer: invalid syntax`)
  }
  return Number(text)
}

/** A `--gpus` request. */
export type DeviceRequest = {
  Driver: string
  Count: number
  DeviceIDs: string[] | null
  Capabilities: string[][]
  Options: Record<string, string>
}

/** `all`, `2`, `"device=0,1",capabilities=utility`. */
export function parseGpus(text: string): DeviceRequest {
  const request: DeviceRequest = {
    Driver: '',
    Count: 0,
    DeviceIDs: null,
    Capabilities: [['gpu']],
    Options: {},
  }
  const seen = new Set<string>()
  for (const field of parseCsvRecord(text)) {
    const [key, value] = cut(field, '=')
    if (seen.has(key)) throw new Error(`gpu request key '${key}' can be specified only once`)
    seen.add(key)
    if (value === undefined) {
      seen.add('count')
      request.Count = gpuCount(key)
    } else if (key === 'driver') request.Driver = value
    else if (key === 'count') request.Count = gpuCount(value)
    else if (key === 'device') request.DeviceIDs = value.split(',')
    else if (key === 'capabilities') request.Capabilities = [[...value.split(','), 'gpu']]
    else if (key === 'options') request.Options = keyValueMap(parseCsvRecord(value))
    else throw new Error(`unexpected key '${key}' in '${field}'`)
  }
  if (!seen.has('count') && request.DeviceIDs === null) request.Count = 1
  return request
}

/** A device to pass into a container. */
export type DeviceMapping = { PathOnHost: string; PathInContainer: string; CgroupPermissions: string }

function isDeviceMode(mode: string): boolean {
  return /^[rwm]+$/.test(mode) && new Set(mode).size === mode.length
}

/** Whether `--device` names a device of the Container Device Interface: `vendor.com/class=device`. */
export function isCdiName(text: string): boolean {
  return /^[a-z](?:[\w.-]*[a-z\d])?\/[a-z](?:[\w-]*[a-z\d])?=[a-z\d](?:[\w.:-]*[a-z\d])?$/i.test(text)
}

/** `/dev/x[:/dev/y][:rwm]`; a `*` at the end stands for all that match. */
export function parseDevice(text: string): DeviceMapping[] {
  const parts = text.split(':')
  const [source = '', second, third] = parts
  if (parts.length > 3 || source === '') throw new Error(`bad format for path: ${text}`)
  const secondIsMode = parts.length === 2 && isDeviceMode(second ?? '')
  const inside = second === undefined || secondIsMode ? source : second
  if (third !== undefined && !isDeviceMode(third)) throw new Error(`bad mode specified: ${third}`)
  if (!inside.startsWith('/')) throw new Error(`${inside} is not an absolute path`)
  const CgroupPermissions = third ?? (secondIsMode ? second : undefined) ?? 'rwm'
  if (source.endsWith('*')) {
    if (second !== undefined && !secondIsMode) throw new Error(`device with * suffix can't have dst: ${text}`)
    return globSync(source)
      .sort()
      .map((path) => ({ PathOnHost: path, PathInContainer: path, CgroupPermissions }))
  }
  const clean = second === undefined || secondIsMode ? normalize(source) : source
  return [
    {
      PathOnHost: clean,
      PathInContainer:
        second === undefined || secondIsMode ? clean : third === undefined ? normalize(inside) : inside,
      CgroupPermissions,
    },
  ]
}
