/** Endpoints that list: tags, the catalog, search. */
import type { App } from './app.ts'
import { RegistryError } from './errors.ts'
import { nextLink, type Exchange } from './exchange.ts'
import { pageSize } from './handling.ts'

/** GET of a repository's tags; those of the upstream where it comes from one. */
export async function listTags(
  app: App,
  exchange: Exchange,
  { repository }: { repository: string },
): Promise<void> {
  const n = pageSize(app, exchange)
  const last = exchange.query.get('last') ?? ''
  const upstream = n === 0 ? undefined : await app.cache.tags(repository, { last, n })
  const { tags, more } = upstream ?? localTags(app, repository, { last, n })
  exchange.json(
    { name: repository, tags },
    more ? nextLink(`/v2/${repository}/tags/list`, { last: tags.at(-1) ?? '', n: String(n) }) : {},
  )
}

function localTags(
  app: App,
  repository: string,
  { last, n }: { last: string; n: number },
): { tags: string[]; more: boolean } {
  const id = app.index.repositoryId(repository)
  if (id === undefined) throw new RegistryError('NAME_UNKNOWN', { detail: { name: repository } })
  const found = n === 0 ? [] : app.index.tags(id, last, n + 1)
  return { tags: found.slice(0, n), more: found.length > n }
}

/** GET of the repositories that the caller may pull from. */
export function listCatalog(app: App, exchange: Exchange): void {
  const n = pageSize(app, exchange)
  const repositories: string[] = []
  let last = exchange.query.get('last') ?? ''
  // One more than asked for tells whether there are more; what the caller may not see is passed over.
  let batch = n === 0 ? [] : app.index.repositories(last, n + 1)
  while (batch.length > 0 && repositories.length <= n) {
    const { caller } = exchange
    repositories.push(...batch.filter((name) => caller.seesCatalog === true || caller.sees(name)))
    last = batch.at(-1) ?? ''
    batch = batch.length > n ? app.index.repositories(last, n + 1) : []
  }
  const shown = repositories.slice(0, n)
  const more = repositories.length > n
  exchange.json(
    { repositories: shown },
    more ? nextLink('/v2/_catalog', { last: shown.at(-1) ?? '', n: String(n) }) : {},
  )
}

/** GET that a docker daemon asks before it searches. */
export function pingV1(_app: App, exchange: Exchange): void {
  exchange.json({ version: 'wharf', standalone: true }, { 'X-Docker-Registry-Standalone': 'true' })
}

const mostResults = 100

/** GET of the repositories that a word matches, as `docker search` reads them. */
export function search(app: App, exchange: Exchange): void {
  const query = exchange.query.get('q') ?? ''
  const wanted = Number(exchange.query.get('n') ?? '25')
  const n = Number.isInteger(wanted) && wanted > 0 ? Math.min(wanted, mostResults) : 25
  // The daemon may put our own host before the word.
  const term = query.slice(0, 256).trim().toLowerCase()
  const results = app.cards
    .search(term, 10_000)
    .filter(({ name }) => exchange.caller.sees(name))
    .slice(0, n)
    .map(({ name, description, stars, official, automated }) => ({
      name,
      description,
      star_count: stars,
      is_official: official,
      is_automated: automated,
      is_trusted: automated,
    }))
  exchange.json({ query, num_results: results.length, results, page: 1, num_pages: 1, page_size: n })
}
