/**
 * Options of log drivers (`--log-opt`), checked and completed. Texts are Docker's. Where neither size nor number of
 * files is asked for, a log is bounded: 20 MB a file, 5 files, filled ones compressed; Docker's json-file has no
 * bound of its own.
 */
import { statSync } from 'node:fs'
import { EngineError } from '../../spec/errors.ts'
import { fromHumanSize, ramInBytes } from '../../lib/units.ts'
import { goAtoi, goParseBool } from './go-values.ts'
import { parseFacility, parseSyslogFormat } from './syslog-format.ts'

/** Drivers that keep a container's output; `none` keeps nothing. */
const logDrivers = ['journald', 'json-file', 'local', 'none', 'syslog'] as const
/** See `logDrivers`. */
export type LogDriver = (typeof logDrivers)[number]

/** Where the log's files stop growing. */
export type LogBounds = {
  /** 0 never rotates. */
  maxSizeBytes: number
  maxFiles: number
  compress: boolean
}

/** Bounds of a log whose options name none. */
const defaultBounds: LogBounds = { maxSizeBytes: 20_000_000, maxFiles: 5, compress: true }

const defaultBufferBytes = 1_000_000
const attributeOptions = ['labels', 'labels-regex', 'env', 'env-regex', 'tag']
const fileOptions = ['max-file', 'max-size', 'compress']
const cacheOptions = ['cache-disabled', 'cache-max-size', 'cache-max-file', 'cache-compress']
const builtInOptions = ['mode', 'max-buffer-size']
const syslogOptions = [
  'syslog-address',
  'syslog-facility',
  'syslog-format',
  'syslog-tls-ca-cert',
  'syslog-tls-cert',
  'syslog-tls-key',
  'syslog-tls-skip-verify',
]

const optionsOf: Readonly<Record<Exclude<LogDriver, 'none'>, readonly string[]>> = {
  'json-file': [...fileOptions, ...attributeOptions],
  local: [...fileOptions, ...attributeOptions],
  syslog: [...syslogOptions, ...attributeOptions],
  journald: attributeOptions,
}

/** Driver options as they came. */
export type LogOptions = Readonly<Record<string, string>>

/** The driver's name as one we have. Throws invalid. */
export function logDriver(name: string): LogDriver {
  const driver = logDrivers.find((known) => known === (name === '' ? 'json-file' : name))
  if (driver === undefined)
    invalid(`error looking up logging plugin ${name}: plugin ${JSON.stringify(name)} not found`)
  return driver
}

/** Checks options for a driver. Throws invalid. */
export function validateLogOptions(driver: LogDriver, options: LogOptions): void {
  if (driver === 'none') return
  nonBlockingBufferBytes(options)
  const known = [...builtInOptions, ...optionsOf[driver], ...(isForwarded(driver) ? cacheOptions : [])]
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue
    invalid(
      driver === 'local'
        ? `unknown log opt '${key}' for log driver local`
        : `unknown log opt '${key}' for ${driver} log driver`,
    )
  }
  logBounds(driver, options)
  for (const key of ['labels-regex', 'env-regex']) regularExpression(options[key])
  if (driver !== 'syslog') return
  syslogAddress(options['syslog-address'])
  parseFacility(options['syslog-facility'] ?? '')
  parseSyslogFormat(options['syslog-format'] ?? '')
}

/** Whether the driver sends the output elsewhere; its log files are then a cache for reading. */
export function isForwarded(driver: LogDriver): driver is 'syslog' | 'journald' {
  return driver === 'syslog' || driver === 'journald'
}

