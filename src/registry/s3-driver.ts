/** The tree in a bucket of a service that speaks S3. What is written is durable and seen by everybody at once. */
import { open, rm, type FileHandle } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import type { Writable } from 'node:stream'
import { EngineError } from '../spec/errors.ts'
import { eachLimited } from '../lib/each-limited.ts'
import { written } from '../lib/output.ts'
import { xmlValue, xmlValues, type S3Client } from './s3-client.ts'
import type { ByteRange, StorageDriver, StorageEntry, StorageSource } from './storage-driver.ts'

/** How the driver uses its bucket. */
export type S3DriverOptions = {
  client: S3Client
  /** Says which bucket and folder it is: an index of another one is of no use. */
  identity: string
  /** Keys begin with it; empty, or ending in a slash. */
  prefix: string
  /** Larger files go up in parts of this size, or more where there would be too many. */
  partBytes: number
  /** How long a URL is good that a client is sent to; 0 to send nobody away. */
  redirectSeconds: number
}

const mostParts = 10_000
const partsAtOnce = 3
const removalsAtOnce = 16
const mostReopens = 3

/** See the file's head. */
export class S3Driver implements StorageDriver {
  readonly isShared = true
  readonly parallel = 16
  readonly identity: string
  readonly #options: S3DriverOptions

  constructor(options: S3DriverOptions) {
    this.#options = options
    this.identity = options.identity
  }

  async setUp(): Promise<void> {
    const answer = await this.#options.client.call({ method: 'HEAD', key: '' }, [200, 403, 404])
    if (answer.status === 200) return
    const reason = answer.status === 404 ? 'there is no such bucket' : 'the bucket may not be used'
    throw new EngineError('invalid', `${this.identity}: ${reason}`)
  }

  async read(path: string): Promise<Buffer | undefined> {
    const answer = await this.#options.client.call({ method: 'GET', key: this.#key(path) }, [200, 404])
    return answer.status === 404 ? undefined : answer.body
  }

  async write(path: string, data: Uint8Array): Promise<void> {
    await this.#options.client.call({ method: 'PUT', key: this.#key(path), body: data }, [200])
  }

  async sync(): Promise<void> {
    // An object is durable when its PUT is answered.
  }

