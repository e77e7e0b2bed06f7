/**
 * Garbage collection while serving. It marks from the index, one repository at a time and each in one transaction,
 * so that no request waits and none sees half of it. A blob goes when no manifest of its repository needs it, when
 * it has been there for the time of grace, and when nobody was told of it within that time: a client that is told
 * "you need not push this" has that long to push the manifest.
 */
import { setImmediate } from 'node:timers/promises'
import type { CollectFlag } from './collect-flag.ts'
import type { Clock } from '../lib/clock.ts'
import { digest as toDigest, type Digest } from '../spec/ids.ts'
import { textColumn } from '../store/database.ts'
import type { RetentionRule } from './config.ts'
import type { Follower } from './follower.ts'
import type { Journal } from './journal.ts'
import type { Leases } from './leases.ts'
import type { RegistryIndex } from './registry-index.ts'
import type { Repositories } from './repositories.ts'
import { planRetention } from './retention.ts'
import { layerLinkPath, revisionLinkPath, tagPath } from './tree.ts'

/** What collection works on. */
export type CollectParts = {
  index: RegistryIndex
  journal: Journal
  leases: Leases
  repositories: Repositories
  clock: Clock
  collectFlag: CollectFlag | undefined
  follower: Follower | undefined
}

/** What to collect. */
export type CollectOptions = {
  /** Says what would go, and removes nothing. */
  dryRun: boolean
  /** Whether manifests go that no tag, index or subject leads to. */
  untagged: boolean
  retention: readonly RetentionRule[]
}

/** What went, or would go. */
export type CollectResult = {
  tags: { repository: string; tag: string }[]
  manifests: { repository: string; digest: Digest }[]
  /** Links of repositories to blobs. */
  links: number
  blobs: number
  bytes: number
}

const blobsAtOnce = 500

class DryRunEnd extends Error {}

/** See the file's head. */
export async function collect(parts: CollectParts, options: CollectOptions): Promise<CollectResult> {
  const result: CollectResult = { tags: [], manifests: [], links: 0, blobs: 0, bytes: 0 }
  // A dry run does all of it in one transaction that is undone, so that it tells exactly what a run would do.
  if (options.dryRun) {
    try {
      parts.index.database.transaction(() => {
        for (const name of allRepositories(parts.index)) collectRepository(parts, { name, options, result })
        while (collectBlobs(parts, result) === blobsAtOnce);
        throw new DryRunEnd()
      })
    } catch (error) {
      if (!(error instanceof DryRunEnd)) throw error
    }
    return result
  }
  await using flag = await parts.collectFlag?.raise()
  try {
    await collectAll(parts, { options, result, checkGood: () => flag?.checkGood() })
  } catch (error) {
    // Nothing of it may happen once the flag is down: others take for granted then that what is there stays.
    if (flag !== undefined) parts.follower?.lookAgain(await parts.journal.abandon())
    throw error
  }
  return result
}

async function collectAll(
  parts: CollectParts,
  job: { options: CollectOptions; result: CollectResult; checkGood: () => void },
): Promise<void> {
  const { options, result, checkGood } = job
  for (const name of allRepositories(parts.index)) {
    checkGood()
    parts.index.database.transaction(() => collectRepository(parts, { name, options, result }))
    await setImmediate()
  }
  let removed = blobsAtOnce
  while (removed === blobsAtOnce) {
    checkGood()
    removed = parts.index.database.transaction(() => collectBlobs(parts, result))
    await setImmediate()
  }
  parts.repositories.forget(result.manifests.map(({ digest }) => digest))
  await parts.journal.acknowledged()
}

function* allRepositories(index: RegistryIndex): Generator<string> {
  let batch = index.repositories('', 500)
  while (batch.length > 0) {
    yield* batch
    batch = index.repositories(batch.at(-1) ?? '', 500)
  }
}

