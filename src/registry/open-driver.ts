/** Chooses and makes the storage driver that the configuration describes. */
import { readFile } from 'node:fs/promises'
import type { Clock } from '../lib/clock.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import type { RegistryConfig, S3Config } from './config.ts'
import { FilesystemDriver } from './filesystem-driver.ts'
import { S3Client } from './s3-client.ts'
import { S3Driver } from './s3-driver.ts'
import type { StorageDriver } from './storage-driver.ts'

/** See the file's head. Throws `invalid`. */
export async function openDriver(
  { data, s3 }: Pick<RegistryConfig, 'data' | 's3'>,
  clock: Clock,
): Promise<StorageDriver> {
  return s3 === undefined ? new FilesystemDriver(data) : await openBucket(s3, clock)
}

async function openBucket(config: S3Config, clock: Clock): Promise<S3Driver> {
  const { region, bucket, virtualHosted, verify, accessKey, secretKey, sessionToken } = config
  if (accessKey === '' || secretKey === '') {
    throw new EngineError('invalid', 'invalid configuration: s3: accessKey and secretKey are needed')
  }
  const endpoint = new URL(config.endpoint ?? `https://s3.${region}.amazonaws.com`)
  const folder = config.prefix.split('/').filter((part) => part !== '')
  const client = new S3Client({
    endpoint,
    region,
    bucket,
    credentials: { accessKey, secretKey, sessionToken },
    virtualHosted,
    ca: config.ca === '' ? undefined : await readCa(config.ca),
    verify,
    clock,
  })
  return new S3Driver({
    client,
    identity: ['s3', endpoint.host, bucket, ...folder].join('/'),
    prefix: folder.map((part) => `${part}/`).join(''),
    partBytes: config.partSize,
    redirectSeconds: config.redirect ? Math.ceil(config.redirectExpiry / 1000) : 0,
  })
}

async function readCa(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new EngineError('invalid', `cannot read ${path}: ${errorMessage(cause)}`, { cause })
  }
}