/** Bytes to buffer for `mode=non-blocking`, undefined for the blocking mode. Throws invalid. */
export function nonBlockingBufferBytes(options: LogOptions): number | undefined {
  const mode = options['mode'] ?? ''
  if (!['', 'blocking', 'non-blocking'].includes(mode)) invalid(`logger: logging mode not supported: ${mode}`)
  const size = options['max-buffer-size']
  if (size === undefined) return mode === 'non-blocking' ? defaultBufferBytes : undefined
  if (mode !== 'non-blocking') {
    invalid("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
  }
  return checked('error parsing option max-buffer-size: ', () => ramInBytes(size))
}

/** When the log's files rotate. Throws invalid. */
export function logBounds(driver: LogDriver, options: LogOptions): LogBounds {
  if (isForwarded(driver)) return fileBounds(options, 'cache-')
  return fileBounds(options, '', driver === 'local')
}

function fileBounds(options: LogOptions, prefix: string, local = true): LogBounds {
  const size = options[`${prefix}max-size`]
  const files = options[`${prefix}max-file`]
  const compress = options[`${prefix}compress`]
  const bounds = { ...defaultBounds }
  // As Docker's json-file: a size of one's own means one file, unless more are asked for.
  if (!local && size !== undefined) bounds.maxFiles = 1
  if (size !== undefined) bounds.maxSizeBytes = size === '-1' ? 0 : checked('', () => fromHumanSize(size))
  if (size !== undefined && size !== '-1' && bounds.maxSizeBytes <= 0) {
    invalid(local ? 'max-size must not be negative' : 'max-size must be a positive number')
  }
  if (files !== undefined) bounds.maxFiles = checked('', () => goAtoi(files))
  if (bounds.maxFiles < 1) invalid('max-file cannot be less than 1')
  const rotates = bounds.maxFiles > 1 && bounds.maxSizeBytes > 0
  if (compress === undefined) {
    bounds.compress = rotates && (local || (size === undefined && files === undefined))
  } else {
    bounds.compress = checked('', () => goParseBool(compress))
    if (bounds.compress && !rotates) {
      invalid(
        local
          ? 'compression cannot be enabled when max file count is 1'
          : 'compress cannot be true when max-file is less than 2 or max-size is not set',
      )
    }
  }
  return bounds
}

/** Where syslog messages go. */
export type SyslogAddress =
  | { kind: 'local' }
  | { kind: 'unix' | 'unixgram'; path: string }
  | { kind: 'udp' | 'tcp' | 'tls'; host: string; port: number }

/** Reads `proto://address`; none means the machine's own syslog. Throws invalid. */
export function syslogAddress(text: string | undefined): SyslogAddress {
  if (text === undefined || text === '') return { kind: 'local' }
  const match = /^([a-z][a-z0-9+]*):\/\/(.*)$/.exec(text)
  const [, scheme = '', rest = ''] = match ?? []
  if (match === null) invalid(`syslog-address should be in form proto://address, got ${text}`)
  if (scheme === 'unix' || scheme === 'unixgram') {
    try {
      statSync(rest)
    } catch (cause) {
      throw new EngineError('invalid', `stat ${rest}: no such file or directory`, { cause })
    }
    return { kind: scheme, path: rest }
  }
  const kind = scheme === 'tcp+tls' ? 'tls' : scheme
  if (kind !== 'udp' && kind !== 'tcp' && kind !== 'tls') invalid(`unsupported scheme: '${scheme}'`)
  const address = /^(\[[^\]]+\]|[^:]*)(?::(\d{1,5}))?$/.exec(rest)
  if (address === null) invalid(`address ${rest}: too many colons in address`)
  const host = (address[1] ?? '').replace(/^\[|\]$/g, '')
  return { kind, host: host === '' ? 'localhost' : host, port: Number(address[2] ?? 514) }
}

/** A pattern of `labels-regex` or `env-regex`, undefined when there is none. Throws invalid. */
export function regularExpression(pattern: string | undefined): RegExp | undefined {
  if (pattern === undefined || pattern === '') return undefined
  return checked('error parsing regexp: ', () => new RegExp(pattern, 'u'))
}

function checked<T>(prefix: string, parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    throw new EngineError('invalid', prefix + (cause instanceof Error ? cause.message : String(cause)), {
      cause,
    })
  }
}

function invalid(message: string): never {
  throw new EngineError('invalid', message)
}
