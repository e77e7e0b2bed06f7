/** `docker search`: asks an index by its first protocol (`/v1/search`). */
import type { z } from 'zod'
import { EngineError } from '../spec/errors.ts'
import { goBool, goInt, goList, goString, goStruct } from '../spec/go-json.ts'
import type { Registries } from './registries.ts'
import { readAnswer } from './registry-client.ts'
import { basicHeader, type AuthConfig } from './registry-tokens.ts'

const SearchResult = goStruct({
  star_count: goInt(),
  is_official: goBool(),
  name: goString(),
  is_automated: goBool(),
  description: goString(),
})
const SearchResults = goStruct({ results: goList(SearchResult) })
/** One row of a search. */
export type SearchResult = z.infer<typeof SearchResult>

/** A search as the API asks for it. */
export type SearchQuery = {
  term: string
  limit: number | undefined
  filters: ReadonlyMap<string, readonly string[]>
}

const defaultLimit = 25
const maxLimit = 100
const maxAnswerBytes = 4 << 20
const indexHost = 'index.docker.io'
const knownFilters = ['is-automated', 'is-official', 'stars']

/** Searches and filters as Docker does. Throws invalid and what the index says. */
export async function searchRegistry(
  registries: Registries,
  query: SearchQuery,
  auth: AuthConfig,
  signal: AbortSignal,
): Promise<SearchResult[]> {
  const limit = query.limit ?? defaultLimit
  if (limit < 1 || limit > maxLimit) {
    throw new EngineError('invalid', `limit ${limit} is outside the range of [1, ${maxLimit}]`)
  }
  const wanted = filterOf(query.filters)
  if (query.term.startsWith('http://') || query.term.startsWith('https://')) {
    throw new EngineError('invalid', 'invalid repository name: remove the protocol')
  }
  const { host, term } = splitTerm(query.term)
  const headers = {
    'X-Docker-Token': 'true',
    ...(auth.username === '' ? {} : { authorization: basicHeader(auth) }),
  }
  const path = `/v1/search?${new URLSearchParams({ q: term, n: String(limit) }).toString()}`
  const answer = await registries.sendFirst(host, { path, headers }, signal)
  const body = await readAnswer(answer, maxAnswerBytes)
  if (answer.statusCode !== 200) {
    throw new EngineError('internal', `Unexpected status code ${answer.statusCode ?? 0}`)
  }
  return parseResults(body).filter(wanted)
}

function parseResults(body: Buffer): SearchResult[] {
  try {
    return SearchResults.parse(JSON.parse(body.toString('utf8'))).results ?? []
  } catch (cause) {
    throw new EngineError('internal', 'error decoding registry search results', { cause })
  }
}

function splitTerm(text: string): { host: string; term: string } {
  const slash = text.indexOf('/')
  const first = slash < 0 ? '' : text.slice(0, slash)
  const isHost = /[.:]/.test(first) || first === 'localhost'
  const host = isHost ? first : indexHost
  const term = isHost ? text.slice(slash + 1) : text
  const isHub = host === indexHost || host === 'docker.io'
  return { host: isHub ? indexHost : host, term: isHub ? term.replace(/^library\//, '') : term }
}

function filterOf(filters: SearchQuery['filters']): (result: SearchResult) => boolean {
  for (const key of filters.keys()) {
    if (!knownFilters.includes(key)) throw new EngineError('invalid', `invalid filter '${key}'`)
  }
  const flag = (key: string): boolean | undefined => {
    const values = filters.get(key)
    if (values === undefined || values.length === 0) return undefined
    if (values.length === 1 && /^(1|t|true)$/i.test(values[0] ?? '')) return true
    if (values.length === 1 && /^(0|f|false)$/i.test(values[0] ?? '')) return false
    throw new EngineError('invalid', `invalid filter '${key}=[${values.join(' ')}]'`)
  }
  const automated = flag('is-automated')
  const official = flag('is-official')
  const stars = (filters.get('stars') ?? []).map((value) => {
    if (!/^-?[0-9]+$/.test(value)) throw new EngineError('invalid', `invalid filter 'stars=${value}'`)
    return Number(value)
  })
  const least = Math.max(0, ...stars)
  return (result) =>
    (automated === undefined || result.is_automated === automated) &&
    (official === undefined || result.is_official === official) &&
    result.star_count >= least
}
