/** What the page changes: who is signed in, tags and repositories, what is said of them. */
import { z } from 'zod'
import type { PageCollection, PageDeletionResult } from '../../spec/registry-page.ts'
import { pageLimits } from '../../spec/registry-page.ts'
import { RegistryError } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import { checkDelete, emit, emitDeletion } from '../handling.ts'
import { checkRepositoryName, parseReference } from '../names.ts'
import { bodyOf, checkAdmin, checkMay, checkWritable, visibleRepository } from './asked.ts'
import type { PageContext } from './page-api.ts'

const text = z.string().max(512)
const signInBody = z.strictObject({ name: text, password: text })
const describeBody = z.strictObject({ repository: text, description: z.string().max(pageLimits.description) })
const starBody = z.strictObject({ repository: text, starred: z.boolean() })
const deleteBody = z.strictObject({
  repository: text,
  tags: z.array(text).max(pageLimits.deletions).default([]),
  digests: z.array(text).max(pageLimits.deletions).default([]),
})
const repositoriesBody = z.strictObject({ repositories: z.array(text).max(pageLimits.deletions) })
const collectBody = z.strictObject({ dryRun: z.boolean() })

const parallelDeletions = 64

/** Signs in, and sets the cookie. */
export async function signIn({ sessions }: PageContext, exchange: Exchange): Promise<void> {
  const proof = await bodyOf(exchange, signInBody)
  const cookie = await sessions.begin(exchange.request, proof)
  if (cookie === undefined) {
    throw new RegistryError('UNAUTHORIZED', { message: 'incorrect username or password' })
  }
  exchange.response.setHeader('Set-Cookie', cookie)
}

/** Signs out, and removes the cookie. */
export function signOut({ sessions }: PageContext, exchange: Exchange): void {
  exchange.response.setHeader('Set-Cookie', sessions.end(exchange.request))
}

/** Changes a repository's description. */
export async function describe(page: PageContext, exchange: Exchange): Promise<void> {
  const { repository, description } = await bodyOf(exchange, describeBody)
  const { name } = visibleRepository(page, exchange, repository)
  checkMay(exchange, 'push', name)
  checkWritable(page.app)
  await page.app.cards.change(name, { description })
}

/** Gives the caller's star to a repository, or takes it back. */
export async function star(page: PageContext, exchange: Exchange): Promise<void> {
  const { repository, starred } = await bodyOf(exchange, starBody)
  const { name } = visibleRepository(page, exchange, repository)
  if (exchange.caller.name === '') throw new RegistryError('UNAUTHORIZED')
  checkWritable(page.app)
  await page.app.cards.star(name, exchange.caller.name, starred)
}

/** Deletes tags and manifests of a repository; what cannot be deleted is named in the answer. */
export async function deleteTags(page: PageContext, exchange: Exchange): Promise<PageDeletionResult> {
  const { repository, tags, digests } = await bodyOf(exchange, deleteBody)
  const { name } = visibleRepository(page, exchange, repository)
  checkDeletes(page, exchange, [name])
  return await each([...tags, ...digests], async (text) => {
    const reference = parseReference(text)
    const gone = await page.app.repositories.deleteManifest(name, reference)
    emitDeletion(page.app, exchange, { repository: name, reference, tags: gone.tags })
  })
}

/** Deletes whole repositories; what cannot be deleted is named in the answer. */
export async function deleteRepositories(page: PageContext, exchange: Exchange): Promise<PageDeletionResult> {
  const { repositories } = await bodyOf(exchange, repositoriesBody)
  const names = repositories.map(checkRepositoryName)
  checkDeletes(page, exchange, names)
  return await each(names, async (name) => {
    await page.app.repositories.deleteRepository(name)
    emit(page.app, exchange, { action: 'delete', kind: 'manifest', repository: name })
  })
}

/** Collects garbage, or says what would go. */
export async function collectNow(page: PageContext, exchange: Exchange): Promise<PageCollection> {
  const { dryRun } = await bodyOf(exchange, collectBody)
  checkAdmin(exchange)
  if (!dryRun) checkWritable(page.app)
  const { tags, manifests, blobs, bytes } = await page.collect({ dryRun })
  return { tags: tags.length, manifests: manifests.length, blobs, bytes }
}

function checkDeletes(page: PageContext, exchange: Exchange, names: readonly string[]): void {
  for (const name of names) checkMay(exchange, 'delete', name)
  checkWritable(page.app)
  checkDelete(page.app)
}

async function each(
  references: readonly string[],
  remove: (reference: string) => Promise<void>,
): Promise<PageDeletionResult> {
  const result: PageDeletionResult = { deleted: 0, failed: [] }
  for (let start = 0; start < references.length; start += parallelDeletions) {
    const some = references.slice(start, start + parallelDeletions)
    // oxlint-disable-next-line no-await-in-loop -- so many at a time: they share one wait for the disk
    const ends = await Promise.allSettled(some.map(remove))
    for (const [place, end] of ends.entries()) {
      if (end.status === 'fulfilled') result.deleted += 1
      else if (!(end.reason instanceof RegistryError)) throw end.reason
      // Told in the answer: the others go all the same.
      else result.failed.push({ reference: some[place] ?? '', message: end.reason.message })
    }
  }
  return result
}
