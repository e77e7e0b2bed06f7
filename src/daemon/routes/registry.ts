/** What the engine does at registries beside pulling: push, search, and looking at what is there. */
import type { Route } from '../router.ts'
import type { Exchange } from '../exchange.ts'
import { platformOf, registryAuth, withProgress, type ProgressSink } from './images.ts'
import { EngineError } from '../../spec/errors.ts'
import type { Platform } from '../../spec/image-types.ts'

/** What the registry routes need. Implemented by images/. */
export interface RegistryOperations {
  push(
    query: { image: string; tag: string; platform: Platform | undefined; auth: string | undefined },
    report: ProgressSink,
    signal: AbortSignal,
  ): Promise<void>
  search(
    query: { term: string; limit: number | undefined; filters: ReadonlyMap<string, readonly string[]> },
    auth: string | undefined,
    signal: AbortSignal,
  ): Promise<unknown[]>
  distribution(name: string, auth: string | undefined, signal: AbortSignal): Promise<unknown>
  manifest(
    name: string,
    access: { auth: string | undefined; insecure: boolean },
    signal: AbortSignal,
  ): Promise<unknown>
  putManifest(
    name: string,
    body: unknown,
    access: { auth: string | undefined; insecure: boolean },
    signal: AbortSignal,
  ): Promise<unknown>
  tags(name: string, auth: string | undefined, signal: AbortSignal): Promise<string[]>
  attestations(
    name: string,
    query: { platform: Platform | undefined; types: string[]; statement: boolean; auth: string | undefined },
    signal: AbortSignal,
  ): Promise<unknown[]>
}

/** See the file's head. */
export function registryRoutes(registry: RegistryOperations): Route[] {
  return [
    { method: 'GET', path: '/images/search', handle: (x) => search(registry, x) },
    { method: 'POST', path: '/images/{name}/push', handle: (x) => push(registry, x) },
    { method: 'GET', path: '/images/{name}/attestations', handle: (x) => attestations(registry, x) },
    {
      method: 'GET',
      path: '/distribution/{name}/json',
      handle: async (x) => x.sendJson(200, await registry.distribution(x.name, registryAuth(x), x.signal)),
    },
    // Additions: single manifests, for clients that put lists of them together.
    {
      method: 'GET',
      path: '/distribution/{name}/manifest',
      handle: async (x) => x.sendJson(200, await registry.manifest(x.name, manifestAccess(x), x.signal)),
    },
    {
      method: 'PUT',
      path: '/distribution/{name}/manifest',
      handle: async (x) => {
        const body = await x.jsonValue()
        x.sendJson(201, await registry.putManifest(x.name, body, manifestAccess(x), x.signal))
      },
    },
    // An addition: the tags of a repository in its registry.
    {
      method: 'GET',
      path: '/distribution/{name}/tags',
      handle: async (x) =>
        x.sendJson(200, { Name: x.name, Tags: await registry.tags(x.name, registryAuth(x), x.signal) }),
    },
  ]
}

async function push(registry: RegistryOperations, x: Exchange): Promise<void> {
  const query = {
    image: x.name,
    tag: x.text('tag'),
    platform: x.version >= 46 ? platformOf(x) : undefined,
    auth: registryAuth(x),
  }
  await withProgress(x, (progress) => registry.push(query, progress, x.signal))
}

async function attestations(registry: RegistryOperations, x: Exchange): Promise<void> {
  if (x.query.getAll('platform').length > 1) {
    throw new EngineError('invalid', 'only one platform value is currently supported')
  }
  const query = {
    platform: platformOf(x),
    types: x.query.getAll('type'),
    statement: x.flag('statement'),
    auth: registryAuth(x),
  }
  x.sendJson(200, await registry.attestations(x.name, query, x.signal))
}

async function search(registry: RegistryOperations, x: Exchange): Promise<void> {
  const query = { term: x.text('term'), limit: x.integer('limit'), filters: x.filters() }
  x.sendJson(200, await registry.search(query, registryAuth(x), x.signal))
}

function manifestAccess(x: Exchange): { auth: string | undefined; insecure: boolean } {
  return { auth: registryAuth(x), insecure: x.flag('insecure') }
}
