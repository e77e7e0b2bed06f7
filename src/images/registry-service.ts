/**
 * Registries as the API's routes see them: pull, push, login, search, and what a registry says of an image. Decodes
 * references, encodes nothing, and throws EngineErrors with Docker's texts.
 */
import { z } from 'zod'
import { EngineError } from '../spec/errors.ts'
import { isDigest, type Digest } from '../spec/ids.ts'
import type { Descriptor, Platform } from '../spec/image-types.ts'
import { Manifest, parseJson } from './image-record.ts'
import { attestationsOf, type AttestationQuery, type AttestationStatement } from './attestations.ts'
import type { ImageStore } from './image-store.ts'
import {
  fetchManifest,
  putManifest,
  type ManifestAccess,
  type ManifestDocument,
} from './manifest-exchange.ts'
import { parsePlatform } from './platform.ts'
import type { Report } from './pull-progress.ts'
import type { Puller } from './puller.ts'
import type { Pusher } from './pusher.ts'
import { parseReference, withDefaultTag, type Reference } from './reference.ts'
import type { Registries } from './registries.ts'
import { hubDomain } from './registry-endpoints.ts'
import { RegistryError } from './registry-errors.ts'
import { searchRegistry, type SearchQuery, type SearchResult } from './registry-search.ts'
import { remoteArchive } from './remote-archive.ts'
import { decodeAuth, AuthConfig, withAuth } from './registry-tokens.ts'

/** What the service stands on. */
export type RegistryServiceOptions = {
  images: ImageStore
  registries: Registries
  puller: Puller
  pusher: Pusher
  host: Platform
}

/** A pull as the API asks for it. `auth` is the header's text. */
export type PullQuery = { image: string; tag: string; platform: string; auth: string | undefined }

/** A push as the API asks for it. */
export type PushQuery = {
  image: string
  tag: string
  platform: Platform | undefined
  auth: string | undefined
}

/** What a registry says of an image. */
export type DistributionInspect = { Descriptor: Descriptor; Platforms: Platform[] }

const tagPattern = /^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}$/

/** See the file's head. */
export class RegistryService {
  readonly #options: RegistryServiceOptions

  constructor(options: RegistryServiceOptions) {
    this.#options = options
  }

  /** Pulls one image, or all tags of a repository where none is named. */
  async pull(query: PullQuery, report: Report, signal: AbortSignal): Promise<void> {
    const { puller, host } = this.#options
    const platform = query.platform === '' ? undefined : parsePlatform(query.platform, host)
    const auth = decodeAuth(query.auth)
    await puller.pull({ reference: pullReference(query), platform, auth, report }, signal)
  }

  /** An archive that is to be imported from an address. */
  async archive(source: string, report: Report, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const { registries } = this.#options
    return remoteArchive((url, asked) => registries.get(url, asked), source, { report, signal })
  }

  /** Pushes one tag, or all tags of a repository where none is named. */
  async push(query: PushQuery, report: Report, signal: AbortSignal): Promise<void> {
    const { repository, tag, digest } = parseReference(query.image)
    if (digest !== undefined) throw new EngineError('invalid', 'cannot push a digest reference')
    const wanted = query.tag === '' ? tag : query.tag
    if (wanted !== undefined && !tagPattern.test(wanted))
      throw new EngineError('invalid', 'invalid tag format')
    const reference = { repository, ...(wanted === undefined ? {} : { tag: wanted }) }
    const auth = decodeAuth(query.auth)
    await this.#options.pusher.push({ reference, platform: query.platform, auth, report }, signal)
  }

