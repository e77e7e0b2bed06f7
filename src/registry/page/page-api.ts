/**
 * What the web page asks the registry, below `/console/api/`. Callers are known by their session; they are told of
 * what they may pull alone, and for somebody who may not a repository is as if it were not there. What changes
 * something has to carry a header that no other site can make a browser send.
 */
import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { Clock } from '../../lib/clock.ts'
import { pageRequestHeader } from '../../spec/registry-page.ts'
import type { App } from '../app.ts'
import type { CollectOptions, CollectResult } from '../collect.ts'
import type { RetentionRule } from '../config.ts'
import { RegistryError } from '../errors.ts'
import type { Caller, Exchange } from '../exchange.ts'
import type { Gate } from '../gate.ts'
import { pageHeaders } from './page-files.ts'
import {
  collectNow,
  deleteRepositories,
  deleteTags,
  describe,
  signIn,
  signOut,
  star,
} from './page-changes.ts'
import {
  listRepositories,
  listTagNames,
  listTags,
  oneRepository,
  retention,
  status,
} from './page-listings.ts'
import { getManifest, listReferrers } from './page-manifests.ts'
import { ImageFacts } from './image-facts.ts'
import { Sessions } from './sessions.ts'
import { TagOrder } from './tag-order.ts'

/** What the page's endpoints work with. */
export type PageParts = {
  app: App
  gate: () => Gate
  clock: Clock
  retention: () => readonly RetentionRule[]
  collect: (options: Partial<CollectOptions>) => Promise<CollectResult>
}

/** The same, with what they keep between requests. */
export type PageContext = PageParts & { sessions: Sessions; tags: TagOrder; facts: ImageFacts }

type Handler = (page: PageContext, exchange: Exchange) => unknown

const endpoints: Record<string, { GET?: Handler; POST?: Handler }> = {
  status: { GET: status },
  'sign-in': { POST: signIn },
  'sign-out': { POST: signOut },
  repositories: { GET: listRepositories },
  repository: { GET: oneRepository },
  tags: { GET: listTags },
  'tag-names': { GET: listTagNames },
  manifest: { GET: getManifest },
  referrers: { GET: listReferrers },
  retention: { GET: retention },
  describe: { POST: describe },
  star: { POST: star },
  delete: { POST: deleteTags },
  'delete-repositories': { POST: deleteRepositories },
  collect: { POST: collectNow },
}

const compress = promisify(gzip)
/** Shorter answers are not worth compressing. */
const compressedBytes = 2048

/** See the file's head. */
export class PageApi {
  readonly #context: PageContext

  constructor(parts: PageParts) {
    const { app, gate, clock } = parts
    this.#context = {
      ...parts,
      sessions: new Sessions(gate, clock),
      tags: new TagOrder(app.index.database),
      facts: new ImageFacts(app),
    }
  }

  /** Who asks. Throws UNAUTHORIZED, without the header that makes browsers ask for a password themselves. */
  async identify(request: IncomingMessage): Promise<Caller> {
    try {
      return await this.#context.sessions.identify(request)
    } catch (cause) {
      if (cause instanceof RegistryError && cause.code === 'UNAUTHORIZED')
        throw new RegistryError('UNAUTHORIZED', { cause })
      throw cause
    }
  }

  /** Answers a request. */
  async handle(exchange: Exchange, name: string): Promise<void> {
    const endpoint = Object.hasOwn(endpoints, name) ? endpoints[name] : undefined
    if (endpoint === undefined)
      throw new RegistryError('UNSUPPORTED', { message: 'page not found', status: 404 })
    const { method } = exchange.request
    const handler = method === 'GET' || method === 'POST' ? endpoint[method] : undefined
    if (handler === undefined)
      throw new RegistryError('UNSUPPORTED', { headers: { Allow: Object.keys(endpoint).join(', ') } })
    if (method === 'POST') checkOrigin(exchange)
    await answer(exchange, await handler(this.#context, exchange))
  }
}

function checkOrigin(exchange: Exchange): void {
  const site = exchange.header('sec-fetch-site')
  const isOwn =
    exchange.header(pageRequestHeader.toLowerCase()) !== '' && (site === '' || site === 'same-origin')
  const isJson = exchange.header('content-type').startsWith('application/json')
  if (!isOwn || !isJson)
    throw new RegistryError('DENIED', { message: "this request does not come from the registry's page" })
}

async function answer(exchange: Exchange, value: unknown): Promise<void> {
  const headers = {
    ...pageHeaders,
    'Content-Type': 'application/json; charset=utf-8',
    'Cache-Control': 'no-store',
  }
  const body = Buffer.from(JSON.stringify(value ?? {}))
  if (body.length < compressedBytes || !/\bgzip\b/.test(exchange.header('accept-encoding'))) {
    exchange.bytes(200, body, headers)
    return
  }
  const compressed = await compress(body, { level: 5 })
  exchange.bytes(200, compressed, { ...headers, 'Content-Encoding': 'gzip', Vary: 'Accept-Encoding' })
}
