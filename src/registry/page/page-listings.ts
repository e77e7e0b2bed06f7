/** What the page lists: repositories, tags, and what retention would remove. */
import type {
  PageRepositories,
  PageRepository,
  PageRetention,
  PageStatus,
  PageTagNames,
  PageTagOrder,
  PageTags,
} from '../../spec/registry-page.ts'
import { pageLimits } from '../../spec/registry-page.ts'
import type { Row } from '../../store/database.ts'
import type { RetentionRule } from '../config.ts'
import { RegistryError } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import { planRetention } from '../retention.ts'
import { askedRepository, numberOf } from './asked.ts'
import type { PageContext } from './page-api.ts'

const defaultPage = 500
/** The most tags of a retention preview. */
const mostPlanned = 10_000
const orders: readonly string[] = ['name', '-name', 'updated', '-updated'] satisfies PageTagOrder[]
const parallelReads = 8

/** The registry, and who is looking. */
export function status(page: PageContext, exchange: Exchange): PageStatus {
  const { signIn } = page.gate()
  const { externalUrl, readOnly, allowDelete } = page.app.settings()
  const external = URL.canParse(externalUrl) ? new URL(externalUrl).host : ''
  const host = external === '' ? exchange.header('host') : external
  return {
    host,
    user: exchange.caller.name,
    signIn: typeof signIn === 'object' ? 'password' : signIn,
    isAdmin: exchange.caller.isAdmin,
    readOnly,
    allowDelete,
    hasRetention: page.retention().length > 0,
  }
}

/** Repositories that the caller sees, after one, in order of their names. */
export function listRepositories(page: PageContext, exchange: Exchange): PageRepositories {
  const limit = numberOf(exchange, 'limit', { most: pageLimits.repositories, otherwise: defaultPage })
  const names: string[] = []
  let last = exchange.query.get('after') ?? ''
  // One more than asked for tells whether there are more.
  for (;;) {
    const batch = page.app.index.repositories(last, limit + 1)
    names.push(...batch.filter((name) => exchange.caller.sees(name)))
    last = batch.at(-1) ?? ''
    if (names.length > limit || batch.length <= limit) break
  }
  const shown = names.slice(0, limit)
  return { repositories: shown.map((name) => repositoryOf(page, exchange, name)), more: names.length > limit }
}

/** One repository. */
export function oneRepository(page: PageContext, exchange: Exchange): PageRepository {
  return repositoryOf(page, exchange, askedRepository(page, exchange).name)
}

/** Some tags of a repository, from a place in their order. */
export async function listTags(page: PageContext, exchange: Exchange): Promise<PageTags> {
  const { id } = askedRepository(page, exchange)
  const offset = numberOf(exchange, 'offset', { most: 1e9, otherwise: 0 })
  const limit = numberOf(exchange, 'limit', { most: pageLimits.tags, otherwise: pageLimits.tags })
  const found = page.tags.tags(id, orderOf(exchange), exchange.query.get('q') ?? '')
  const tags: PageTags['tags'] = []
  const wanted = found.slice(offset, offset + limit)
  for (let start = 0; start < wanted.length; start += parallelReads) {
    // oxlint-disable-next-line no-await-in-loop -- so many at a time
    const some = await Promise.all(
      wanted.slice(start, start + parallelReads).map(async ({ name, digest, updatedMs }) => {
        const manifest = page.app.index.manifest(id, digest)
        return {
          name,
          digest,
          updatedMs,
          mediaType: manifest?.mediaType ?? '',
          sizeBytes: page.facts.contentBytes(id, digest),
          artifactType: page.facts.artifactType(id, digest),
          platforms: manifest === undefined ? [] : await page.facts.platforms(id, manifest),
        }
      }),
    )
    tags.push(...some)
  }
  return { total: found.length, offset, tags }
}

/** Names of tags alone. */
export function listTagNames(page: PageContext, exchange: Exchange): PageTagNames {
  const { id } = askedRepository(page, exchange)
  const offset = numberOf(exchange, 'offset', { most: 1e9, otherwise: 0 })
  const found = page.tags.tags(id, orderOf(exchange), exchange.query.get('q') ?? '')
  const end = offset + pageLimits.tagNames
  return { names: found.slice(offset, end).map(({ name }) => name), more: found.length > end }
}

/** What the rules of retention would remove now, of what the caller sees. */
export function retention(page: PageContext, exchange: Exchange): PageRetention {
  const { app, clock } = page
  const rules = page.retention()
  const tags: PageRetention['tags'] = []
  let total = 0
  for (const name of rules.length === 0 ? [] : visibleNames(page, exchange)) {
    const id = app.index.repositoryId(name)
    if (id === undefined) continue
    const going = planRetention(app.index, { id, name }, { rules, nowMs: clock.nowMs() })
    total += going.length
    for (const tag of going.slice(0, mostPlanned - tags.length)) {
      tags.push({ repository: name, name: tag, updatedMs: updatedMs(page, id, tag) })
    }
  }
  return { rules: rules.map(ruleOf), tags, total }
}

function* visibleNames({ app }: PageContext, exchange: Exchange): Generator<string> {
  let batch = app.index.repositories('', defaultPage)
  while (batch.length > 0) {
    yield* batch.filter((name) => exchange.caller.sees(name))
    batch = app.index.repositories(batch.at(-1) ?? '', defaultPage)
  }
}

function repositoryOf({ app }: PageContext, { caller }: Exchange, name: string): PageRepository {
  const { readOnly, allowDelete } = app.settings()
  const { description, stars, starred, official, automated } = app.cards.card(name, caller.name)
  const row: Row | undefined = app.index.database.get(
    'SELECT count(*) AS tags, max(updated_ms) AS updated_ms FROM tags WHERE repository = ?',
    app.index.repositoryId(name) ?? 0,
  )
  return {
    name,
    description,
    stars,
    starred,
    official,
    automated,
    tags: Number(row?.['tags'] ?? 0),
    updatedMs: Number(row?.['updated_ms'] ?? 0),
    isCached: app.cache.covers(name),
    mayDescribe: !readOnly && caller.may('push', name),
    mayDelete: !readOnly && allowDelete && caller.may('delete', name),
  }
}

function updatedMs({ app }: PageContext, repository: number, tag: string): number {
  const row = app.index.database.get(
    'SELECT updated_ms FROM tags WHERE repository = ? AND name = ?',
    repository,
    tag,
  )
  return Number(row?.['updated_ms'] ?? 0)
}

function orderOf(exchange: Exchange): PageTagOrder {
  const order = exchange.query.get('order') ?? '-name'
  if (!isOrder(order)) throw new RegistryError('UNSUPPORTED', { message: 'no such order', status: 400 })
  return order
}

function isOrder(text: string): text is PageTagOrder {
  return orders.includes(text)
}

function ruleOf({ repositories, tags, keepLast, keepWithin }: RetentionRule): PageRetention['rules'][number] {
  return {
    repositories,
    tags,
    ...(keepLast === undefined ? {} : { keepLast }),
    ...(keepWithin === undefined ? {} : { keepWithinMs: keepWithin }),
  }
}