function collectRepository(
  parts: CollectParts,
  job: { name: string; options: CollectOptions; result: CollectResult },
): void {
  const { index, journal, clock } = parts
  const { name, options, result } = job
  const id = index.repositoryId(name)
  if (id === undefined) return
  for (const tag of planRetention(index, { id, name }, { rules: options.retention, nowMs: clock.nowMs() })) {
    index.deleteTag(id, tag)
    journal.remove(tagPath(name, tag))
    result.tags.push({ repository: name, tag })
  }
  if (options.untagged) {
    for (const digest of untaggedManifests(parts, id)) {
      index.deleteManifest(id, digest)
      journal.remove(revisionLinkPath(name, digest).replace(/\/link$/, ''))
      result.manifests.push({ repository: name, digest })
    }
  }
  for (const digest of unneededBlobs(parts, id)) {
    index.unlinkBlob(id, digest)
    journal.remove(layerLinkPath(name, digest).replace(/\/link$/, ''))
    result.links += 1
  }
}

/** Manifests that nothing leads to: no tag, no index that stays, no subject that stays. */
function untaggedManifests({ index, clock, leases }: CollectParts, repository: number): Digest[] {
  return index.database
    .all(
      `WITH RECURSIVE kept (digest) AS (
         SELECT digest FROM tags WHERE repository = :1
         UNION SELECT digest FROM manifests WHERE repository = :1 AND pushed_ms >= :2
         UNION SELECT manifest_needs.digest FROM kept JOIN manifest_needs
           ON manifest_needs.repository = :1 AND manifest = kept.digest AND kind = 'manifest'
         UNION SELECT manifests.digest FROM kept JOIN manifests
           ON manifests.repository = :1 AND subject = kept.digest
       )
       SELECT digest FROM manifests WHERE repository = :1 AND digest NOT IN (SELECT digest FROM kept)`
        .replaceAll(':1', '?1')
        .replaceAll(':2', '?2'),
      repository,
      clock.nowMs() - leases.graceMs,
    )
    .map((row) => toDigest(textColumn(row, 'digest')))
    .filter((digest) => !leases.holds(digest))
}

function unneededBlobs({ index, clock, leases }: CollectParts, repository: number): Digest[] {
  return index.database
    .all(
      `SELECT digest FROM repository_blobs WHERE repository = ? AND linked_ms <= ?
       AND NOT EXISTS (SELECT 1 FROM manifest_needs WHERE manifest_needs.repository = repository_blobs.repository
         AND manifest_needs.digest = repository_blobs.digest)`,
      repository,
      clock.nowMs() - leases.graceMs,
    )
    .map((row) => toDigest(textColumn(row, 'digest')))
    .filter((digest) => !leases.holds(digest))
}

/** Removes some blobs and manifests' bytes that no repository has any more; answers how many. */
function collectBlobs({ index, journal }: CollectParts, result: CollectResult): number {
  const blobs = index.database.all(
    `DELETE FROM blobs WHERE digest IN (SELECT digest FROM blobs
       WHERE NOT EXISTS (SELECT 1 FROM repository_blobs WHERE repository_blobs.digest = blobs.digest)
       AND NOT EXISTS (SELECT 1 FROM manifests WHERE manifests.digest = blobs.digest) LIMIT ?)
     RETURNING digest, size`,
    blobsAtOnce,
  )
  const contents = index.database.all(
    `DELETE FROM manifest_contents WHERE digest IN (SELECT digest FROM manifest_contents
       WHERE NOT EXISTS (SELECT 1 FROM manifests WHERE manifests.digest = manifest_contents.digest) LIMIT ?)
     RETURNING digest, length(content) AS size`,
    blobsAtOnce,
  )
  for (const row of [...blobs, ...contents]) {
    journal.removeBlob(toDigest(textColumn(row, 'digest')))
    result.blobs += 1
    result.bytes += Number(row['size'])
  }
  return Math.max(blobs.length, contents.length)
}
