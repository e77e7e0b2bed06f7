/** What lists say of a manifest without showing it: size, platforms, kind. What never changes is kept. */
import { z } from 'zod'
import type { Digest } from '../../spec/ids.ts'
import { isDigest } from '../../spec/ids.ts'
import { textColumn } from '../../store/database.ts'
import type { App } from '../app.ts'
import { isIndexType } from '../manifest.ts'
import { blobPath } from '../tree.ts'

const mostKnown = 50_000
/** A longer configuration is none that a platform is worth reading it for. */
const mostConfigBytes = 4 << 20

const platformSchema = z.object({
  os: z.string().catch(''),
  architecture: z.string().catch(''),
  variant: z.string().catch(''),
})
const indexSchema = z.object({
  manifests: z.array(z.object({ platform: platformSchema.optional() })).catch([]),
})
const imageSchema = z.object({ config: z.object({ digest: z.string(), mediaType: z.string().catch('') }) })

/** Configurations that say what machine an image runs on. */
const imageConfigs = [
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
]

/** See the file's head. */
export class ImageFacts {
  readonly #app: App
  readonly #platforms = new Map<Digest, string[]>()

  constructor(app: App) {
    this.#app = app
  }

  /** Bytes of all different blobs that a manifest needs, by itself or through those it names. */
  contentBytes(repository: number, digest: Digest): number {
    const row = this.#app.index.database.get(
      `WITH RECURSIVE needed(digest) AS (
         SELECT ?2 UNION SELECT manifest_needs.digest FROM needed JOIN manifest_needs
         ON repository = ?1 AND manifest = needed.digest AND kind = 'manifest')
       SELECT total(size) AS bytes FROM blobs WHERE digest IN (
         SELECT manifest_needs.digest FROM needed JOIN manifest_needs
         ON repository = ?1 AND manifest = needed.digest AND kind = 'blob')`,
      repository,
      digest,
    )
    return Number(row?.['bytes'] ?? 0)
  }

  /** What an artifact is; empty for an image. */
  artifactType(repository: number, digest: Digest): string {
    const row = this.#app.index.database.get(
      'SELECT artifact_type FROM manifests WHERE repository = ? AND digest = ?',
      repository,
      digest,
    )
    const type = textColumn(row, 'artifact_type')
    return imageConfigs.includes(type) ? '' : type
  }

  /** Where an image runs: what an index names, or what an image's configuration says. */
  async platforms(repository: number, manifest: { digest: Digest; mediaType: string }): Promise<string[]> {
    const known = this.#platforms.get(manifest.digest)
    if (known !== undefined) return known
    const found = isIndexType(manifest.mediaType)
      ? this.#ofIndex(manifest.digest)
      : await this.#ofImage(repository, manifest.digest)
    // Not here yet, as behind a cache: looked for again.
    if (found === undefined) return []
    if (this.#platforms.size >= mostKnown) this.#platforms.clear()
    this.#platforms.set(manifest.digest, found)
    return found
  }

  /** A blob's text, for a configuration to be shown; undefined where it is not here, too long or no text. */
  async configText(repository: number, digest: Digest): Promise<string | undefined> {
    const size = this.#app.index.repositoryBlobSize(repository, digest)
    if (size === undefined || size > mostConfigBytes) return undefined
    const bytes = await this.#app.driver.read(blobPath(digest))
    if (bytes === undefined) return undefined
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    } catch {
      // Not text: then it is nothing to show.
      return undefined
    }
  }

  #ofIndex(digest: Digest): string[] {
    const parsed = indexSchema.safeParse(this.#json(digest))
    const names = (parsed.data?.manifests ?? []).flatMap(({ platform }) =>
      // What builders attach to an index says that it runs nowhere known.
      platform === undefined || platform.os === 'unknown' ? [] : [platformName(platform)],
    )
    return [...new Set(names)].filter((name) => name !== '')
  }

  async #ofImage(repository: number, digest: Digest): Promise<string[] | undefined> {
    const config = this.configOf(digest)
    if (config === undefined || !imageConfigs.includes(config.mediaType)) return []
    const text = await this.configText(repository, config.digest)
    if (text === undefined) return undefined
    const parsed = platformSchema.safeParse(parseJson(text))
    const name = parsed.success ? platformName(parsed.data) : ''
    return name === '' ? [] : [name]
  }

  /** The configuration that a manifest names; undefined for what has none. */
  configOf(digest: Digest): { digest: Digest; mediaType: string } | undefined {
    const config = imageSchema.safeParse(this.#json(digest)).data?.config
    if (config === undefined || !isDigest(config.digest)) return undefined
    return { digest: config.digest, mediaType: config.mediaType }
  }

  #json(digest: Digest): unknown {
    return parseJson(this.#app.repositories.content(digest).toString())
  }
}

function platformName({ os, architecture, variant }: z.infer<typeof platformSchema>): string {
  return [os, architecture, variant]
    .filter((part) => part !== '')
    .join('/')
    .slice(0, 100)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Whatever somebody pushed as a configuration.
    return undefined
  }
}
