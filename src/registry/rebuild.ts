/**
 * Builds the index from the tree: for a folder that the reference registry wrote, and where the index was lost. What
 * cannot be read is left out and counted, never repaired; blobs without a link are noted, so that collection finds
 * them.
 */
import type { Clock } from '../lib/clock.ts'
import { eachLimited } from '../lib/each-limited.ts'
import type { Log } from '../lib/log.ts'
import { isDigest, type Digest } from '../spec/ids.ts'
import { parseCard, type Cards } from './cards.ts'
import { textColumn } from '../store/database.ts'
import { RegistryError } from './errors.ts'
import { parseManifest } from './manifest.ts'
import { isRepositoryName, isTag } from './names.ts'
import type { RegistryIndex } from './registry-index.ts'
import type { StorageDriver } from './storage-driver.ts'
import {
  blobPath,
  blobsRoot,
  cardPath,
  repositoriesRoot,
  repositoryPath,
  starsPath,
  tagLinkPath,
} from './tree.ts'

/** What a rebuild works on. */
export type RebuildParts = {
  index: RegistryIndex
  driver: StorageDriver
  cards: Cards
  clock: Clock
  log: Log
}

/** What was found. */
export type RebuildResult = {
  blobs: number
  repositories: number
  manifests: number
  tags: number
  /** Links and manifests that could not be used. */
  skipped: number
}

const tables = [
  'repositories',
  'blobs',
  'repository_blobs',
  'manifest_contents',
  'manifests',
  'manifest_needs',
  'tags',
  'stars',
]

/** Whether the index is that of the driver's tree. */
export function isBuiltFrom(index: RegistryIndex, driver: StorageDriver): boolean {
  const setting = (key: string) =>
    textColumn(index.database.get('SELECT value FROM settings WHERE key = ?', key), 'value')
  return setting('built') !== '' && (setting('storage') || 'folder') === driver.identity
}

/** Empties the index and fills it from the tree. The journal must have settled. */
export async function rebuildIndex(parts: RebuildParts): Promise<RebuildResult> {
  const { index, driver } = parts
  const result = emptyResult()
  // What is interrupted from here on is begun again at the next start.
  index.clear(tables)
  await addBlobs(parts, result)
  for await (const repository of repositoriesIn(driver, '')) {
    if (!isRepositoryName(repository)) {
      result.skipped += 1
      continue
    }
    const read = await readRepository(driver, repository)
    const { skipped } = result
    index.database.transaction(() => storeRepository(parts, read, result))
    if (result.skipped > skipped) parts.log.warn('parts left out of the index', { repository })
  }
  await index.commit(() => {
    index.database.run(
      "INSERT OR REPLACE INTO settings VALUES ('built', 'yes'), ('storage', ?)",
      driver.identity,
    )
  })
  return result
}

function emptyResult(): RebuildResult {
  return { blobs: 0, repositories: 0, manifests: 0, tags: 0, skipped: 0 }
}

async function addBlobs({ index, driver }: RebuildParts, result: RebuildResult): Promise<void> {
  for (const algorithm of await driver.list(blobsRoot)) {
    for (const prefix of await driver.list(`${blobsRoot}/${algorithm.name}`)) {
      const found: [Digest, number][] = []
      const folders = await driver.list(`${blobsRoot}/${algorithm.name}/${prefix.name}`)
      await eachLimited(folders, driver.parallel, async ({ name }) => {
        const digest = `${algorithm.name}:${name}`
        const size = isDigest(digest) ? await driver.size(blobPath(digest)) : undefined
        if (isDigest(digest) && size !== undefined) found.push([digest, size])
        else result.skipped += 1
      })
      index.database.transaction(() => {
        for (const [digest, size] of found) {
          index.database.run('INSERT OR REPLACE INTO blobs VALUES (?, ?)', digest, size)
        }
      })
      result.blobs += found.length
    }
  }
}

/** Names of repositories at and below a prefix (empty, or ending in a slash). */
async function* repositoriesIn(driver: StorageDriver, prefix: string): AsyncGenerator<string> {
  for (const { name, isDirectory } of await driver.list(`${repositoriesRoot}/${prefix}`.replace(/\/$/, ''))) {
    if (!isDirectory) continue
    if (name === '_manifests' || name === '_layers') {
      const repository = prefix.slice(0, -1)
      // Both folders are the same repository's; one of them is enough to see it.
      if (name === '_manifests' || !(await hasManifests(driver, repository))) yield repository
    } else if (!name.startsWith('_')) yield* repositoriesIn(driver, `${prefix}${name}/`)
  }
}

async function hasManifests(driver: StorageDriver, repository: string): Promise<boolean> {
  return (await driver.list(repositoryPath(repository))).some(({ name }) => name === '_manifests')
}

