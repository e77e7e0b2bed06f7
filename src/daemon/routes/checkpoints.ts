/**
 * Checkpoints, an experiment of Docker's that stands on CRIU. This engine answers as Docker does on a machine without
 * CRIU: a container never has a checkpoint, and none can be made.
 */
import type { ContainerEngine } from '../../containers/contract.ts'
import { EngineError } from '../../spec/errors.ts'
import type { Exchange } from '../exchange.ts'
import type { Handler, Route } from '../router.ts'

/** See the file's head. */
export function checkpointRoutes(engine: ContainerEngine, experimental: () => boolean): Route[] {
  const guarded =
    (handle: (x: Exchange) => Promise<void>): Handler =>
    async (x) => {
      if (experimental()) return handle(x)
      throw new EngineError(
        'notImplemented',
        'This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order to enable it.',
      )
    }
  const path = '/containers/{id}/checkpoints'
  return [
    { method: 'GET', path, handle: guarded(async (x) => list(engine, x)) },
    { method: 'POST', path, handle: guarded(async (x) => create(engine, x)) },
    { method: 'DELETE', path: `${path}/{checkpoint}`, handle: guarded(async (x) => remove(engine, x)) },
  ]
}

function list(engine: ContainerEngine, x: Exchange): void {
  engine.paths(x.name)
  x.sendJson(200, null)
}

async function create(engine: ContainerEngine, x: Exchange): Promise<void> {
  const body = await x.jsonValue()
  const { running } = engine.paths(x.name)
  if (!running) throw new EngineError('internal', `Container ${x.name} not running`)
  const id = typeof body === 'object' && body !== null && 'CheckpointID' in body ? body.CheckpointID : ''
  if (typeof id !== 'string' || !/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(id)) {
    throw new EngineError(
      'internal',
      `Invalid checkpoint ID (${String(id)}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    )
  }
  throw new EngineError(
    'internal',
    `Cannot checkpoint container ${x.name}: exec: "criu": executable file not found in $PATH`,
  )
}

function remove(engine: ContainerEngine, x: Exchange): void {
  engine.paths(x.name)
  const checkpoint = decodeURIComponent(
    new URL(x.request.url ?? '', 'http://x').pathname.split('/').at(-1) ?? '',
  )
  throw new EngineError('internal', `checkpoint ${checkpoint} does not exist for container ${x.name}`)
}