  async adopt(localFile: string, path: string): Promise<void> {
    {
      await using file = await open(localFile, 'r')
      const { size } = await file.stat()
      if (size <= this.#options.partBytes) await this.write(path, await piece(file, 0, size))
      else await this.#adoptInParts(file, this.#key(path), size)
    }
    await rm(localFile, { force: true })
  }

  async remove(path: string): Promise<void> {
    const keys = [this.#key(path)]
    for await (const { key } of this.#objects(`${this.#key(path)}/`, {})) keys.push(key)
    await eachLimited(keys, removalsAtOnce, async (key) => {
      await this.#options.client.call({ method: 'DELETE', key }, [200, 204, 404])
    })
  }

  async size(path: string): Promise<number | undefined> {
    const answer = await this.#options.client.call({ method: 'HEAD', key: this.#key(path) }, [200, 404])
    return answer.status === 404 ? undefined : Number(answer.headers['content-length'])
  }

  async list(path: string, after = ''): Promise<StorageEntry[]> {
    const prefix = path === '' ? this.#options.prefix : `${this.#key(path)}/`
    const query = { delimiter: '/', ...(after === '' ? {} : { 'start-after': `${prefix}${after}` }) }
    const entries: StorageEntry[] = []
    for await (const { key, isDirectory } of this.#objects(prefix, query)) {
      const name = key.slice(prefix.length).replace(/\/$/, '')
      if (name !== '') entries.push({ name, isDirectory })
    }
    return entries
  }

  async open(path: string, range: ByteRange): Promise<StorageSource> {
    const fetch = async (from: number) => await this.#fetch(path, { start: from, end: range.end })
    return new S3Source(await fetch(range.start), range, fetch)
  }

  redirect(path: string): Promise<string | undefined> {
    const { client, redirectSeconds } = this.#options
    return Promise.resolve(
      redirectSeconds > 0 ? client.presigned(this.#key(path), redirectSeconds) : undefined,
    )
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#options.client[Symbol.dispose]()
    return Promise.resolve()
  }

  async #fetch(path: string, { start, end }: ByteRange): Promise<IncomingMessage> {
    const headers: Record<string, string> = end < start ? {} : { range: `bytes=${start}-${end}` }
    const call = { method: 'GET', key: this.#key(path), headers } as const
    // A service may answer a range that is the whole with the whole.
    const response = await this.#options.client.stream(call, [200, 206, 404])
    if (response.statusCode !== 404 && (response.statusCode === 206 || start === 0)) return response
    response.destroy()
    throw Object.assign(new Error(`no such object: ${path}`), { code: 'ENOENT' })
  }

  async #adoptInParts(file: FileHandle, key: string, size: number): Promise<void> {
    const { client } = this.#options
    const begun = await client.call({ method: 'POST', key, query: { uploads: '' } }, [200])
    const uploadId = xmlValue(begun.body.toString(), 'UploadId') ?? ''
    const partBytes = Math.max(this.#options.partBytes, Math.ceil(size / mostParts))
    const parts = Array.from({ length: Math.ceil(size / partBytes) }, (_, index) => ({
      number: index + 1,
      at: index * partBytes,
      etag: '',
    }))
    try {
      await eachLimited(parts, partsAtOnce, async (part) => {
        const body = await piece(file, part.at, Math.min(partBytes, size - part.at))
        const query = { partNumber: String(part.number), uploadId }
        part.etag = (await client.call({ method: 'PUT', key, query, body }, [200])).headers['etag'] ?? ''
      })
      const list = parts.map(
        ({ number, etag }) => `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag></Part>`,
      )
      const body = Buffer.from(`<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`)
      const done = await client.call({ method: 'POST', key, query: { uploadId }, body }, [200])
      // The service may begin to answer 200 before it knows.
      const code = xmlValue(done.body.toString(), 'Code')
      if (code !== undefined) throw new Error(`storage answers ${code} to the end of an upload`)
    } catch (error) {
      await client.call({ method: 'DELETE', key, query: { uploadId } }, [204, 404]).catch(() => {})
      throw error
    }
  }

  async *#objects(
    prefix: string,
    query: Record<string, string>,
  ): AsyncGenerator<{ key: string; isDirectory: boolean }> {
    let token: string | undefined
    do {
      const answer = await this.#options.client.call(
        {
          method: 'GET',
          key: '',
          query: {
            ...query,
            'list-type': '2',
            prefix,
            ...(token === undefined ? {} : { 'continuation-token': token }),
          },
        },
        [200],
      )
      const xml = answer.body.toString()
      for (const key of xmlValues(xml, 'Key')) yield { key, isDirectory: false }
      for (const group of xmlValues(xml, 'CommonPrefixes')) {
        yield { key: xmlValue(group, 'Prefix') ?? '', isDirectory: true }
      }
      token = xmlValue(xml, 'IsTruncated') === 'true' ? xmlValue(xml, 'NextContinuationToken') : undefined
    } while (token !== undefined)
  }

  #key(path: string): string {
    return `${this.#options.prefix}${path}`
  }
}

/** An object on its way; a connection that breaks is opened again where it broke. */
class S3Source implements StorageSource {
  readonly #range: ByteRange
  readonly #fetch: (from: number) => Promise<IncomingMessage>
  #response: IncomingMessage

  constructor(
    response: IncomingMessage,
    range: ByteRange,
    fetch: (from: number) => Promise<IncomingMessage>,
  ) {
    this.#response = response
    this.#range = range
    this.#fetch = fetch
  }

  async sendTo(output: Writable): Promise<void> {
    const { start, end } = this.#range
    let at = start
    for (let reopened = 0; at <= end; reopened++) {
      try {
        for await (const data of this.#response) {
          const chunk: Buffer = data
          await written(output, chunk)
          at += chunk.length
        }
        if (at <= end) throw new Error('object is shorter than it was')
      } catch (error) {
        if (output.destroyed || reopened >= mostReopens) throw error
        this.#response = await this.#fetch(at)
      }
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#response.destroy()
    return Promise.resolve()
  }
}

async function piece(file: FileHandle, at: number, size: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(size)
  let filled = 0
  while (filled < size) {
    const { bytesRead } = await file.read(buffer, filled, size - filled, at + filled)
    if (bytesRead === 0) throw Object.assign(new Error('file is shorter than it was'), { code: 'EIO' })
    filled += bytesRead
  }
  return buffer
}
