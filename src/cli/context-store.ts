/**
 * The contexts: named engines, kept where Docker's CLI keeps them and in its format. Below the configuration
 * directory, `contexts/meta/ID/meta.json` describes a context and `contexts/tls/ID/docker/` holds its certificates;
 * ID is the SHA-256 of the name.
 */
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseHost } from '../client/host.ts'
import { fileErrorMessage } from '../lib/file-error.ts'
import { contextDirectory, defaultSocket, readContextMeta } from './endpoint.ts'
import type { ContextMeta } from './endpoint.ts'
import { CliError } from './errors.ts'

/** TLS files of a context's endpoint by file name. */
export type ContextTls = Record<string, Buffer>

/** A context with its certificates. */
export type Context = { meta: ContextMeta; tls: ContextTls }

const tlsNames = { ca: 'ca.pem', cert: 'cert.pem', key: 'key.pem' } as const
const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$/

/** Throws Docker's text for a name that no context may have. */
export function checkContextName(name: string): void {
  if (name === '') throw new CliError('context name cannot be empty')
  if (name === 'default') throw new CliError('"default" is a reserved context name')
  if (!namePattern.test(name)) {
    throw new CliError(
      `context name ${JSON.stringify(name)} is invalid, names are validated against regexp ${JSON.stringify(namePattern.source)}`,
    )
  }
}

function writeWhole(path: string, data: string | Buffer, mode: number): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
  const temporary = `${path}.${process.pid}.tmp`
  writeFileSync(temporary, data, { mode })
  renameSync(temporary, path)
}

/** See the file's description. */
export class ContextStore {
  readonly #configDirectory: string

  constructor(configDirectory: string) {
    this.#configDirectory = configDirectory
  }

  metaDirectory(name: string): string {
    return join(this.#configDirectory, 'contexts/meta', contextDirectory(name))
  }

  tlsDirectory(name: string): string {
    return join(this.#configDirectory, 'contexts/tls', contextDirectory(name))
  }

  exists(name: string): boolean {
    return existsSync(join(this.metaDirectory(name), 'meta.json'))
  }

  /** Throws Docker's text when there is none of that name. */
  read(name: string): Context {
    const meta = readContextMeta(this.#configDirectory, name)
    const directory = join(this.tlsDirectory(name), 'docker')
    const tls: ContextTls = {}
    for (const file of existsSync(directory) ? readdirSync(directory) : [])
      tls[file] = readFileSync(join(directory, file))
    return { meta, tls }
  }

  /** Writes a context, over one of that name. */
  write(context: Context): void {
    const { Name } = context.meta
    rmSync(this.tlsDirectory(Name), { recursive: true, force: true })
    for (const [file, data] of Object.entries(context.tls)) {
      writeWhole(join(this.tlsDirectory(Name), 'docker', file), data, 0o600)
    }
    writeWhole(join(this.metaDirectory(Name), 'meta.json'), JSON.stringify(context.meta), 0o644)
  }

  remove(name: string): void {
    if (!this.exists(name)) throw new CliError(`context ${JSON.stringify(name)} does not exist`)
    rmSync(this.metaDirectory(name), { recursive: true })
    rmSync(this.tlsDirectory(name), { recursive: true, force: true })
  }

  /** All contexts but the default one, by name. */
  list(): ContextMeta[] {
    const root = join(this.#configDirectory, 'contexts/meta')
    const found = (existsSync(root) ? readdirSync(root) : []).flatMap((entry): ContextMeta[] => {
      const path = join(root, entry, 'meta.json')
      if (!existsSync(path)) return []
      return [JSON.parse(readFileSync(path, 'utf8'))]
    })
    return found.sort((a, b) => (a.Name < b.Name ? -1 : 1))
  }
}

function parsePairs(text: string): Record<string, string> {
  const pairs: Record<string, string> = {}
  for (const pair of text.split(',')) {
    const at = pair.indexOf('=')
    if (at < 0)
      throw new CliError(
        `invalid argument ${JSON.stringify(text)} for "--docker" flag: ${pair} must be formatted as key=value`,
      )
    pairs[pair.slice(0, at)] = pair.slice(at + 1)
  }
  return pairs
}

function readTlsFile(path: string): Buffer {
  try {
    return readFileSync(path.startsWith('~/') ? join(homedir(), path.slice(2)) : path)
  } catch (error) {
    throw new CliError(`unable to create docker endpoint config: ${fileErrorMessage(error, path)}`, {
      cause: error,
    })
  }
}

/** The endpoint that a `--docker key=value,...` text describes. Throws Docker's texts. */
export function parseDockerEndpoint(
  text: string,
  store: ContextStore,
): { endpoint: { Host: string; SkipTLSVerify: boolean }; tls: ContextTls } {
  const failed = 'unable to create docker endpoint config'
  const pairs = parsePairs(text)
  for (const key of Object.keys(pairs)) {
    if (!['from', 'host', 'ca', 'cert', 'key', 'skip-tls-verify'].includes(key)) {
      throw new CliError(`${failed}: unrecognized config key: ${key}`)
    }
  }
  if (pairs['from'] !== undefined) {
    const { meta, tls } = store.read(pairs['from'])
    const found = meta.Endpoints?.['docker']
    return { endpoint: { Host: found?.Host ?? '', SkipTLSVerify: found?.SkipTLSVerify ?? false }, tls }
  }
  const tls: ContextTls = {}
  for (const [key, file] of Object.entries(tlsNames)) {
    const path = pairs[key]
    if (path !== undefined && path !== '') tls[file] = readTlsFile(path)
  }
  const host = pairs['host'] ?? ''
  try {
    if (host !== '') parseHost(host)
  } catch (error) {
    throw new CliError(
      `${failed}: unable to apply docker endpoint options: unable to parse docker host \`${host}\``,
      { cause: error },
    )
  }
  const skip = ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(pairs['skip-tls-verify'] ?? '')
  return { endpoint: { Host: host || `unix://${defaultSocket}`, SkipTLSVerify: skip }, tls }
}
