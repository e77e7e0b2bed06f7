/**
 * `GET /images/{name}/attestations`: the in-toto statements that the index of an image has for one of its platforms.
 * An index is kept, what belongs to its other entries is not: statements are read from the registry it came from.
 */
import { EngineError, errorMessage } from '../spec/errors.ts'
import { digest } from '../spec/ids.ts'
import type { Descriptor, Platform } from '../spec/image-types.ts'
import { Manifest, parseJson, plainDescriptor } from './image-record.ts'
import type { ImageStore } from './image-store.ts'
import { manifestFor } from './image-targets.ts'
import { attestedManifest } from './manifest-summary.ts'
import type { Registries } from './registries.ts'
import type { RegistryRepository } from './registry-repository.ts'
import { decodeAuth } from './registry-tokens.ts'

/** What is asked for. No platform means this machine's, no types all. `auth` is the header's text. */
export type AttestationQuery = {
  platform: Platform
  types: readonly string[]
  /** Whether the statements' own text is wanted. */
  statement: boolean
  auth: string | undefined
}

/** A statement, as the API shows it. */
export type AttestationStatement = { Descriptor: Descriptor; PredicateType: string; Statement?: unknown }

const statementType = 'application/vnd.in-toto+json'
const predicateKey = 'in-toto.io/predicate-type'
const maxStatementBytes = 32 << 20

/** See the file's head. Throws notFound for an image that is not here. */
export async function attestationsOf(
  { images, registries }: { images: ImageStore; registries: Registries },
  name: string,
  query: AttestationQuery,
  signal: AbortSignal,
): Promise<AttestationStatement[]> {
  const { image, reference, target } = images.findFor(name, query.platform)
  const { manifest } = manifestFor(image, target)
  const entries = (target?.index?.manifests ?? []).filter(
    (entry) => attestedManifest(entry) === manifest.digest,
  )
  const repository = (reference ?? images.namesShown(image.id)[0])?.repository
  if (entries.length === 0 || repository === undefined) return []
  return registries.withRepository(repository, { auth: decodeAuth(query.auth), signal }, async (opened) => {
    const found: AttestationStatement[] = []
    for (const entry of entries) found.push(...(await statementsIn(opened, entry, query, signal)))
    return found
  })
}

async function statementsIn(
  repository: RegistryRepository,
  entry: Descriptor,
  { types, statement }: AttestationQuery,
  signal: AbortSignal,
): Promise<AttestationStatement[]> {
  const { data } = await repository.manifest(entry.digest, signal)
  const found: AttestationStatement[] = []
  for (const layer of parseJson(Manifest, data, 'image manifest').layers ?? []) {
    const predicate = layer.annotations?.[predicateKey]
    if (layer.mediaType !== statementType || predicate === undefined) continue
    if (types.length > 0 && !types.includes(predicate)) continue
    found.push({
      Descriptor: plainDescriptor(layer),
      PredicateType: predicate,
      ...(statement ? { Statement: await statementOf(repository, layer.digest, signal) } : {}),
    })
  }
  return found
}

async function statementOf(
  repository: RegistryRepository,
  id: string,
  signal: AbortSignal,
): Promise<unknown> {
  const data = await repository.smallBlob(digest(id), maxStatementBytes, signal)
  try {
    return JSON.parse(data.toString('utf8'))
  } catch (error) {
    throw new EngineError('internal', `invalid statement ${id}: ${errorMessage(error)}`, { cause: error })
  }
}
