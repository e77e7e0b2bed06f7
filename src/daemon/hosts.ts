/** Addresses to listen on, as `-H` writes them. */
import { EngineError } from '../spec/errors.ts'
import type { Settings } from './config-values.ts'
import { defaultPaths } from './default-paths.ts'
import { usesTls } from './tls.ts'

/** Where to listen. An `fd` name picks sockets that systemd passed by that name; empty takes all. */
export type Host =
  | { kind: 'unix'; path: string }
  | { kind: 'tcp'; address: string; port: number }
  | { kind: 'fd'; name: string }

/** Ports that clients assume. */
const plainPort = 2375
const tlsPort = 2376

/** Where the settings say to listen. Throws `invalid`. */
export function hostsOf(settings: Settings): Host[] {
  const hosts = settings.list('hosts')
  const parse = (text: string) =>
    parseHost(text, { tls: usesTls(settings), defaultSocket: defaultPaths.socket })
  return (hosts.length === 0 ? [''] : hosts).map(parse)
}

/** Parses one `-H`. Throws `invalid` with Docker's words. */
export function parseHost(text: string, options: { tls: boolean; defaultSocket: string }): Host {
  const value = text.trim()
  if (value === '' || value === 'unix://') return { kind: 'unix', path: options.defaultSocket }
  const at = value.indexOf('://')
  const scheme = at < 0 ? 'tcp' : value.slice(0, at)
  const rest = at < 0 ? value : value.slice(at + 3)
  if (scheme === 'unix') return { kind: 'unix', path: rest }
  if (scheme === 'fd') return { kind: 'fd', name: rest === '*' ? '' : rest }
  if (scheme === 'tcp') return parseTcp(rest, text, options.tls)
  throw new EngineError('invalid', `invalid bind address (${text}): unsupported proto '${scheme}'`)
}

function parseTcp(rest: string, text: string, tls: boolean): Host {
  const match = /^(\[[0-9a-fA-F:.%a-z]*\]|[^:/]*)(?::([0-9]*))?\/?$/.exec(rest)
  if (match === null)
    throw new EngineError('invalid', `invalid bind address (${text}): should not contain a path`)
  const address = (match[1] ?? '').replace(/^\[|\]$/g, '')
  const port = match[2] === undefined || match[2] === '' ? (tls ? tlsPort : plainPort) : Number(match[2])
  if (port > 65535)
    throw new EngineError('invalid', `invalid bind address (${text}): invalid port ${match[2]}`)
  return { kind: 'tcp', address: address === '' ? '127.0.0.1' : address, port }
}

/** Whether only this machine can reach an address. */
export function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || address.startsWith('127.')
}
