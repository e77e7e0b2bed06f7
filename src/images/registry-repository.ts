/** One repository of a registry: its manifests, blobs and tags (OCI distribution specification). */
import type { IncomingMessage } from 'node:http'
import { z } from 'zod'
import { EngineError } from '../spec/errors.ts'
import { goList, goString, goStruct } from '../spec/go-json.ts'
import { algorithmOf, isDigest, type Digest } from '../spec/ids.ts'
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
  /** The registry's domain in references. */
  readonly domain: string
  readonly path: string

  constructor(client: RegistryClient, { domain, path }: { domain: string; path: string }) {
    this.client = client
    this.domain = domain
    this.path = path
  }

  get #pull(): readonly string[] {
    return [`repository:${this.path}:pull`]
  }

  get #push(): readonly string[] {
    return [`repository:${this.path}:pull,push`]
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
    if (!isDigest(tagOrDigest)) return { digest: namedDigest(answer, data), mediaType, data }
    if (digestOf(data, algorithmOf(tagOrDigest)) !== tagOrDigest) {
      throw new EngineError('invalid', `manifest verification failed for digest ${tagOrDigest}`)
    }
    return { digest: tagOrDigest, mediaType, data }
  }

  /** Whether the registry has a manifest here. */
  async hasManifest(id: Digest, signal: AbortSignal): Promise<boolean> {
    const answer = await this.client.request(
      {
        method: 'HEAD',
        path: `/v2/${this.path}/manifests/${id}`,
        scopes: this.#push,
        headers: { accept: acceptedManifests },
        accept: [404],
      },
      signal,
    )
    await drain(answer)
    return answer.statusCode !== 404
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
    if (digestOf(data, algorithmOf(id)) === id) return data
    throw new EngineError('invalid', `image config verification failed for digest ${id}`)
  }

  /** Whether the registry has a blob here. */
  async hasBlob(id: Digest, signal: AbortSignal): Promise<boolean> {
    const path = `/v2/${this.path}/blobs/${id}`
    const answer = await this.client.request(
      { method: 'HEAD', path, scopes: this.#push, accept: [404] },
      signal,
    )
    await drain(answer)
    return answer.statusCode !== 404
  }

  /** Takes a blob over from another repository of the registry; false where that does not work. */
  async mount(id: Digest, from: string, signal: AbortSignal): Promise<boolean> {
    const query = new URLSearchParams({ mount: id, from })
    const answer = await this.client.request(
      {
        method: 'POST',
        path: `/v2/${this.path}/blobs/uploads/?${query.toString()}`,
        scopes: [...this.#push, `repository:${from}:pull`],
        accept: [202, 401, 403, 404],
      },
      signal,
    )
    await drain(answer)
    if (answer.statusCode === 201) return true
    // The registry began an ordinary upload in place of the mount.
    const { location } = answer.headers
    if (answer.statusCode === 202 && location !== undefined) await this.#cancel(location, signal)
    return false
  }

  async #cancel(location: string, signal: AbortSignal): Promise<void> {
    const path = new URL(location, this.client.url('/v2/'))
    const answer = await this.client.request(
      { method: 'DELETE', path, scopes: this.#push, accept: [400, 401, 403, 404, 405] },
      signal,
    )
    await drain(answer)
  }

  /** Uploads a blob whole. `open` gives its bytes, again when it has to be sent again. */
  async upload(
    blob: { digest: Digest; size: number },
    open: () => AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<void> {
    const started = await this.client.request(
      { method: 'POST', path: `/v2/${this.path}/blobs/uploads/`, scopes: this.#push },
      signal,
    )
    await drain(started)
    const { location } = started.headers
    if (location === undefined) throw new EngineError('internal', 'registry gave no address for an upload')
    const path = new URL(location, this.client.url('/v2/'))
    path.searchParams.set('digest', blob.digest)
    const done = await this.client.request(
      {
        method: 'PUT',
        path,
        scopes: this.#push,
        headers: { 'content-type': 'application/octet-stream', 'content-length': String(blob.size) },
        stream: open,
      },
      signal,
    )
    await drain(done)
  }

  /** Uploads a manifest under a tag. */
  async putManifest(
    tagOrDigest: string,
    manifest: { data: Buffer; mediaType: string },
    signal: AbortSignal,
  ): Promise<void> {
    const answer = await this.client.request(
      {
        method: 'PUT',
        path: `/v2/${this.path}/manifests/${tagOrDigest}`,
        scopes: this.#push,
        headers: { 'content-type': manifest.mediaType },
        body: manifest.data,
      },
      signal,
    )
    await drain(answer)
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

/** The digest of what has come: of the algorithm that the registry names it by, else sha256. */
function namedDigest(answer: IncomingMessage, data: Buffer): Digest {
  const named = answer.headers['docker-content-digest']
  if (typeof named !== 'string' || !isDigest(named)) return digestOf(data)
  return digestOf(data, algorithmOf(named))
}
