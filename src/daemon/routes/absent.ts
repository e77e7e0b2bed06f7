/**
 * Areas of the API that this engine does not have: swarm mode, plugins, BuildKit sessions. They answer as a Docker
 * engine does that is in no swarm and has no plugins, so that clients which only look find nothing, not an error.
 */
import { EngineError } from '../../spec/errors.ts'
import type { Handler, Route } from '../router.ts'

const notInSwarm: Handler = () => {
  throw new EngineError(
    'unavailable',
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
  )
}

const noSwarmMode: Handler = () => {
  throw new EngineError('notImplemented', 'swarm mode is not supported by this engine')
}

const noSession: Handler = () => {
  throw new EngineError('notImplemented', 'BuildKit sessions are not supported by this engine')
}

/** Routes that every Docker engine has and that this one has nothing behind. */
export function absentRoutes(): Route[] {
  const swarmObjects = ['nodes', 'services', 'tasks', 'secrets', 'configs'].flatMap((area): Route[] => [
    { method: 'GET', path: `/${area}`, handle: notInSwarm },
    { method: 'POST', path: `/${area}/create`, handle: notInSwarm },
    { method: 'GET', path: `/${area}/{id}`, handle: notInSwarm },
    { method: 'DELETE', path: `/${area}/{id}`, handle: notInSwarm },
    { method: 'POST', path: `/${area}/{id}/update`, handle: notInSwarm },
    { method: 'GET', path: `/${area}/{id}/logs`, handle: notInSwarm },
  ])
  return [
    ...swarmObjects,
    { method: 'GET', path: '/swarm', handle: notInSwarm },
    { method: 'GET', path: '/swarm/unlockkey', handle: notInSwarm },
    { method: 'POST', path: '/swarm/update', handle: notInSwarm },
    { method: 'POST', path: '/swarm/unlock', handle: notInSwarm },
    {
      method: 'POST',
      path: '/swarm/leave',
      handle: () => {
        throw new EngineError('unavailable', 'This node is not part of a swarm')
      },
    },
    { method: 'POST', path: '/swarm/init', handle: noSwarmMode },
    { method: 'POST', path: '/swarm/join', handle: noSwarmMode },
    { method: 'POST', path: '/session', handle: noSession },
    { method: 'POST', path: '/grpc', handle: noSession },
    ...pluginRoutes(),
  ]
}

function pluginRoutes(): Route[] {
  const noPlugin: Handler = (x) => {
    throw new EngineError('notFound', `plugin ${JSON.stringify(x.name)} not found`)
  }
  const noPlugins: Handler = () => {
    throw new EngineError('notImplemented', 'managed plugins are not supported by this engine')
  }
  return [
    { method: 'GET', path: '/plugins', handle: (x) => x.sendJson(200, []) },
    { method: 'GET', path: '/plugins/privileges', handle: noPlugins },
    { method: 'POST', path: '/plugins/pull', handle: noPlugins },
    { method: 'POST', path: '/plugins/create', handle: noPlugins },
    { method: 'GET', path: '/plugins/{name}/json', handle: noPlugin },
    { method: 'DELETE', path: '/plugins/{name}', handle: noPlugin },
    ...['enable', 'disable', 'upgrade', 'push', 'set'].map((action): Route => ({
      method: 'POST',
      path: `/plugins/{name}/${action}`,
      handle: noPlugin,
    })),
  ]
}
