/** TLS of the daemon's TCP listeners. */
import { readFileSync } from 'node:fs'
import type { ServerOptions } from 'node:https'
import { join } from 'node:path'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { fileErrorMessage } from '../lib/file-error.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import type { Settings } from './config-values.ts'

/** Whether listeners use TLS. */
export function usesTls(settings: Settings): boolean {
  return settings.flag('tls') || settings.flag('tlsverify')
}

/**
 * The server's certificate, and with `tlsverify` the authority that clients' certificates must come from. File
 * names that were not given are Docker's, in `directory`. Throws `invalid` when a file cannot be read
 * or holds something else.
 */
export function tlsOptions(settings: Settings, directory: string): ServerOptions | undefined {
  if (!usesTls(settings)) return undefined
  const file = (key: string, name: string) => readKey(key, settings.text(key, join(directory, name)))
  const pair = { cert: file('tlscert', 'cert.pem'), key: file('tlskey', 'key.pem') }
  requireUsable('could not load X509 key pair (tlscert, tlskey)', pair)
  const options: ServerOptions = { ...pair, minVersion: 'TLSv1.2' }
  if (!settings.flag('tlsverify')) return options
  const ca = file('tlscacert', 'ca.pem')
  requireUsable('could not read CA certificate (tlscacert)', { ca })
  return { ...options, ca, requestCert: true, rejectUnauthorized: true }
}

function readKey(key: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new EngineError(
      'invalid',
      `${key}: could not load X509 key pair: ${fileErrorMessage(cause, path)}`,
      { cause },
    )
  }
}

function requireUsable(what: string, parts: SecureContextOptions): void {
  try {
    createSecureContext(parts)
  } catch (cause) {
    throw new EngineError('invalid', `${what}: ${errorMessage(cause)}`, { cause })
  }
}
