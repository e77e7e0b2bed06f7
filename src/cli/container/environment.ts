/** Environment variables, labels, hosts and the like: values that are lists of names. Error texts are Docker's. */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { isUtf8 } from 'node:buffer'
import { fileErrorMessage } from '../../lib/file-error.ts'
import { quoteGo } from '../../lib/go-quote.ts'
import type { ConfigFile, ProxyConfig } from '../config-file.ts'
import { cut } from './csv.ts'

type Environment = Readonly<Record<string, string | undefined>>

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    const reason = fileErrorMessage(error, path)
    throw new Error(reason.startsWith('open ') ? reason : `invalid env file (${path}): ${reason}`, {
      cause: error,
    })
  }
}

const lineFeed = 10

function readLines(path: string): string[] {
  const lines: string[] = []
  const bytes = readBytes(path)
  for (let start = 0; start <= bytes.length;) {
    const found = bytes.indexOf(lineFeed, start)
    const line = bytes.subarray(start, found < 0 ? bytes.length : found)
    if (!isUtf8(line)) {
      throw new Error(
        `invalid env file (${path}): invalid utf8 bytes at line ${lines.length + 1}: [${line.join(' ')}]`,
      )
    }
    lines.push(line.toString())
    if (found < 0) break
    start = found + 1
  }
  return lines
}

/** A file of `KEY=value` lines. A key alone takes its value from `env`, where one is given. */
function readKeyValueFile(path: string, env: Environment | undefined): string[] {
  const result: string[] = []
  readLines(path).forEach((raw, index) => {
    const line = raw
      .replace(index === 0 ? /^\uFEFF/ : '', '')
      .replace(/\r$/, '')
      .trimStart()
    if (line === '' || line.startsWith('#')) return
    const [key, value] = cut(line, '=')
    const fail = (reason: string) => new Error(`invalid env file (${path}): ${reason} on line ${index + 1}`)
    if (key === '') throw new Error(`invalid env file (${path}): no variable name on line '${line}'`)
    if (/\s/.test(key)) throw new Error(`invalid env file (${path}): variable '${key}' contains whitespaces`)
    if (line.includes('\0')) throw fail('invalid character')
    if (value !== undefined) result.push(`${key}=${value}`)
    else if (env === undefined) result.push(key)
    else if (env[key] !== undefined) result.push(`${key}=${env[key]}`)
  })
  return result
}

/** Values of files, then those of the command line. */
export function readKeyValues(
  files: readonly string[],
  values: readonly string[],
  env?: Environment,
): string[] {
  return [...files.flatMap((path) => readKeyValueFile(path, env)), ...values]
}

/** `-e NAME[=VALUE]` as a flag: a variable has a name. */
export function environmentValue(text: string): string {
  if (text === '' || text.startsWith('=')) throw new Error(`invalid environment variable: ${text}`)
  return text
}

/** A name alone takes the value it has here, and is passed on bare when it has none. */
export function inheritedValue(text: string, env: Environment): string {
  const [name, value] = cut(text, '=')
  if (value !== undefined || env[name] === undefined) return text
  return `${name}=${env[name]}`
}

/** `-l NAME[=VALUE]`. */
export function labelValue(text: string): string {
  if (text === '' || text.startsWith('=')) throw new Error(`invalid label '${text}': empty name`)
  return text
}

const proxyNames: [keyof ProxyConfig, string][] = [
  ['httpProxy', 'HTTP_PROXY'],
  ['httpsProxy', 'HTTPS_PROXY'],
  ['noProxy', 'NO_PROXY'],
  ['ftpProxy', 'FTP_PROXY'],
  ['allProxy', 'ALL_PROXY'],
]

/** The configured proxies as variables, unless the command line names them. */
export function proxyVariables(config: ConfigFile, host: string, given: readonly string[]): string[] {
  const proxies = config.proxies?.[host] ?? config.proxies?.['default']
  if (proxies === undefined) return []
  const named = new Set(given.map((value) => cut(value, '=')[0]))
  const result: string[] = []
  for (const [key, name] of proxyNames) {
    const value = proxies[key]
    if (!value) continue
    for (const variable of [name, name.toLowerCase()])
      if (!named.has(variable)) result.push(`${variable}=${value}`)
  }
  return result
}

/** `--add-host name:address` or `name=address`. */
export function extraHost(text: string): string {
  const separator = text.includes('=') ? '=' : ':'
  const [name, value] = cut(text, separator)
  if (name === '' || value === undefined) throw new Error(`bad format for add-host: ${quoteGo(text)}`)
  const address = /^\[(.*)\]$/.exec(value)?.[1] ?? value
  if (address !== 'host-gateway' && isIP(address) === 0) {
    throw new Error(`invalid IP address in add-host: ${quoteGo(address)}`)
  }
  return `${name}:${address}`
}

/** `--dns`. */
export function ipAddress(text: string): string {
  const address = text.trim()
  if (isIP(address) === 0) throw new Error(`IP address is not correctly formatted: ${text}`)
  return address
}

/** `--dns-search`; a lone dot means none. */
export function searchDomain(text: string): string {
  const domain = text.trim()
  if (domain === '.') return domain
  const label = '[a-zA-Z0-9]([-_a-zA-Z0-9]*[a-zA-Z0-9])?'
  if (
    !new RegExp(`^${label}(\\.${label})*\\.?$`).test(domain) ||
    !/[a-zA-Z]/.test(domain) ||
    domain.length > 254
  ) {
    throw new Error(`${text} is not a valid domain`)
  }
  return domain
}

/** `--link container[:alias]`. */
export function linkValue(text: string): string {
  if (text === '') throw new Error('empty string specified for links')
  if (text.split(':').length > 2) throw new Error(`bad format for links: ${text}`)
  return text
}

const sysctls = new Set([
  'kernel.msgmax',
  'kernel.msgmnb',
  'kernel.msgmni',
  'kernel.sem',
  'kernel.shmall',
  'kernel.shmmax',
  'kernel.shmmni',
  'kernel.shm_rmid_forced',
])

/** `--sysctl name=value`. */
export function checkSysctl(text: string): string {
  const [name, value] = cut(text, '=')
  const allowed = sysctls.has(name) || name.startsWith('net.') || name.startsWith('fs.mqueue.')
  if (value === undefined || !allowed) throw new Error(`sysctl '${text}' is not allowed`)
  return text
}
