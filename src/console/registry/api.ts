/** The registry's endpoints for its page, typed. */
import {
  pageLimits,
  pageRequestHeader,
  type PageCollection,
  type PageDeletion,
  type PageDeletionResult,
  type PageManifest,
  type PageReferrers,
  type PageRepositories,
  type PageRepository,
  type PageRetention,
  type PageSignIn,
  type PageStatus,
  type PageTagNames,
  type PageTagOrder,
  type PageTags,
} from '../../spec/registry-page.ts'
import { requestJson } from '../browser/request.ts'
import { asList, asObject, asText } from '../shared/json.ts'

type Values = Record<string, string | number>

/** See the file's head. */
export const api = {
  status: (signal?: AbortSignal) => get<PageStatus>('status', {}, signal),
  signIn: (proof: PageSignIn) => post<void>('sign-in', proof),
  signOut: () => post<void>('sign-out', {}),
  repositories: (after: string, signal?: AbortSignal) =>
    get<PageRepositories>('repositories', { after, limit: pageLimits.repositories }, signal),
  repository: (repository: string, signal?: AbortSignal) =>
    get<PageRepository>('repository', { repository }, signal),
  tags: (
    page: { repository: string; order: PageTagOrder; q: string; offset: number; limit: number },
    signal?: AbortSignal,
  ) => get<PageTags>('tags', page, signal),
  tagNames: (page: { repository: string; order: PageTagOrder; q: string; offset: number }) =>
    get<PageTagNames>('tag-names', page),
  manifest: (repository: string, reference: string, signal?: AbortSignal) =>
    get<PageManifest>('manifest', { repository, reference }, signal),
  referrers: (page: { repository: string; digest: string; after: string }, signal?: AbortSignal) =>
    get<PageReferrers>('referrers', page, signal),
  retention: (signal?: AbortSignal) => get<PageRetention>('retention', {}, signal),
  describe: (repository: string, description: string) => post<void>('describe', { repository, description }),
  star: (repository: string, starred: boolean) => post<void>('star', { repository, starred }),
  collect: (dryRun: boolean) => post<PageCollection>('collect', { dryRun }),
  deleteRepositories: (repositories: string[]) =>
    post<PageDeletionResult>('delete-repositories', { repositories }),
  deleteTags,
}

/** Deletes tags and manifests, so many with a request. */
async function deleteTags({
  repository,
  tags = [],
  digests = [],
}: PageDeletion): Promise<PageDeletionResult> {
  const total: PageDeletionResult = { deleted: 0, failed: [] }
  for (let start = 0; start < Math.max(tags.length, digests.length); start += pageLimits.deletions) {
    const end = start + pageLimits.deletions
    const some: PageDeletion = {
      repository,
      tags: tags.slice(start, end),
      digests: digests.slice(start, end),
    }
    // oxlint-disable-next-line no-await-in-loop -- one after the other, so that the server serves others too
    const { deleted, failed } = await post<PageDeletionResult>('delete', some)
    total.deleted += deleted
    total.failed.push(...failed)
  }
  return total
}

async function get<T>(name: string, values: Values, signal?: AbortSignal): Promise<T> {
  const query = new URLSearchParams(
    Object.entries(values).map(([key, value]) => [key, String(value)]),
  ).toString()
  return await send<T>(query === '' ? name : `${name}?${query}`, { signal })
}

async function post<T>(name: string, body: unknown): Promise<T> {
  return await send<T>(name, { method: 'POST', body, headers: { [pageRequestHeader]: '1' } })
}

async function send<T>(path: string, options: Parameters<typeof requestJson>[1]): Promise<T> {
  const value = await requestJson(`console/api/${path}`, { ...options, messageOf: firstMessage })
  // The page and the server come from one build (see the types' head).
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return value as T
}

function firstMessage(body: unknown): string {
  return asText(asObject(asList(asObject(body)['errors'])[0])['message'])
}
