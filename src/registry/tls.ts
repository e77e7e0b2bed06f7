/** TLS of the registry: the certificate, and the authority that clients' certificates must come from. */
import { readFile } from 'node:fs/promises'
import type { ServerOptions } from 'node:https'
import { EngineError, errorMessage } from '../spec/errors.ts'
import type { RegistryConfig } from './config.ts'

/** Reads the files. Throws `invalid` when one cannot be read. */
export async function tlsOptions(tls: RegistryConfig['tls']): Promise<ServerOptions | undefined> {
  if (tls === undefined) return undefined
  const options: ServerOptions = {
    cert: await read(tls.certificate),
    key: await read(tls.key),
    minVersion: 'TLSv1.2',
  }
  if (tls.clientCa === '') return options
  return { ...options, ca: await read(tls.clientCa), requestCert: true, rejectUnauthorized: true }
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new EngineError('invalid', `cannot read ${path}: ${errorMessage(cause)}`, { cause })
  }
}
