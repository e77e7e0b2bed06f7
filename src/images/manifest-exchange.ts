/**
 * Single manifests in registries, for the client's `manifest` commands: an addition to the API, so that a client needs
 * no registry client of its own and goes through the daemon's mirrors, certificates and proxies.
 */
import { z } from 'zod'
import { EngineError } from '../spec/errors.ts'
import { goList, goString, goStruct } from '../spec/go-json.ts'
import { isDigest, type Digest } from '../spec/ids.ts'
import type { Platform } from '../spec/image-types.ts'
import { digestOf } from '../content/content-store.ts'
import { Manifest, parseJson } from './image-record.ts'
import { canonicalText, parseReference, withDefaultTag } from './reference.ts'
import type { Registries } from './registries.ts'
import { splitRepository } from './registry-endpoints.ts'
import type { RegistryRepository } from './registry-repository.ts'
import { decodeAuth } from './registry-tokens.ts'

/** A manifest as a registry has it; `Data` is base64 of its exact bytes. */
export type ManifestDocument = {
  Reference: string
  MediaType: string
  Digest: Digest
  Size: number
  Data: string
  /** Of a single image, from its configuration. */
  Platform?: Platform
}

/** How a registry is talked to. */
export type ManifestAccess = { auth: string | undefined; insecure: boolean }

const PutRequest = goStruct({ MediaType: goString(), Data: goString(), Source: goString() })
const ConfigPlatform = goStruct({
  architecture: goString(),
  os: goString(),
  variant: goString(),
  'os.version': goString(),
  'os.features': goList(z.string()),
})
const maxConfigBytes = 8 << 20

/** Fetches a manifest or an index. Throws the registry's error. */
export async function fetchManifest(
  registries: Registries,
  name: string,
  access: ManifestAccess,
  signal: AbortSignal,
): Promise<ManifestDocument> {
  const reference = withDefaultTag(parseReference(name))
  const options = { auth: decodeAuth(access.auth), insecure: access.insecure, signal }
  return registries.withRepository(reference.repository, options, async (repository) => {
    const found = await repository.manifest(reference.digest ?? reference.tag ?? 'latest', signal)
    const manifest = parseJson(Manifest, found.data, 'image manifest')
    const { config } = manifest
    const platform =
      config === undefined
        ? undefined
        : platformOf(await repository.smallBlob(config.digest, maxConfigBytes, signal))
    return {
      Reference: canonicalText(reference),
      MediaType: manifest.mediaType === '' ? found.mediaType : manifest.mediaType,
      Digest: found.digest,
      Size: found.data.length,
      Data: found.data.toString('base64'),
      ...(platform === undefined ? {} : { Platform: platform }),
    }
  })
}

function platformOf(config: Buffer): Platform {
  const parsed = parseJson(ConfigPlatform, config, 'image configuration')
  const { architecture, os, variant, 'os.version': version, 'os.features': features } = parsed
  return {
    architecture,
    os,
    ...(version === '' ? {} : { 'os.version': version }),
    ...(features === null ? {} : { 'os.features': features }),
    ...(variant === '' ? {} : { variant }),
  }
}

/**
 * Puts a manifest under a name, exactly these bytes; its blobs are taken over from the repository `Source` of the same
 * registry. Throws notFound where one of them is nowhere.
 */
export async function putManifest(
  registries: Registries,
  name: string,
  body: unknown,
  { auth, insecure, signal }: ManifestAccess & { signal: AbortSignal },
): Promise<{ Digest: Digest }> {
  const request = PutRequest.safeParse(body)
  if (!request.success) throw new EngineError('invalid', 'invalid manifest request')
  const { MediaType: mediaType, Data, Source } = request.data
  const data = Buffer.from(Data, 'base64')
  const reference = withDefaultTag(parseReference(name))
  const { config, layers } = parseJson(Manifest, data, 'image manifest')
  const blobs = [...(config === undefined ? [] : [config]), ...(layers ?? [])].map((blob) => blob.digest)
  const options = { auth: decodeAuth(auth), insecure, push: true, signal }
  return registries.withRepository(reference.repository, options, async (repository) => {
    for (const id of blobs) if (isDigest(id)) await takeOver(repository, id, Source, signal)
    const target = reference.digest ?? reference.tag ?? 'latest'
    await repository.putManifest(target, { data, mediaType }, signal)
    return { Digest: reference.digest ?? digestOf(data) }
  })
}

async function takeOver(
  repository: RegistryRepository,
  id: Digest,
  source: string,
  signal: AbortSignal,
): Promise<void> {
  if (await repository.hasBlob(id, signal)) return
  if (source !== '') {
    const { path } = splitRepository(parseReference(source).repository)
    if (await repository.mount(id, path, signal)) return
  }
  throw new EngineError('notFound', `blob ${id} is not in the registry`)
}
