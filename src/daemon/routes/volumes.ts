/** Volumes. */
import { checkFilterKeys } from '../../lib/http-query.ts'
import { EngineError } from '../../spec/errors.ts'
import { VolumeCreate, type Volume } from '../../spec/volume-types.ts'
import type { Exchange } from '../exchange.ts'
import type { Route } from '../router.ts'

type Filters = ReadonlyMap<string, readonly string[]>

/** What the volume routes need. Implemented by volumes/. */
export interface VolumeOperations {
  list(filters: Filters): Promise<{ volumes: Volume[]; warnings: string[] }>
  inspect(name: string): Promise<Volume>
  create(request: VolumeCreate): Promise<Volume>
  remove(name: string, force: boolean): Promise<void>
  prune(filters: Filters): Promise<{ VolumesDeleted: string[]; SpaceReclaimed: number }>
}

/** Routes of the API's "Volume" area. */
export function volumeRoutes(volumes: VolumeOperations): Route[] {
  return [
    { method: 'GET', path: '/volumes', handle: (x) => list(volumes, x) },
    {
      method: 'POST',
      path: '/volumes/create',
      handle: async (x) => {
        const request = await x.json(VolumeCreate, 'CreateOptions')
        if (x.version >= 42 && request.ClusterVolumeSpec !== null) {
          throw new EngineError(
            'unavailable',
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
          )
        }
        x.sendJson(201, await volumes.create(request))
      },
    },
    { method: 'POST', path: '/volumes/prune', handle: (x) => prune(volumes, x) },
    {
      method: 'GET',
      path: '/volumes/{name}',
      handle: async (x) => x.sendJson(200, await volumes.inspect(x.name)),
    },
    {
      method: 'PUT',
      path: '/volumes/{name}',
      handle: async () => {
        throw new EngineError(
          'unavailable',
          'volume update only valid for cluster volumes, but swarm is unavailable',
        )
      },
    },
    {
      method: 'DELETE',
      path: '/volumes/{name}',
      handle: async (x) => {
        await volumes.remove(x.name, x.flag('force'))
        x.sendStatus(204)
      },
    },
  ]
}

async function list(service: VolumeOperations, x: Exchange): Promise<void> {
  const filters = x.filters()
  checkFilterKeys(filters, ['dangling', 'name', 'driver', 'label'])
  const { volumes, warnings } = await service.list(filters)
  x.sendJson(200, { Volumes: volumes, Warnings: warnings.length === 0 ? null : warnings })
}

async function prune(volumes: VolumeOperations, x: Exchange): Promise<void> {
  const filters = new Map(x.filters())
  // Before 1.42 named volumes were pruned too.
  if (x.version < 42 && !filters.has('all')) filters.set('all', ['true'])
  x.sendJson(200, await volumes.prune(filters))
}
