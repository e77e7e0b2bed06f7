/** The reference registry's REGISTRY_* variables, as far as they have a meaning here. */
import { parseBool } from '../lib/flags.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'

/** A process's environment. */
export type Environment = Readonly<Record<string, string | undefined>>

type Target = readonly [key: string, kind: keyof typeof readers]

const readers = {
  text: (value: string) => value,
  bool: parseBool,
  not: (value: string) => !parseBool(value),
  number: Number,
}
const variables: Record<string, Target> = {
  HTTP_ADDR: ['addr', 'text'],
  HTTP_HOST: ['externalUrl', 'text'],
  HTTP_RELATIVEURLS: ['relativeUrls', 'bool'],
  HTTP_DRAINTIMEOUT: ['timeouts.drain', 'text'],
  HTTP_TLS_CERTIFICATE: ['tls.certificate', 'text'],
  HTTP_TLS_KEY: ['tls.key', 'text'],
  HTTP_TLS_CLIENTCAS_0: ['tls.clientCa', 'text'],
  STORAGE_FILESYSTEM_ROOTDIRECTORY: ['data', 'text'],
  STORAGE_S3_REGIONENDPOINT: ['s3.endpoint', 'text'],
  STORAGE_S3_REGION: ['s3.region', 'text'],
  STORAGE_S3_BUCKET: ['s3.bucket', 'text'],
  STORAGE_S3_ROOTDIRECTORY: ['s3.prefix', 'text'],
  STORAGE_S3_ACCESSKEY: ['s3.accessKey', 'text'],
  STORAGE_S3_SECRETKEY: ['s3.secretKey', 'text'],
  STORAGE_S3_SESSIONTOKEN: ['s3.sessionToken', 'text'],
  STORAGE_S3_FORCEPATHSTYLE: ['s3.virtualHosted', 'not'],
  STORAGE_S3_SKIPVERIFY: ['s3.verify', 'not'],
  STORAGE_S3_CHUNKSIZE: ['s3.partSize', 'number'],
  STORAGE_REDIRECT_DISABLE: ['s3.redirect', 'not'],
  STORAGE_DELETE_ENABLED: ['delete', 'bool'],
  STORAGE_MAINTENANCE_READONLY_ENABLED: ['readOnly', 'bool'],
  STORAGE_MAINTENANCE_UPLOADPURGING_AGE: ['uploads.expiry', 'text'],
  AUTH_HTPASSWD_PATH: ['users.htpasswd', 'text'],
  AUTH_HTPASSWD_REALM: ['users.realm', 'text'],
  AUTH_TOKEN_SERVICE: ['tokens.service', 'text'],
  AUTH_TOKEN_REALM: ['tokens.outside.realm', 'text'],
  AUTH_TOKEN_ISSUER: ['tokens.outside.issuer', 'text'],
  AUTH_TOKEN_JWKS: ['tokens.outside.jwks', 'text'],
  AUTH_TOKEN_ROOTCERTBUNDLE: ['tokens.outside.certificates', 'text'],
  CATALOG_MAXENTRIES: ['limits.page', 'number'],
  LOG_LEVEL: ['log.level', 'text'],
  LOG_ACCESSLOG_DISABLED: ['log.access', 'not'],
  LOG_FORMATTER: ['log.format', 'text'],
}

/** Settings that the environment names. Throws `invalid` for a value that makes no sense. */
export function environmentSettings(environment: Environment): Record<string, unknown> {
  const settings: Record<string, unknown> = {}
  const storage = Object.keys(environment).find((name) =>
    /^REGISTRY_STORAGE_(GCS|AZURE|SWIFT|OSS|INMEMORY)(_|$)/.test(name),
  )
  // Blobs must not go to a folder when they were meant for somewhere else.
  if (storage !== undefined)
    throw new EngineError('invalid', `${storage}: only the filesystem and s3 drivers are supported`)
  for (const [name, [path, kind]] of Object.entries(variables)) {
    const value = environment[`REGISTRY_${name}`]
    if (value === undefined || value === '') continue
    try {
      setAt(settings, path.split('.'), readers[kind](value))
    } catch (cause) {
      throw new EngineError('invalid', `REGISTRY_${name}: ${errorMessage(cause)}`, { cause })
    }
  }
  setBucket(environment, settings)
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

/** The environment's bucket, with what S3's own tools read; variables that mean a bucket only where there is one. */
function setBucket(environment: Environment, settings: Record<string, unknown>): void {
  const s3 = settings['s3']
  if (typeof s3 !== 'object' || s3 === null) return
  if (!('bucket' in s3)) {
    delete settings['s3']
    return
  }
  settings['s3'] = {
    accessKey: environment['AWS_ACCESS_KEY_ID'] ?? '',
    secretKey: environment['AWS_SECRET_ACCESS_KEY'] ?? '',
    sessionToken: environment['AWS_SESSION_TOKEN'] ?? '',
    ...s3,
  }
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
