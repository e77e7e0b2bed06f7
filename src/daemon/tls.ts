/** TLS of the daemon's TCP listeners. */
import { readFile } from 'node:fs/promises'
import type { ServerOptions } from 'node:https'
import { join } from 'node:path'
import { EngineError, errorMessage } from '../spec/errors.ts'
import type { Settings } from './config-values.ts'

/** Whether listeners use TLS. */
export function usesTls(settings: Settings): boolean {
  return settings.flag('tls') || settings.flag('tlsverify')
}

/**
 * The server's certificate, and with `tlsverify` the authority that clients' certificates must come from. File
 * names that were not given are Docker's, in `directory`. Throws `invalid` when a file cannot be read.
 */
export async function tlsOptions(settings: Settings, directory: string): Promise<ServerOptions | undefined> {
  if (!usesTls(settings)) return undefined
  const file = async (key: string, name: string) => {
    const path = settings.text(key, join(directory, name))
    try {
      return await readFile(path)
    } catch (error) {
      throw new EngineError('invalid', `could not load X509 key pair: ${errorMessage(error)}`, {
        cause: error,
      })
    }
  }
  const options: ServerOptions = {
    cert: await file('tlscert', 'cert.pem'),
    key: await file('tlskey', 'key.pem'),
    minVersion: 'TLSv1.2',
  }
  if (!settings.flag('tlsverify')) return options
  return { ...options, ca: await file('tlscacert', 'ca.pem'), requestCert: true, rejectUnauthorized: true }
}
