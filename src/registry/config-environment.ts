/** The reference registry's REGISTRY_* variables, as far as they have a meaning here. */
import { parseBool } from '../lib/flags.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'

/** A process's environment. */
export type Environment = Readonly<Record<string, string | undefined>>

type Target = readonly [key: string, kind: 'text' | 'bool' | 'number']

const variables: Record<string, Target> = {
  HTTP_ADDR: ['addr', 'text'],
  HTTP_HOST: ['externalUrl', 'text'],
  HTTP_RELATIVEURLS: ['relativeUrls', 'bool'],
  HTTP_TLS_CERTIFICATE: ['tls.certificate', 'text'],
  HTTP_TLS_KEY: ['tls.key', 'text'],
  HTTP_TLS_CLIENTCAS_0: ['tls.clientCa', 'text'],
  STORAGE_FILESYSTEM_ROOTDIRECTORY: ['data', 'text'],
  STORAGE_DELETE_ENABLED: ['delete', 'bool'],
  STORAGE_MAINTENANCE_READONLY_ENABLED: ['readOnly', 'bool'],
  STORAGE_MAINTENANCE_UPLOADPURGING_AGE: ['uploads.expiry', 'text'],
  AUTH_HTPASSWD_PATH: ['users.htpasswd', 'text'],
  AUTH_HTPASSWD_REALM: ['users.realm', 'text'],
  AUTH_TOKEN_SERVICE: ['tokens.service', 'text'],
  AUTH_TOKEN_REALM: ['tokens.outside.realm', 'text'],
  AUTH_TOKEN_ISSUER: ['tokens.outside.issuer', 'text'],
  AUTH_TOKEN_ROOTCERTBUNDLE: ['tokens.outside.certificates', 'text'],
  CATALOG_MAXENTRIES: ['limits.page', 'number'],
  LOG_LEVEL: ['log.level', 'text'],
  LOG_FORMATTER: ['log.format', 'text'],
}

/** Settings that the environment names. Throws `invalid` for a value that makes no sense. */
export function environmentSettings(environment: Environment): Record<string, unknown> {
  const settings: Record<string, unknown> = {}
  const storage = Object.keys(environment).find((name) =>
    /^REGISTRY_STORAGE_(S3|GCS|AZURE|SWIFT|OSS|INMEMORY)(_|$)/.test(name),
  )
  // Blobs must not go to a folder when they were meant for somewhere else.
  if (storage !== undefined)
    throw new EngineError('invalid', `${storage}: only the filesystem driver is supported`)
  for (const [name, [path, kind]] of Object.entries(variables)) {
    const value = environment[`REGISTRY_${name}`]
    if (value === undefined || value === '') continue
    try {
      setAt(
        settings,
        path.split('.'),
        kind === 'text' ? value : kind === 'bool' ? parseBool(value) : Number(value),
      )
    } catch (cause) {
      throw new EngineError('invalid', `REGISTRY_${name}: ${errorMessage(cause)}`, { cause })
    }
  }
  const remote = environment['REGISTRY_PROXY_REMOTEURL']
  if (remote !== undefined && remote !== '') {
    settings['upstreams'] = [
      {
        url: remote,
        username: environment['REGISTRY_PROXY_USERNAME'] ?? '',
        password: environment['REGISTRY_PROXY_PASSWORD'] ?? '',
      },
    ]
  }
  return settings
}

function setAt(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [key = '', ...rest] = path
  if (rest.length === 0) {
    target[key] = value
    return
  }
  const below: Record<string, unknown> = {}
  const old = target[key]
  if (typeof old === 'object' && old !== null) Object.assign(below, old)
  setAt(below, rest, value)
  target[key] = below
}
