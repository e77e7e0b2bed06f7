/** `--mount`, `-v` and `--tmpfs`. Error texts are Docker's. */
import { isAbsolute, resolve } from 'node:path'
import { parseBool } from '../../lib/flags.ts'
import { ramInBytes } from '../../lib/units.ts'
import { cut, parseCsvRecord } from './csv.ts'

/** A mount as the API takes it; only the fields that were named. */
export type MountRequest = {
  Type: string
  Source?: string
  Target?: string
  ReadOnly?: boolean
  Consistency?: string
  BindOptions?: Record<string, unknown>
  VolumeOptions?: {
    NoCopy?: boolean
    Labels: Record<string, string>
    Subpath?: string
    DriverConfig: { Name?: string; Options?: Record<string, string> }
  }
  ImageOptions?: { Subpath?: string }
  TmpfsOptions?: { SizeBytes?: number; Mode?: number }
}

function setPair(target: Record<string, string>, text: string): void {
  const [key, value] = cut(text, '=')
  if (key !== '') target[key] = value ?? ''
}

const volumeOptions = (mount: MountRequest) => (mount.VolumeOptions ??= { Labels: {}, DriverConfig: {} })
const bindOptions = (mount: MountRequest) => (mount.BindOptions ??= {})

function booleanValue(key: string, value: string): boolean {
  try {
    return parseBool(value)
  } catch (error) {
    throw new Error(`invalid value for ${key}: ${value}`, { cause: error })
  }
}

const recursions: Record<string, Record<string, unknown>> = {
  enabled: {},
  disabled: { NonRecursive: true },
  writable: { ReadOnlyNonRecursive: true },
  readonly: { ReadOnlyForceRecursive: true },
}

function setBindRecursive(mount: MountRequest, value: string): void {
  const options = Object.hasOwn(recursions, value) ? recursions[value] : undefined
  if (options === undefined) {
    throw new Error(
      `invalid value for bind-recursive: ${value} (must be "enabled", "disabled", "writable", or "readonly")`,
    )
  }
  Object.assign(bindOptions(mount), options)
}

function setSized(mount: MountRequest, key: string, value: string): void {
  const options = (mount.TmpfsOptions ??= {})
  try {
    if (key === 'tmpfs-size') options.SizeBytes = ramInBytes(value)
    else if (/^[0-7]{1,11}$/.test(value)) options.Mode = Number.parseInt(value, 8)
    else throw new Error('not octal')
  } catch (error) {
    throw new Error(`invalid value for ${key}: ${value}`, { cause: error })
  }
}

const setters: Record<string, (mount: MountRequest, value: string) => void> = {
  type: (mount, value) => {
    mount.Type = value.toLowerCase()
  },
  source: (mount, value) => {
    mount.Source = value === '.' || value.startsWith('./') ? resolve(value) : value
  },
  target: (mount, value) => {
    mount.Target = value
  },
  consistency: (mount, value) => {
    mount.Consistency = value.toLowerCase()
  },
  'bind-propagation': (mount, value) => {
    bindOptions(mount)['Propagation'] = value.toLowerCase()
  },
  'bind-nonrecursive': (mount, value) => {
    bindOptions(mount)['NonRecursive'] = booleanValue('bind-nonrecursive', value)
  },
  'bind-create-src': (mount, value) => {
    bindOptions(mount)['CreateMountpoint'] = booleanValue('bind-create-src', value)
  },
  'bind-recursive': setBindRecursive,
  'volume-subpath': (mount, value) => {
    volumeOptions(mount).Subpath = value
  },
  'volume-nocopy': (mount, value) => {
    volumeOptions(mount).NoCopy = booleanValue('volume-nocopy', value)
  },
  'volume-label': (mount, value) => setPair(volumeOptions(mount).Labels, value),
  'volume-driver': (mount, value) => {
    volumeOptions(mount).DriverConfig.Name = value
  },
  'volume-opt': (mount, value) => setPair((volumeOptions(mount).DriverConfig.Options ??= {}), value),
  'image-subpath': (mount, value) => {
    mount.ImageOptions = { Subpath: value }
  },
  'tmpfs-size': (mount, value) => setSized(mount, 'tmpfs-size', value),
  'tmpfs-mode': (mount, value) => setSized(mount, 'tmpfs-mode', value),
}
const aliases: Record<string, string> = {
  src: 'source',
  dst: 'target',
  destination: 'target',
  ro: 'readonly',
}
const alone = new Set(['readonly', 'ro', 'volume-nocopy', 'bind-nonrecursive', 'bind-create-src'])

function checkMount(mount: MountRequest): void {
  if (mount.Type === '') throw new Error('type is required')
  if (mount.Target === undefined || mount.Target === '') throw new Error('target is required')
  const mixed = (options: unknown, kind: string) => {
    if (options !== undefined && mount.Type !== kind) {
      throw new Error(`cannot mix '${kind}-*' options with mount type '${mount.Type}'`)
    }
  }
  mixed(mount.VolumeOptions, 'volume')
  mixed(mount.BindOptions, 'bind')
  mixed(mount.ImageOptions, 'image')
  mixed(mount.TmpfsOptions, 'tmpfs')
  if (mount.BindOptions?.['ReadOnlyNonRecursive'] === true && mount.ReadOnly !== true) {
    throw new Error("option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction")
  }
  if (mount.BindOptions?.['ReadOnlyForceRecursive'] === true) {
    if (mount.ReadOnly !== true) {
      throw new Error("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction")
    }
    if (mount.BindOptions['Propagation'] !== 'rprivate') {
      throw new Error(
        "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction",
      )
    }
  }
}

/** Reads one `--mount` value. */
export function parseMount(text: string): MountRequest {
  const mount: MountRequest = { Type: 'volume' }
  for (const field of parseCsvRecord(text)) {
    const [key, value] = cut(field, '=')
    if (value === undefined && !alone.has(key))
      throw new Error(`invalid field '${field}' must be a key=value pair`)
    const name = aliases[key] ?? key
    if (name === 'readonly') {
      mount.ReadOnly = booleanValue(key, value ?? 'true')
      continue
    }
    const setter = Object.hasOwn(setters, name) ? setters[name] : undefined
    if (setter === undefined) throw new Error(`unexpected key '${key}' in '${field}'`)
    setter(mount, value ?? 'true')
  }
  checkMount(mount)
  return mount
}

/** Sorts `-v` values: binds and named volumes as the API's binds, bare paths as anonymous volumes. */
export function parseVolumes(values: readonly string[]): {
  binds: string[]
  volumes: Record<string, object>
} {
  const binds: string[] = []
  const volumes: Record<string, object> = {}
  for (const value of new Set(values)) {
    const [source, rest] = cut(value, ':')
    if (rest !== undefined && value.split(':').includes('')) {
      throw new Error(`invalid spec: ${value}: empty section between colons`)
    }
    if (rest === undefined) volumes[value] = {}
    else if (source.startsWith('.') && !isAbsolute(source)) binds.push(`${resolve(source)}:${rest}`)
    else binds.push(value)
  }
  return { binds, volumes }
}

/** `--tmpfs PATH[:OPTIONS]`. */
export function parseTmpfs(values: readonly string[]): Record<string, string> {
  const map: Record<string, string> = {}
  for (const value of values) {
    const [path, options] = cut(value, ':')
    map[path] = options ?? ''
  }
  return map
}
