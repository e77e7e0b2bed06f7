/**
 * Whether the values of settings make sense, said when the configuration is read and not at their first use. The words
 * are dockerd's, after the key where they do not tell which one they are about.
 */
import { isIP } from 'node:net'
import { logDriver, validateLogOptions } from '../runtime/logs/log-options.ts'
import { checkUlimits } from '../runtime/rlimits.ts'
import { parseSeccompProfile } from '../runtime/seccomp-profile.ts'
import { parseRegistryRules } from '../images/registry-rules.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import { checkNetworkValues } from './config-check-networks.ts'
import { refuseUnsupported } from './config-support.ts'
import type { Settings } from './config-values.ts'
import { defaultPaths } from './default-paths.ts'
import { hostsOf } from './hosts.ts'
import { seccompText } from './seccomp-file.ts'
import { tlsOptions } from './tls.ts'

/** Throws `invalid` for the first value that could not be followed. Reads the files that settings name. */
export function checkSettings(settings: Settings): void {
  checkWords(settings)
  refuseUnsupported(settings)
  checkNumbers(settings)
  checkNetworkValues(settings)
  checkRegistries(settings)
  checkLabels(settings.list('labels'))
  checkLogOptions(settings)
  checkRuntimes(settings)
  checkDefaultUlimits(settings)
  checkSeccomp(settings.text('seccomp-profile'))
  hostsOf(settings)
  tlsOptions(settings, defaultPaths.tlsDirectory)
}

function invalid(message: string, cause?: unknown): EngineError {
  return new EngineError('invalid', message, { cause })
}

const words: Readonly<Record<string, readonly string[]>> = {
  'log-format': ['text', 'json'],
  'default-ipc-mode': ['shareable', 'private'],
  'default-cgroupns-mode': ['host', 'private'],
}

function checkWords(settings: Settings): void {
  if (!['debug', 'info', 'warn', 'error', 'fatal'].includes(settings.text('log-level', 'info'))) {
    throw invalid(`invalid logging level: ${settings.text('log-level')}`)
  }
  for (const [key, values] of Object.entries(words)) {
    if (settings.has(key) && !values.includes(settings.text(key))) {
      throw invalid(`invalid ${key}: ${settings.text(key)}`)
    }
  }
}

// `shutdown-timeout` may be negative: without an end.
const counts: Readonly<Record<string, string>> = {
  'max-concurrent-downloads': 'max concurrent downloads',
  'max-concurrent-uploads': 'max concurrent uploads',
  'max-download-attempts': 'max download attempts',
}

function checkNumbers(settings: Settings): void {
  for (const [key, name] of Object.entries(counts)) {
    const value = settings.number(key, 1)
    if (value < 0) throw invalid(`invalid ${name}: ${value}`)
  }
  const shmSizeBytes = settings.number('default-shm-size', 1)
  if (shmSizeBytes < 0 || !Number.isSafeInteger(shmSizeBytes)) {
    throw invalid(`default-shm-size: invalid size: '${shmSizeBytes}'`)
  }
}

const proxyKeys = ['http-proxy', 'https-proxy', 'no-proxy']

function checkRegistries(settings: Settings): void {
  parseRegistryRules(settings.record('registries'))
  for (const mirror of settings.list('registry-mirrors')) checkMirror(mirror)
  for (const registry of settings.list('insecure-registries')) checkInsecure(registry)
  const proxies = settings.record('proxies')
  const unknown = Object.keys(proxies).filter((key) => !proxyKeys.includes(key))
  if (unknown.length > 0) {
    throw invalid(
      `the following directives don't match any configuration option: ${unknown.map((key) => `proxies.${key}`).join(', ')}`,
    )
  }
  for (const [key, value] of Object.entries(proxies)) {
    if (typeof value !== 'string') {
      throw invalid(
        `json: cannot unmarshal ${typeof value} into Go struct field Proxies.proxies.${key} of type string`,
      )
    }
  }
  for (const key of ['http-proxy', 'https-proxy']) {
    const inFile = proxies[key]
    for (const value of [settings.text(key), typeof inFile === 'string' ? inFile : '']) {
      if (value !== '' && !URL.canParse(value)) {
        throw invalid(`invalid ${key}: ${JSON.stringify(value)} is not a valid URI`)
      }
    }
  }
}

