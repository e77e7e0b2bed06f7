/** Values of settings: from a flag's text, from JSON, and the typed view that the daemon reads. */
import { EngineError } from '../spec/errors.ts'
import type { RuntimeEntry } from '../spec/system-types.ts'
import type { Option, OptionKind } from './config-options.ts'

/** A ulimit; -1 is unlimited. */
export type Ulimit = { Name: string; Soft: number; Hard: number }
/** A pool that networks without a subnet take theirs from. `size` is a prefix length. */
export type AddressPool = { base: string; size: number }

/** A setting's value. */
export type SettingValue = string | number | boolean | string[] | AddressPool[] | Record<string, unknown>

/** Settings by key of daemon.json. */
export type SettingMap = Map<string, SettingValue>

/** Adds one use of a flag to the settings. Throws `invalid` with pflag's words. */
export function addFlagValue(settings: SettingMap, option: Option, text: string): void {
  const before = settings.get(option.key)
  const bad = (reason: string) =>
    new EngineError(
      'invalid',
      `invalid argument ${JSON.stringify(text)} for "--${option.flag ?? option.key}" flag: ${reason}`,
    )
  const value = flagValue(option.kind, text, bad)
  if (Array.isArray(value) && Array.isArray(before)) settings.set(option.key, joined(before, value))
  else if (isRecord(value) && isRecord(before)) settings.set(option.key, { ...before, ...value })
  else settings.set(option.key, value)
}

