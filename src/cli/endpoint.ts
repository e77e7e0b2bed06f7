/**
 * Which engine a command talks to: `-H`, `WHARF_HOST`, `DOCKER_HOST`, the context named by `-c` or
 * `DOCKER_CONTEXT` or the configuration, and at last our own socket. Contexts are read from the directory that
 * Docker keeps them in (`contexts/meta/<sha256 of the name>/meta.json`).
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseHost } from '../client/host.ts'
import type { EngineHost, TlsFiles } from '../client/host.ts'
import { errorCode, errorMessage } from '../spec/errors.ts'
import type { ConfigFile } from './config-file.ts'
import { CliError } from './errors.ts'

/** Where Wharf's daemon listens by default, and where Docker's does. */
export const defaultSocket = '/run/wharf.sock'
const dockerSocket = '/var/run/docker.sock'

/** The global flags that choose an engine, and the process's surroundings. */
export type EndpointSources = {
  hosts: readonly string[]
  context: string
  tls: { use: boolean; verify: boolean; verifyGiven: boolean; ca: string; cert: string; key: string }
  env: Readonly<Record<string, string | undefined>>
  configDirectory: string
  config: () => ConfigFile
}

/** A context's file as Docker writes it. */
export type ContextMeta = {
  Name: string
  Metadata?: { Description?: string; [key: string]: unknown }
  Endpoints?: Record<string, { Host?: string; SkipTLSVerify?: boolean; [key: string]: unknown }>
}

/** Directory name of a context in the store. */
export function contextDirectory(name: string): string {
  // Loaded when a context is asked for: it is a tenth of a short command's time.
  return process.getBuiltinModule('node:crypto').createHash('sha256').update(name).digest('hex')
}

/** Reads a context's file. Throws Docker's text when there is none. */
export function readContextMeta(configDirectory: string, name: string): ContextMeta {
  const path = join(configDirectory, 'contexts/meta', contextDirectory(name), 'meta.json')
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    throw new CliError(
      `context ${JSON.stringify(name)}: context not found: open ${path}: no such file or directory`,
      { cause: error },
    )
  }
}

/** The name of the context in use; `default` where flags, environment and file name none. */
export function currentContextName(sources: EndpointSources): string {
  if (sources.context !== '') return sources.context
  if (sources.hosts.length > 0) return 'default'
  if ((sources.env['WHARF_HOST'] ?? '') !== '' || (sources.env['DOCKER_HOST'] ?? '') !== '') return 'default'
  return sources.env['DOCKER_CONTEXT'] || sources.config().currentContext || 'default'
}

function tlsFiles(sources: EndpointSources): TlsFiles | undefined {
  const { tls, env } = sources
  const fromEnvironment = !tls.verifyGiven && (env['DOCKER_TLS_VERIFY'] ?? '') !== ''
  if (!tls.use && !tls.verify && !fromEnvironment) return undefined
  const directory = env['DOCKER_CERT_PATH'] || sources.configDirectory
  const pick = (given: string, name: string) => {
    if (given !== '') return given
    const path = join(directory, name)
    return existsSync(path) ? path : undefined
  }
  const ca = pick(tls.ca, 'ca.pem')
  const cert = pick(tls.cert, 'cert.pem')
  const key = pick(tls.key, 'key.pem')
  return {
    verify: tls.verify || fromEnvironment,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  }
}

function contextHost(sources: EndpointSources, name: string): EngineHost {
  const endpoint = readContextMeta(sources.configDirectory, name).Endpoints?.['docker']
  if (endpoint === undefined) throw new CliError(`context ${JSON.stringify(name)}: endpoint docker not found`)
  const directory = join(sources.configDirectory, 'contexts/tls', contextDirectory(name), 'docker')
  if (!existsSync(directory)) return parseHost(endpoint.Host ?? '')
  const pick = (file: string) => (existsSync(join(directory, file)) ? join(directory, file) : undefined)
  const [ca, cert, key] = [pick('ca.pem'), pick('cert.pem'), pick('key.pem')]
  return parseHost(endpoint.Host ?? '', {
    verify: endpoint.SkipTLSVerify !== true,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  })
}

/** The engine to talk to. Throws a CliError with Docker's text for an address or context that cannot be used. */
export function resolveEndpoint(sources: EndpointSources): EngineHost {
  try {
    if (sources.hosts.length > 1) throw new Error('Specify only one -H')
    const name = currentContextName(sources)
    if (name !== 'default') return contextHost(sources, name)
    const given = sources.hosts[0] || sources.env['WHARF_HOST'] || sources.env['DOCKER_HOST']
    if (given !== undefined) return parseHost(given, tlsFiles(sources))
    const path = existsSync(defaultSocket) || !existsSync(dockerSocket) ? defaultSocket : dockerSocket
    return { kind: 'unix', text: `unix://${path}`, path }
  } catch (error) {
    throw new CliError(`Failed to initialize: unable to resolve docker endpoint: ${errorMessage(error)}`, {
      cause: error,
    })
  }
}
