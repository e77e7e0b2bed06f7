/** One repository of a registry: its manifests, blobs and tags (OCI distribution specification). */
import type { IncomingMessage } from 'node:http'
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { EngineError } from '../spec/errors.ts'
import { goList, goString, goStruct } from '../spec/go-json.ts'
import { digest, isDigest, type Digest } from '../spec/ids.ts'
import type { Descriptor } from '../spec/image-types.ts'
import { digestOf } from '../content/content-store.ts'
import { mediaTypes } from './image-record.ts'
import { drain, readAnswer, type RegistryClient } from './registry-client.ts'

/** A manifest or an index with its exact bytes. */
export type FetchedManifest = { digest: Digest; mediaType: string; data: Buffer }

const acceptedManifests = [
  mediaTypes.manifest,
  mediaTypes.dockerList,
  mediaTypes.index,
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
  'application/json',
  mediaTypes.dockerManifest,
].join(', ')

const maxManifestBytes = 4 << 20
const maxTagPages = 10_000
const TagList = goStruct({ name: goString(), tags: goList(z.string()) })

/** See the file's head. */
export class RegistryRepository {
  readonly client: RegistryClient
  readonly path: string

  constructor(client: RegistryClient, path: string) {
    this.client = client
    this.path = path
  }

  get #pull(): readonly string[] {
    return [`repository:${this.path}:pull`]
  }

  /** Fetches a manifest by tag or digest, verified where it is by digest. */
  async manifest(tagOrDigest: string, signal: AbortSignal): Promise<FetchedManifest> {
    const answer = await this.client.request(
      {
        method: 'GET',
        path: `/v2/${this.path}/manifests/${tagOrDigest}`,
        scopes: this.#pull,
        headers: { accept: acceptedManifests },
      },
      signal,
    )
    const data = await readAnswer(answer, maxManifestBytes)
    const mediaType = (answer.headers['content-type'] ?? '').split(';', 1)[0]?.trim() ?? ''
    if (!isDigest(tagOrDigest)) return { digest: digestOf(data), mediaType, data }
    const algorithm = tagOrDigest.slice(0, tagOrDigest.indexOf(':'))
    const found = `${algorithm}:${createHash(algorithm).update(data).digest('hex')}`
    if (found !== tagOrDigest) {
      throw new EngineError('invalid', `manifest verification failed for digest ${tagOrDigest}`)
    }
    return { digest: tagOrDigest, mediaType, data }
  }

  /** The descriptor of a manifest; undefined where the registry does not have it. */
  async head(tagOrDigest: string, signal: AbortSignal, scopes = this.#pull): Promise<Descriptor | undefined> {
    const answer = await this.client.request(
      {
        method: 'HEAD',
        path: `/v2/${this.path}/manifests/${tagOrDigest}`,
        scopes,
        headers: { accept: acceptedManifests },
        accept: [404],
      },
      signal,
    )
    await drain(answer)
    const id = answer.headers['docker-content-digest']
    if (answer.statusCode === 404 || typeof id !== 'string' || !isDigest(id)) return undefined
    const size = Number(answer.headers['content-length'] ?? 0)
    return { mediaType: answer.headers['content-type'] ?? '', digest: digest(id), size }
  }

  /** A blob from a byte on; the answer's status is 206 where the registry did so, else it begins at the start. */
  async blob(id: Digest, from: number, signal: AbortSignal): Promise<IncomingMessage> {
    return this.client.request(
      {
        method: 'GET',
        path: `/v2/${this.path}/blobs/${id}`,
        scopes: this.#pull,
        headers: { 'accept-encoding': 'identity', ...(from > 0 ? { range: `bytes=${from}-` } : {}) },
      },
      signal,
    )
  }

  /** A small blob, verified. */
  async smallBlob(id: Digest, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    const data = await readAnswer(await this.blob(id, 0, signal), maxBytes)
    const algorithm = id.slice(0, id.indexOf(':'))
    const found = `${algorithm}:${createHash(algorithm).update(data).digest('hex')}`
    if (found === id) return data
    throw new EngineError('invalid', `image config verification failed for digest ${id}`)
  }

  /** All tags, as they come: registries give pages. */
  async tags(signal: AbortSignal): Promise<string[]> {
    const tags: string[] = []
    let path: string | URL = `/v2/${this.path}/tags/list`
    for (let page = 0; page < maxTagPages; page++) {
      const answer = await this.client.request({ method: 'GET', path, scopes: this.#pull }, signal)
      const list = parseTags(await readAnswer(answer, maxManifestBytes))
      tags.push(...(list.tags ?? []))
      const next = /<([^>]*)>\s*;[^,]*rel="?next"?/.exec(headerText(answer.headers['link']))?.[1]
      if (next === undefined) return tags
      path = new URL(next, this.client.url(path))
    }
    throw new EngineError('internal', `registry lists more than ${maxTagPages} pages of tags`)
  }
}

function headerText(value: string | string[] | undefined): string {
  return typeof value === 'string' ? value : (value ?? []).join(', ')
}

function parseTags(data: Buffer): z.output<typeof TagList> {
  try {
    return TagList.parse(JSON.parse(data.toString('utf8')))
  } catch (cause) {
    throw new EngineError('internal', 'registry answered no list of tags', { cause })
  }
}
