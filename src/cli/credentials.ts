/**
 * Credentials for registries, where Docker keeps them: in a credential helper for the registry (`credHelpers`), in the
 * store for all (`credsStore`), or in `config.json` itself (`auths`). Helpers are programs `docker-credential-NAME`
 * that speak JSON on their standard streams.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { encodeJsonForHtml } from '../lib/http-json.ts'
import type { Cli } from './cli.ts'
import { changeConfigFile } from './config-change.ts'
import type { ConfigFile } from './config-file.ts'
import { CliError } from './errors.ts'
import { parseImageName } from './image-names.ts'

/** Credentials for one registry, as the API takes them. */
export type RegistryAuth = {
  username?: string
  password?: string
  serveraddress: string
  identitytoken?: string
}

/** The Hub's key in `config.json`. */
export const hubAddress = 'https://index.docker.io/v1/'
/** User name by which helpers mark an identity token. */
const tokenUser = '<token>'
const notFoundText = 'credentials not found in native keychain'

/** The key under which a registry's credentials are kept: its host; the Hub has one of its own. */
export function registryKey(domain: string): string {
  return domain === 'docker.io' || domain === 'index.docker.io' ? hubAddress : domain
}

/** Host of an address: no scheme, no path. */
export function hostOf(address: string): string {
  return address.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
}

/** Credentials for a registry; only the address where there are none. */
export function findCredentials(cli: Cli, key: string): RegistryAuth {
  const helper = helperFor(cli.config, key)
  if (helper !== undefined) return fromHelper(helper, key)
  const auths = cli.config.auths ?? {}
  const name = key in auths ? key : Object.keys(auths).find((candidate) => hostOf(candidate) === hostOf(key))
  const entry = name === undefined ? undefined : auths[name]
  if (entry === undefined) return { serveraddress: key }
  const auth: RegistryAuth = { serveraddress: key }
  if (entry.identitytoken !== undefined && entry.identitytoken !== '')
    auth.identitytoken = entry.identitytoken
  const decoded = Buffer.from(entry.auth ?? '', 'base64').toString('utf8')
  const colon = decoded.indexOf(':')
  if (colon > 0) {
    auth.username = decoded.slice(0, colon)
    auth.password = decoded.slice(colon + 1).replace(/\0+$/, '')
  } else {
    if (entry.username !== undefined) auth.username = entry.username
    if (entry.password !== undefined) auth.password = entry.password
  }
  return auth
}

/** The `X-Registry-Auth` header for an image of a registry. */
export function authHeader(cli: Cli, image: string): Record<string, string> {
  const auth = findCredentials(cli, registryKey(domainOf(image)))
  return { 'X-Registry-Auth': Buffer.from(JSON.stringify(auth)).toString('base64') }
}

/** The registry that a reference names. */
function domainOf(image: string): string {
  const { repository } = parseImageName(image)
  const [first = '', ...rest] = repository.split('/')
  const isDomain =
    rest.length > 0 && (/[.:]/.test(first) || first === 'localhost' || first.toLowerCase() !== first)
  return isDomain ? first : 'docker.io'
}

/** Keeps credentials. Answers where they newly lie unencrypted, if so. */
export function storeCredentials(cli: Cli, auth: RegistryAuth): string | undefined {
  const { serveraddress: key, username = '', password = '', identitytoken = '' } = auth
  const helper = helperFor(cli.config, key)
  if (helper !== undefined) {
    const secret = identitytoken === '' ? password : identitytoken
    const user = identitytoken === '' ? username : tokenUser
    callHelper(helper, 'store', encodeJsonForHtml({ ServerURL: key, Username: user, Secret: secret }))
    // The file keeps only that there is something.
    changeConfigFile(cli.configDirectory, (config) => {
      config.auths = { ...config.auths, [key]: {} }
    })
    return undefined
  }
  const encoded = Buffer.from(`${username}:${identitytoken === '' ? password : ''}`).toString('base64')
  const entry = { auth: encoded, ...(identitytoken === '' ? {} : { identitytoken }) }
  const before = cli.config.auths?.[key]
  if (before?.auth === entry.auth && (before.identitytoken ?? '') === identitytoken) return undefined
  changeConfigFile(cli.configDirectory, (config) => {
    config.auths = { ...config.auths, [key]: entry }
  })
  return join(cli.configDirectory, 'config.json')
}

/** Forgets credentials. Throws what a helper says. */
export function eraseCredentials(cli: Cli, key: string): void {
  const helper = helperFor(cli.config, key)
  const isInFile = cli.config.auths?.[key] !== undefined
  if (isInFile) {
    changeConfigFile(cli.configDirectory, (config) => {
      if (config.auths !== undefined) delete config.auths[key]
    })
  }
  if (helper !== undefined) callHelper(helper, 'erase', key)
}

function helperFor(config: ConfigFile, key: string): string | undefined {
  const name = config.credHelpers?.[key] ?? config.credsStore
  return name === undefined || name === '' ? undefined : name
}

function fromHelper(helper: string, key: string): RegistryAuth {
  let found: { Username?: string; Secret?: string } | null
  try {
    found = JSON.parse(callHelper(helper, 'get', key) ?? 'null')
  } catch {
    // As Docker does: one that is absent or out of order has nothing.
    found = null
  }
  if (found === null) return { serveraddress: key }
  const { Username = '', Secret = '' } = found
  if (Username === tokenUser) return { serveraddress: key, identitytoken: Secret }
  return { serveraddress: key, username: Username, password: Secret }
}

/** What a helper printed; undefined where it has nothing. */
function callHelper(helper: string, action: 'get' | 'store' | 'erase', input: string): string | undefined {
  const program = `docker-credential-${helper}`
  const { status, stdout, error } = spawnSync(program, [action], {
    input,
    stdio: ['pipe', 'pipe', 'inherit'],
    encoding: 'utf8',
  })
  const verb = { get: 'getting', store: 'storing', erase: 'erasing' }[action]
  if (error !== undefined) {
    throw new CliError(
      `error ${verb} credentials - err: exec: "${program}": executable file not found in $PATH, out: \`\``,
      { cause: error },
    )
  }
  if (status === 0) return stdout
  if (stdout.trim() === notFoundText) return undefined
  throw new CliError(
    `error ${verb} credentials - err: exit status ${status ?? -1}, out: \`${stdout.trim()}\``,
  )
}
