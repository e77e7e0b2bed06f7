/** What the engine does at registries beside pulling: push, search, and looking at what is there. */
import type { Route } from '../router.ts'
import { registryAuth } from './images.ts'

/** What the registry routes need. Implemented by images/. */
export interface RegistryOperations {
  distribution(name: string, auth: string | undefined, signal: AbortSignal): Promise<unknown>
  tags(name: string, auth: string | undefined, signal: AbortSignal): Promise<string[]>
}

/** See the file's head. */
export function registryRoutes(registry: RegistryOperations): Route[] {
  return [
    {
      method: 'GET',
      path: '/distribution/{name}/json',
      handle: async (x) => x.sendJson(200, await registry.distribution(x.name, registryAuth(x), x.signal)),
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
