/** Manifests in registries, through the engine: what the `manifest` commands are made of. */
import type { Platform } from '../spec/image-types.ts'
import type { Cli } from './cli.ts'
import { authHeader } from './credentials.ts'
import { CliError } from './errors.ts'
import { repositoryOf, type ListedManifest } from './manifest-store.ts'

type Answer = {
  Reference: string
  MediaType: string
  Digest: string
  Size: number
  Data: string
  Platform?: Platform
}

/** What a name stands for in its registry: an image, or a list of them. */
export type RemoteManifest = { image: ListedManifest } | { images: ListedManifest[]; list: Answer }

type Entry = { mediaType: string; digest: string; size: number; platform?: Platform }

/** Looks a full name up. Throws the registry's error. */
export async function remoteManifest(cli: Cli, name: string, insecure: boolean): Promise<RemoteManifest> {
  const answer = await fetchManifest(cli, name, insecure)
  const entries = entriesOf(answer)
  if (entries === undefined) return { image: listed(name, answer, answer.Platform) }
  const images: ListedManifest[] = []
  for (const entry of entries) {
    const child = `${repositoryOf(name)}@${entry.digest}`
    images.push(listed(child, await fetchManifest(cli, child, insecure), entry.platform))
  }
  return { images, list: answer }
}

/** As `remoteManifest`, for one image only. */
export async function remoteImage(cli: Cli, name: string, insecure: boolean): Promise<ListedManifest> {
  const found = await remoteManifest(cli, name, insecure)
  if ('image' in found) return found.image
  throw new CliError(`${name} is a manifest list`)
}

/** Puts a manifest under a full name; answers its digest. Blobs are taken over from the repository `source`. */
export async function putManifest(
  cli: Cli,
  name: string,
  manifest: { mediaType: string; data: Buffer; source?: string },
  insecure: boolean,
): Promise<string> {
  const { mediaType, data, source = '' } = manifest
  const { Digest } = await cli.client.json<{ Digest: string }>('PUT', `/distribution/${name}/manifest`, {
    query: { insecure },
    json: { MediaType: mediaType, Data: data.toString('base64'), Source: source },
    headers: authHeader(cli, name),
  })
  return Digest
}

async function fetchManifest(cli: Cli, name: string, insecure: boolean): Promise<Answer> {
  const options = { query: { insecure }, headers: authHeader(cli, name) }
  return cli.client.json<Answer>('GET', `/distribution/${name}/manifest`, options)
}

function documentOf({ Data }: Answer): Record<string, unknown> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the engine has read it as a manifest
  return JSON.parse(Buffer.from(Data, 'base64').toString('utf8')) as Record<string, unknown>
}

function entriesOf(answer: Answer): Entry[] | undefined {
  const { manifests } = documentOf(answer)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the engine has read it as an index
  return Array.isArray(manifests) ? (manifests as Entry[]) : undefined
}

function listed(name: string, answer: Answer, platform: Platform | undefined): ListedManifest {
  const { MediaType: mediaType, Digest: digest, Size: size, Data: Raw } = answer
  const shown = mediaType.startsWith('application/vnd.oci.')
    ? { OCIManifest: documentOf(answer) }
    : { SchemaV2Manifest: documentOf(answer) }
  const Descriptor = { mediaType, digest, size, ...(platform === undefined ? {} : { platform }) }
  return { Ref: name, Descriptor, Raw, ...shown }
}

const dockerList = 'application/vnd.docker.distribution.manifest.list.v2+json'
const ociIndex = 'application/vnd.oci.image.index.v1+json'

/** The document of a list of images: its media type and bytes, as Docker's client writes them. */
export function listDocument(images: readonly ListedManifest[]): { mediaType: string; data: Buffer } {
  const isOci = images[0]?.Descriptor.mediaType.startsWith('application/vnd.oci.') === true
  const mediaType = isOci ? ociIndex : dockerList
  const manifests = images.map(({ Descriptor }) => {
    const { architecture = '', os = '', ...rest } = Descriptor.platform ?? {}
    return {
      mediaType: Descriptor.mediaType,
      size: Descriptor.size,
      digest: Descriptor.digest,
      platform: { architecture, os, ...rest },
    }
  })
  const text = JSON.stringify({ schemaVersion: 2, mediaType, manifests }, undefined, 3)
  return { mediaType, data: Buffer.from(text) }
}
