/** Containers: list, look at, and change what they do. Streams, files and exec have files of their own. */
import type { ContainerEngine } from '../../containers/contract.ts'
import { UpdateConfig } from '../../spec/container-config.ts'
import { EngineError } from '../../spec/errors.ts'
import type { Exchange } from '../exchange.ts'
import type { Route } from '../router.ts'
import { adaptInspect, adaptList, adaptUpdateRequest } from '../versions.ts'

/** Routes of the API's "Container" area that answer at once. */
export function containerRoutes(engine: ContainerEngine): Route[] {
  return [
    { method: 'GET', path: '/containers/json', handle: (x) => list(engine, x) },
    { method: 'POST', path: '/containers/prune', handle: (x) => prune(engine, x) },
    { method: 'GET', path: '/containers/{id}/json', handle: (x) => inspect(engine, x) },
    {
      method: 'GET',
      path: '/containers/{id}/top',
      handle: async (x) => x.sendJson(200, await engine.top(x.name, x.text('ps_args'))),
    },
    {
      method: 'GET',
      path: '/containers/{id}/changes',
      handle: async (x) => x.sendJson(200, await engine.changes(x.name)),
    },
    { method: 'POST', path: '/containers/{id}/start', handle: (x) => start(engine, x) },
    action('stop', (x) => engine.stop(x.name, stopOptions(x))),
    action('restart', (x) => engine.restart(x.name, stopOptions(x))),
    action('kill', (x) => engine.kill(x.name, x.text('signal'))),
    action('pause', (x) => engine.pause(x.name)),
    action('unpause', (x) => engine.unpause(x.name)),
    action('rename', (x) => engine.rename(x.name, x.text('name'))),
    { method: 'POST', path: '/containers/{id}/update', handle: (x) => update(engine, x) },
    {
      method: 'POST',
      path: '/containers/{id}/resize',
      handle: async (x) => {
        await engine.resize(x.name, size(x, 'h', 'height'), size(x, 'w', 'width'))
        x.sendStatus(200)
      },
    },
    { method: 'DELETE', path: '/containers/{id}', handle: (x) => remove(engine, x) },
  ]
}

/** A change that answers with nothing but success. */
function action(name: string, run: (x: Exchange) => Promise<void>): Route {
  return {
    method: 'POST',
    path: `/containers/{id}/${name}`,
    handle: async (x) => {
      await run(x)
      x.sendStatus(204)
    },
  }
}

async function inspect(engine: ContainerEngine, x: Exchange): Promise<void> {
  const answer = await engine.inspect(x.name, { size: x.flag('size') })
  x.sendJson(200, adaptInspect(answer, x.version))
}

async function prune(engine: ContainerEngine, x: Exchange): Promise<void> {
  const { deleted, reclaimedBytes } = await engine.prune(x.filters())
  x.sendJson(200, { ContainersDeleted: nullWhenEmpty(deleted), SpaceReclaimed: reclaimedBytes })
}

function nullWhenEmpty(list: string[]): string[] | null {
  return list.length === 0 ? null : list
}

async function list(engine: ContainerEngine, x: Exchange): Promise<void> {
  const filters = new Map(x.filters())
  // `since` and `before` are also parameters of their own.
  for (const name of ['since', 'before']) if (x.text(name) !== '') filters.set(name, [x.text(name)])
  const limit = x.integer('limit') ?? 0
  const containers = await engine.list({
    all: x.flag('all') || limit > 0,
    limit,
    size: x.flag('size'),
    filters,
  })
  x.sendJson(200, adaptList(containers, x.version))
}

async function start(engine: ContainerEngine, x: Exchange): Promise<void> {
  const length = x.request.headers['content-length']
  // Engine API changelog, v1.24: a HostConfig in the body is refused; `{}` and `null` are tolerated.
  if (x.request.headers['transfer-encoding'] !== undefined || Number(length ?? 0) > 7) {
    throw new EngineError(
      'invalid',
      'starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24',
    )
  }
  if (x.text('checkpoint') !== '') {
    throw new EngineError('invalid', 'checkpoint is only supported in experimental mode')
  }
  await engine.start(x.name, { detachKeys: x.text('detachKeys') })
  x.sendStatus(204)
}

function stopOptions(x: Exchange): { signal: string; timeoutSeconds: number | null } {
  return { signal: x.version >= 42 ? x.text('signal') : '', timeoutSeconds: x.integer('t') ?? null }
}

async function update(engine: ContainerEngine, x: Exchange): Promise<void> {
  const request = await x.json(UpdateConfig, 'UpdateConfig')
  adaptUpdateRequest(request, x.version)
  const { warnings } = await engine.update(x.name, request)
  x.sendJson(200, { Warnings: nullWhenEmpty(warnings) })
}

async function remove(engine: ContainerEngine, x: Exchange): Promise<void> {
  await engine.remove(x.name, { force: x.flag('force'), volumes: x.flag('v'), link: x.flag('link') })
  x.sendStatus(204)
}

/** A terminal size. Throws `invalid` with Docker's words. */
export function size(x: Exchange, name: string, label: string): number {
  const text = x.text(name)
  const value = Number(text)
  if (/^[0-9]+$/.test(text) && value <= 0xffffffff) return value
  const problem = text === '' || !/^[0-9]+$/.test(text) ? 'invalid syntax' : 'value out of range'
  throw new EngineError(
    'invalid',
    `invalid resize ${label} ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: ${problem}`,
  )
}