// moby registry/config.go, ValidateMirror.
function checkMirror(text: string): void {
  const either = "must use either 'https://' or 'http://'"
  const quoted = JSON.stringify(text)
  if (!/^[^:]+:\/\//.test(text)) throw invalid(`invalid mirror: no scheme specified for ${quoted}: ${either}`)
  if (!URL.canParse(text)) throw invalid(`invalid mirror: ${quoted} is not a valid URI`)
  const url = new URL(text)
  if (!['http:', 'https:'].includes(url.protocol)) {
    const scheme = JSON.stringify(url.protocol.slice(0, -1))
    throw invalid(`invalid mirror: unsupported scheme ${scheme} in ${quoted}: ${either}`)
  }
  if (url.search !== '' || url.hash !== '') {
    throw invalid(`invalid mirror: query or fragment at end of the URI ${quoted}`)
  }
  if (url.username !== '' || url.password !== '') {
    url.password = 'xxxxx'
    throw invalid(`invalid mirror: username/password not allowed in URI ${JSON.stringify(url.href)}`)
  }
}

const hostName = /^[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*$/

// moby registry/config.go, ValidateIndexName, loadInsecureRegistries and validateHostPort.
function checkInsecure(text: string): void {
  if (text.startsWith('-') || text.endsWith('-')) {
    throw invalid(`invalid index name (${text}). Cannot begin or end with a hyphen`)
  }
  if (text.includes('://')) throw invalid(`insecure registry ${text} should not contain '://'`)
  const [, network = '', length = ''] = /^([^/]+)\/([0-9]{1,3})$/.exec(text) ?? []
  if (isIP(network) !== 0 && Number(length) <= (isIP(network) === 6 ? 128 : 32)) return
  const [, bracketed, plain = text, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::([^:]*))?$/.exec(text) ?? []
  const host = bracketed ?? plain
  if (isIP(host) === 0 && (bracketed !== undefined || !hostName.test(host))) {
    throw invalid(`insecure registry ${text} is not valid: invalid host ${JSON.stringify(host)}`)
  }
  if (port !== undefined && (!/^[0-9]+$/.test(port) || Number(port) > 65535)) {
    throw invalid(`insecure registry ${text} is not valid: invalid port ${JSON.stringify(port)}`)
  }
}

function checkLabels(labels: readonly string[]): void {
  const byName = new Map<string, string>()
  for (const label of labels) {
    const at = label.indexOf('=')
    if (at < 1) throw invalid(`bad attribute format: ${label}`)
    const before = byName.get(label.slice(0, at))
    if (before !== undefined && before !== label) {
      throw invalid(`conflict labels for ${label} and ${before}`)
    }
    byName.set(label.slice(0, at), label)
  }
}

/** What every container would be refused for is said at once. */
function checkLogOptions(settings: Settings): void {
  try {
    validateLogOptions(logDriver(settings.text('log-driver')), settings.map('log-opts'))
  } catch (cause) {
    throw invalid(`failed to set log opts: ${errorMessage(cause)}`, cause)
  }
}

const reservedRuntimes = ['runc', 'io.containerd.runc.v2']

// moby daemon/runtime_unix.go, setupRuntimes. A path that leads nowhere is told where the runtime is used, as there.
function checkRuntimes(settings: Settings): void {
  const runtimes = settings.runtimes()
  for (const [name, { path = '', runtimeType = '' }] of Object.entries(runtimes)) {
    if (reservedRuntimes.includes(name)) throw invalid(`runtime name '${name}' is reserved`)
    if (path === '' && runtimeType === '') {
      throw invalid(`runtime ${name}: either a runtimeType or a path must be configured`)
    }
    if (path !== '' && runtimeType !== '') {
      throw invalid(`runtime ${name}: cannot configure both path and runtimeType for the same runtime`)
    }
  }
  const name = settings.text('default-runtime')
  if (name !== '' && !['crun', ...reservedRuntimes].includes(name) && !(name in runtimes)) {
    throw invalid(`specified default runtime '${name}' does not exist`)
  }
}

function checkDefaultUlimits(settings: Settings): void {
  for (const limit of settings.ulimits()) {
    if (!Number.isInteger(limit.Soft) || !Number.isInteger(limit.Hard)) {
      throw invalid(`default-ulimits: invalid ulimit argument: ${limit.Name}`)
    }
  }
  try {
    checkUlimits(settings.ulimits(), undefined)
  } catch (cause) {
    throw invalid(`default-ulimits: ${errorMessage(cause)}`, cause)
  }
}

function checkSeccomp(setting: string): void {
  const text = seccompText(setting)
  if (text === setting) return
  try {
    parseSeccompProfile(text)
  } catch (cause) {
    throw invalid(`seccomp-profile: ${setting}: ${errorMessage(cause)}`, cause)
  }
}
