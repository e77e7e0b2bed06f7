/** All routes of the API, and what stands behind those that no room owns: info, version, disk usage. */
import type { KernelFacts } from '../kernel/host-info.ts'
import { systemClock } from '../lib/clock.ts'
import { EngineError } from '../spec/errors.ts'
import type { EventJournal } from './events.ts'
import type { Host } from './hosts.ts'
import { fileSystemOf, systemInfo, systemVersion, type InfoSources, type RuntimeFacts } from './info.ts'
import type { LiveSettings } from './live-settings.ts'
import type { Rooms } from './rooms.ts'
import type { Route } from './router.ts'
import { absentRoutes } from './routes/absent.ts'
import { containerCreateRoutes } from './routes/container-create.ts'
import { containerFileRoutes } from './routes/container-files.ts'
import { containerStreamRoutes } from './routes/container-streams.ts'
import { containerRoutes } from './routes/containers.ts'
import { eventRoutes } from './routes/events.ts'
import { execRoutes } from './routes/exec.ts'
import { systemRoutes } from './routes/system.ts'

/** What routes are built from. */
export type RoutesParts = {
  live: LiveSettings
  rooms: Rooms
  events: EventJournal
  facts: KernelFacts
  hosts: readonly Host[]
  dataRoot: string
  runtime: RuntimeFacts
  id: string
}

/** See the file's head. */
export function buildRoutes(parts: RoutesParts): Route[] {
  const { rooms, events, facts, live } = parts
  const sources = infoSources(parts)
  const routes = [
    ...systemRoutes({
      info: () => systemInfo(sources),
      version: async () => systemVersion(sources),
      diskUsage: async () => ({}),
      login: () => {
        throw new EngineError('notImplemented', 'registry login is not supported yet')
      },
    }),
    ...eventRoutes(events, systemClock),
    ...absentRoutes(),
  ]
  const { engine, logs } = rooms
  if (engine === undefined) return routes
  routes.push(
    ...containerRoutes(engine),
    ...containerCreateRoutes(engine, { cgroupUnified: facts.cgroup.mode === 'v2' }),
    ...execRoutes(engine),
    ...containerFileRoutes(engine),
  )
  if (logs !== undefined) {
    const originAllowed = (origin: string, host: string) => allowsOrigin(live, origin, host)
    routes.push(...containerStreamRoutes({ engine, logs, originAllowed }))
  }
  return routes
}

/** A page may attach from where the API itself is served, and from where the CORS setting says. */
function allowsOrigin(live: LiveSettings, origin: string, host: string): boolean {
  const allowed = live.current.text('api-cors-header')
  return allowed === '*' || allowed.split(',').includes(origin) || origin.replace(/^[a-z]+:\/\//, '') === host
}

function infoSources({ live, rooms, events, facts, hosts, dataRoot, runtime, id }: RoutesParts): InfoSources {
  return {
    id,
    clock: systemClock,
    settings: () => live.current,
    facts,
    hosts,
    dataRoot,
    storage: {
      driver: 'overlay2',
      status: [
        ['Backing Filesystem', fileSystemOf(dataRoot)],
        ['Supports d_type', 'true'],
        ['Native Overlay Diff', 'true'],
        ['userxattr', 'false'],
      ],
    },
    containers: async () => {
      const list = (await rooms.engine?.list({ all: true, limit: 0, size: false, filters: new Map() })) ?? []
      const running = list.filter((container) => ['running', 'restarting'].includes(container.State)).length
      const paused = list.filter((container) => container.State === 'paused').length
      return { running, paused, stopped: list.length - running - paused }
    },
    images: () => 0,
    eventListeners: () => events.listenerCount,
    runtime,
    debug: () => live.current.flag('debug'),
  }
}