function joined(before: string[] | AddressPool[], value: string[] | AddressPool[]): SettingValue {
  // Both come from the same option, so both hold the same kind.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return [...before, ...value] as string[] | AddressPool[]
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function flagValue(kind: OptionKind, text: string, bad: (reason: string) => EngineError): SettingValue {
  switch (kind) {
    case 'text':
      return text
    case 'flag':
      return parseBool(text, bad)
    case 'number':
      if (!/^-?[0-9]+$/.test(text))
        throw bad(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`)
      return Number(text)
    case 'bytes': {
      const bytes = parseBytes(text)
      if (bytes === undefined) throw bad(`invalid size: '${text}'`)
      return bytes
    }
    case 'list':
      return [text]
    case 'pools':
      return [parsePool(text, bad)]
    default:
      return pairValue(kind, text, bad)
  }
}

/** Kinds whose flag is `name=value`. */
function pairValue(kind: OptionKind, text: string, bad: (reason: string) => EngineError): SettingValue {
  const at = text.indexOf('=')
  const name = at < 0 ? text : text.slice(0, at)
  const value = at < 0 ? '' : text.slice(at + 1)
  if (name === '') throw bad('expected name=value')
  if (kind === 'map') return { [name]: value }
  if (kind === 'flags') return { [name]: value === '' ? true : parseBool(value, bad) }
  if (kind === 'ulimits') return { [name]: parseUlimit(name, value, bad) }
  if (kind === 'runtimes') {
    if (value === '') throw bad(`invalid runtime option: no path for ${name}`)
    return { [name]: { path: value } }
  }
  const inner = value.indexOf('=')
  if (inner <= 0) throw bad('expected network=option=value')
  return { [name]: { [value.slice(0, inner)]: value.slice(inner + 1) } }
}

function parseBool(text: string, bad: (reason: string) => EngineError): boolean {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false
  throw bad(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`)
}

function parseUlimit(name: string, text: string, bad: (reason: string) => EngineError): Ulimit {
  const match = /^(-?[0-9]+|unlimited)(?::(-?[0-9]+|unlimited))?$/.exec(text)
  if (match === null) throw bad(`invalid ulimit argument: ${name}=${text}`)
  const number = (part: string) => (part === 'unlimited' ? -1 : Number(part))
  const soft = number(match[1] ?? '0')
  return { Name: name, Soft: soft, Hard: match[2] === undefined ? soft : number(match[2]) }
}

function parsePool(text: string, bad: (reason: string) => EngineError): AddressPool {
  const match = /^base=([^,]+),size=([0-9]+)$/.exec(text)
  if (match === null) throw bad('expected base=CIDR,size=LENGTH')
  return { base: match[1] ?? '', size: Number(match[2]) }
}

/** `64m`, `1.5g`, `100`: bytes, with binary units. Undefined for anything else. */
export function parseBytes(text: string): number | undefined {
  const match = /^([0-9]+(?:\.[0-9]+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text.trim())
  if (match === null) return undefined
  const power = ['', 'k', 'm', 'g', 't', 'p'].indexOf((match[2] ?? '').toLowerCase())
  return Math.floor(Number(match[1]) * 1024 ** power)
}

/** The value of a key of daemon.json. Throws `invalid` for one of the wrong kind. */
export function jsonValue(option: Option, value: unknown): SettingValue {
  const wrong = (expected: string) =>
    new EngineError(
      'invalid',
      `json: cannot unmarshal ${jsonKind(value)} into Go struct field Config.${option.key} of type ${expected}`,
    )
  switch (option.kind) {
    case 'text':
      if (typeof value === 'string') return value
      throw wrong('string')
    case 'flag':
      if (typeof value === 'boolean') return value
      throw wrong('bool')
    case 'number':
      if (typeof value === 'number' && Number.isInteger(value)) return value
      throw wrong('int')
    case 'bytes': {
      const bytes = typeof value === 'number' ? value : parseBytes(String(value))
      if (bytes === undefined)
        throw new EngineError('invalid', `${option.key}: invalid size: '${String(value)}'`)
      return bytes
    }
    case 'list': {
      // `host-gateway-ip` and a few others were a single text once.
      const list: unknown[] = Array.isArray(value) ? value : [value]
      const texts = list.filter((entry) => typeof entry === 'string')
      if (texts.length !== list.length) throw wrong('[]string')
      return texts
    }
    case 'pools':
      return jsonPools(value, wrong)
    default:
      if (isRecord(value)) return value
      throw wrong('map[string]string')
  }
}

function jsonPools(value: unknown, wrong: (expected: string) => EngineError): AddressPool[] {
  if (!Array.isArray(value)) throw wrong('[]ipamutils.NetworkToSplit')
  return value.map((entry: unknown) => {
    if (!isRecord(entry) || typeof entry['base'] !== 'string' || typeof entry['size'] !== 'number') {
      throw wrong('[]ipamutils.NetworkToSplit')
    }
    return { base: entry['base'], size: entry['size'] }
  })
}

function jsonKind(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value === 'boolean' ? 'bool' : typeof value
}

/** Typed reading of settings. A key that was set nowhere gives the fallback. */
export class Settings {
  readonly #values: SettingMap

  constructor(values: SettingMap) {
    this.#values = values
  }

  /** Whether somebody set it. */
  has(key: string): boolean {
    return this.#values.has(key)
  }

  text(key: string, fallback = ''): string {
    const value = this.#values.get(key)
    return typeof value === 'string' ? value : fallback
  }

  flag(key: string, fallback = false): boolean {
    const value = this.#values.get(key)
    return typeof value === 'boolean' ? value : fallback
  }

  number(key: string, fallback: number): number {
    const value = this.#values.get(key)
    return typeof value === 'number' ? value : fallback
  }

  list(key: string): string[] {
    const value = this.#values.get(key)
    return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : []
  }

  pools(): AddressPool[] {
    const value = this.#values.get('default-address-pools')
    return Array.isArray(value) ? value.filter((entry) => typeof entry === 'object') : []
  }

  /** Text values of a map; numbers and booleans are written out, as log options have it. */
  map(key: string): Record<string, string> {
    return Object.fromEntries(Object.entries(this.record(key)).map(([name, value]) => [name, String(value)]))
  }

  record(key: string): Record<string, unknown> {
    const value = this.#values.get(key)
    return isRecord(value) ? value : {}
  }

  /** Default ulimits. */
  ulimits(): Ulimit[] {
    return Object.entries(this.record('default-ulimits')).map(([name, value]) => {
      const limits = isRecord(value) ? value : {}
      return { Name: name, Soft: Number(limits['Soft'] ?? 0), Hard: Number(limits['Hard'] ?? 0) }
    })
  }

  /** Configured OCI runtimes by name. */
  runtimes(): Record<string, RuntimeEntry> {
    const entries = Object.entries(this.record('runtimes')).map(([name, value]): [string, RuntimeEntry] => {
      const runtime = isRecord(value) ? value : {}
      const entry: RuntimeEntry = {}
      if (typeof runtime['path'] === 'string') entry.path = runtime['path']
      if (typeof runtime['runtimeType'] === 'string') entry.runtimeType = runtime['runtimeType']
      const args: unknown = runtime['runtimeArgs']
      if (Array.isArray(args)) entry.runtimeArgs = args.filter((arg) => typeof arg === 'string')
      return [name, entry]
    })
    return Object.fromEntries(entries)
  }

  /** Keys and values, for comparing two configurations. */
  entries(): SettingMap {
    return this.#values
  }
}
