/**
 * Builds the index from the tree: for a folder that the reference registry wrote, and where the index was lost. What
 * cannot be read is left out and counted, never repaired; blobs without a link are noted, so that collection finds
 * them.
 */
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { isDigest, type Digest } from '../spec/ids.ts'
import { parseCard, type Cards } from './cards.ts'
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

/** Whether the index has never been built, nor used. */
export function isUnbuilt(index: RegistryIndex): boolean {
  return index.database.get("SELECT 1 FROM settings WHERE key = 'built'") === undefined
}

/** Empties the index and fills it from the tree. The journal must have settled. */
export async function rebuildIndex(parts: RebuildParts): Promise<RebuildResult> {
  const { index, driver } = parts
  const result: RebuildResult = { blobs: 0, repositories: 0, manifests: 0, tags: 0, skipped: 0 }
  // What is interrupted from here on is begun again at the next start.
  index.clear(tables)
  await addBlobs(parts, result)
  for await (const repository of repositoriesIn(driver, '')) await addRepository(parts, repository, result)
  await index.commit(() => {
    index.database.run("INSERT OR REPLACE INTO settings VALUES ('built', 'yes')")
  })
  return result
}

async function addBlobs({ index, driver }: RebuildParts, result: RebuildResult): Promise<void> {
  for (const algorithm of await driver.list(blobsRoot)) {
    for (const prefix of await driver.list(`${blobsRoot}/${algorithm.name}`)) {
      const found: [Digest, number][] = []
      for (const { name } of await driver.list(`${blobsRoot}/${algorithm.name}/${prefix.name}`)) {
        const digest = `${algorithm.name}:${name}`
        const size = isDigest(digest) ? await driver.size(blobPath(digest)) : undefined
        if (isDigest(digest) && size !== undefined) found.push([digest, size])
        else result.skipped += 1
      }
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

async function addRepository(parts: RebuildParts, repository: string, result: RebuildResult): Promise<void> {
  const { index, driver, cards, clock, log } = parts
  if (!isRepositoryName(repository)) {
    result.skipped += 1
    return
  }
  const root = repositoryPath(repository)
  const layers = await linksIn(driver, `${root}/_layers`)
  const revisions = await linksIn(driver, `${root}/_manifests/revisions`)
  const tags = await tagsOf(driver, repository)
  const contents = new Map<Digest, Buffer>()
  for (const digest of revisions) {
    const content = await driver.read(blobPath(digest))
    if (content !== undefined) contents.set(digest, content)
    else result.skipped += 1
  }
  const card = parseCard((await driver.read(cardPath(repository))) ?? Buffer.alloc(0))
  const stars = await starsOf(driver, repository)
  const nowMs = clock.nowMs()
  index.database.transaction(() => {
    const id = index.ensureRepository(repository, nowMs)
    if (card !== undefined) cards.set(id, card)
    for (const user of stars) cards.setStar(id, user, true)
    for (const digest of layers) {
      const size = index.blobSize(digest)
      if (size === undefined) result.skipped += 1
      else index.linkBlob(id, digest, size, nowMs)
    }
    for (const [digest, content] of contents) {
      if (addManifest(parts, id, { digest, content })) result.manifests += 1
      else {
        result.skipped += 1
        log.warn('manifest left out of the index', { repository, digest })
      }
    }
    for (const [name, digest] of tags) {
      if (index.manifest(id, digest) === undefined) result.skipped += 1
      else {
        index.setTag(id, { name, digest }, nowMs)
        result.tags += 1
      }
    }
  })
  result.repositories += 1
}

function addManifest(
  { index, clock }: RebuildParts,
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
    for (const { name } of await driver.list(`${path}/${algorithm.name}`)) {
      const digest = `${algorithm.name}:${name}`
      // A deleted link leaves its folder behind in trees of the reference registry.
      const link = `${path}/${algorithm.name}/${name}/link`
      if (isDigest(digest) && (await driver.size(link)) !== undefined) digests.push(digest)
    }
  }
  return digests
}

async function starsOf(driver: StorageDriver, repository: string): Promise<string[]> {
  const users: string[] = []
  for (const { name } of await driver.list(starsPath(repository))) {
    const user = (await driver.read(`${starsPath(repository)}/${name}`))?.toString() ?? ''
    if (user !== '') users.push(user)
  }
  return users
}

async function tagsOf(driver: StorageDriver, repository: string): Promise<[string, Digest][]> {
  const tags: [string, Digest][] = []
  for (const { name } of await driver.list(`${repositoryPath(repository)}/_manifests/tags`)) {
    if (!isTag(name)) continue
    const digest = (await driver.read(tagLinkPath(repository, name)))?.toString().trim() ?? ''
    if (isDigest(digest)) tags.push([name, digest])
  }
  return tags
}