  /** Searches an index. */
  async search(query: SearchQuery, auth: string | undefined, signal: AbortSignal): Promise<SearchResult[]> {
    return searchRegistry(this.#options.registries, query, decodeAuth(auth), signal)
  }

  /** Checks credentials; the answer's token is an identity token or empty. */
  async login(body: unknown, signal: AbortSignal): Promise<{ status: string; token: string }> {
    const parsed = AuthConfig.safeParse(body)
    if (!parsed.success) throw new EngineError('invalid', 'invalid credentials')
    const auth = withAuth(parsed.data)
    const domain = loginDomain(auth.serveraddress)
    try {
      const client = await this.#options.registries.connect(domain, auth, signal)
      return { status: 'Login Succeeded', token: await client.login(signal) }
    } catch (error) {
      if (!(error instanceof RegistryError) || ![401, 403].includes(error.status)) throw error
      const shown = domain === hubDomain ? 'https://registry-1.docker.io' : `https://${domain}`
      throw new EngineError('unauthorized', `Get "${shown}/v2/": ${error.message}`, { cause: error })
    }
  }

  /** What the registry has under a name, without pulling it. */
  async distribution(
    name: string,
    authHeader: string | undefined,
    signal: AbortSignal,
  ): Promise<DistributionInspect> {
    const reference = withDefaultTag(parseReference(name))
    const wanted = reference.digest ?? reference.tag ?? 'latest'
    return this.#options.registries.withRepository(
      reference.repository,
      { auth: decodeAuth(authHeader), signal },
      async (repository) => {
        const found = await repository.manifest(wanted, signal)
        const manifest = parseJson(Manifest, found.data, 'image manifest')
        const mediaType = found.mediaType === '' ? manifest.mediaType : found.mediaType
        const descriptor = { mediaType, digest: found.digest, size: found.data.length }
        const listed = (manifest.manifests ?? []).flatMap(({ platform }) =>
          platform === null ? [] : [platformShape(platform)],
        )
        if (listed.length > 0 || manifest.config === undefined) {
          return { Descriptor: descriptor, Platforms: listed }
        }
        const config = await repository.smallBlob(manifest.config.digest, maxConfigBytes, signal)
        return {
          Descriptor: descriptor,
          Platforms: [platformShape(parseJson(ConfigPlatform, config, 'image config'))],
        }
      },
    )
  }

  /** A manifest or an index as the registry has it. */
  async manifest(name: string, access: ManifestAccess, signal: AbortSignal): Promise<ManifestDocument> {
    return fetchManifest(this.#options.registries, name, access, signal)
  }

  /** Puts a manifest into a registry. */
  async putManifest(
    name: string,
    body: unknown,
    access: ManifestAccess,
    signal: AbortSignal,
  ): Promise<{ Digest: Digest }> {
    return putManifest(this.#options.registries, name, body, { ...access, signal })
  }

  /** Statements about an image that its registry has; without a platform those for this machine's. */
  async attestations(
    name: string,
    query: Omit<AttestationQuery, 'platform'> & { platform: Platform | undefined },
    signal: AbortSignal,
  ): Promise<AttestationStatement[]> {
    const platform = query.platform ?? this.#options.host
    return attestationsOf(this.#options, name, { ...query, platform }, signal)
  }

  /** All tags of a repository. */
  async tags(name: string, authHeader: string | undefined, signal: AbortSignal): Promise<string[]> {
    const { repository } = parseReference(name)
    return this.#options.registries.withRepository(
      repository,
      { auth: decodeAuth(authHeader), signal },
      async (opened) => opened.tags(signal),
    )
  }
}

const maxConfigBytes = 8 << 20
const ConfigPlatform = z.object({
  architecture: z.string().default(''),
  os: z.string().default(''),
  variant: z.string().default(''),
})

function platformShape({ architecture, os, variant }: z.output<typeof ConfigPlatform>): Platform {
  return { architecture, os, ...(variant === '' ? {} : { variant }) }
}

/** What `fromImage` and `tag` mean together. Throws invalid. */
export function pullReference({ image, tag }: { image: string; tag: string }): Reference {
  const reference = parseReference(image)
  if (tag === '') return reference
  if (isDigestText(tag)) return { ...reference, digest: tag }
  if (!tagPattern.test(tag)) throw new EngineError('invalid', 'invalid tag format')
  return { ...reference, tag }
}

function isDigestText(text: string): text is Digest {
  if (!text.includes(':')) return false
  if (isDigest(text)) return true
  throw new EngineError('invalid', 'invalid checksum digest length')
}

/** The registry that an address of `login` means; empty is the Hub. */
export function loginDomain(address: string): string {
  const bare = address.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
  return ['', 'index.docker.io', 'docker.io', 'registry-1.docker.io'].includes(bare) ? hubDomain : bare
}