/** What the tree has of a repository. */
export type TreeRepository = {
  name: string
  layers: [digest: Digest, size: number | undefined][]
  contents: Map<Digest, Buffer | undefined>
  tags: [name: string, digest: Digest][]
  card: Buffer | undefined
  stars: string[]
}

/** Reads all that the tree has of a repository. */
export async function readRepository(driver: StorageDriver, name: string): Promise<TreeRepository> {
  const root = repositoryPath(name)
  const layers: TreeRepository['layers'] = []
  await eachLimited(await linksIn(driver, `${root}/_layers`), driver.parallel, async (digest) => {
    layers.push([digest, await driver.size(blobPath(digest))])
  })
  const contents: TreeRepository['contents'] = new Map()
  const revisions = await linksIn(driver, `${root}/_manifests/revisions`)
  await eachLimited(revisions, driver.parallel, async (digest) => {
    contents.set(digest, await driver.read(blobPath(digest)))
  })
  const tags = await tagsOf(driver, name)
  const card = await driver.read(cardPath(name))
  return { name, layers, contents, tags, card, stars: await readStars(driver, name) }
}

/** Puts into the index what the tree has of a repository, instead of what was there. In a transaction. */
export function storeRepository(
  parts: Pick<RebuildParts, 'index' | 'cards' | 'clock'>,
  read: TreeRepository,
  result: RebuildResult = emptyResult(),
): void {
  const { index, cards, clock } = parts
  const old = index.repositoryId(read.name)
  if (old !== undefined) index.dropRepository(read.name, old)
  if (read.layers.length === 0 && read.contents.size === 0) return
  const nowMs = clock.nowMs()
  const id = index.ensureRepository(read.name, nowMs)
  const card = parseCard(read.card ?? Buffer.alloc(0))
  if (card !== undefined) cards.set(id, card)
  cards.setStars(id, read.stars)
  for (const [digest, size] of read.layers) {
    if (size === undefined) result.skipped += 1
    else index.linkBlob(id, digest, size, nowMs)
  }
  for (const [digest, content] of read.contents) {
    if (content !== undefined && addManifest(parts, id, { digest, content })) result.manifests += 1
    else result.skipped += 1
  }
  for (const [name, digest] of read.tags) {
    if (index.manifest(id, digest) === undefined) result.skipped += 1
    else {
      index.setTag(id, { name, digest }, nowMs)
      result.tags += 1
    }
  }
  result.repositories += 1
}

/** Adds a manifest's bytes to the index; answers whether they are a manifest that is served. In a transaction. */
export function addManifest(
  { index, clock }: Pick<RebuildParts, 'index' | 'clock'>,
  repository: number,
  { digest, content }: { digest: Digest; content: Buffer },
): boolean {
  try {
    const parsed = parseManifest(content, '')
    index.insertManifest(repository, { ...parsed, digest, content, size: content.length }, clock.nowMs())
    return true
  } catch (error) {
    // Of a kind that is not served (schema 1), or damaged.
    if (error instanceof RegistryError) return false
    throw error
  }
}

/** Digests that a folder of links has: ALGORITHM/HEX/link. */
async function linksIn(driver: StorageDriver, path: string): Promise<Digest[]> {
  const digests: Digest[] = []
  for (const algorithm of await driver.list(path)) {
    const folders = await driver.list(`${path}/${algorithm.name}`)
    await eachLimited(folders, driver.parallel, async ({ name }) => {
      const digest = `${algorithm.name}:${name}`
      // A deleted link leaves its folder behind in trees of the reference registry.
      const link = `${path}/${algorithm.name}/${name}/link`
      if (isDigest(digest) && (await driver.size(link)) !== undefined) digests.push(digest)
    })
  }
  return digests
}

/** Users who starred a repository. */
export async function readStars(driver: StorageDriver, repository: string): Promise<string[]> {
  const users: string[] = []
  for (const { name } of await driver.list(starsPath(repository))) {
    const user = (await driver.read(`${starsPath(repository)}/${name}`))?.toString() ?? ''
    if (user !== '') users.push(user)
  }
  return users
}

async function tagsOf(driver: StorageDriver, repository: string): Promise<[string, Digest][]> {
  const tags: [string, Digest][] = []
  const folders = await driver.list(`${repositoryPath(repository)}/_manifests/tags`)
  await eachLimited(folders, driver.parallel, async ({ name }) => {
    if (!isTag(name)) return
    const digest = (await driver.read(tagLinkPath(repository, name)))?.toString().trim() ?? ''
    if (isDigest(digest)) tags.push([name, digest])
  })
  return tags
}
