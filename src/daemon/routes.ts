/** All routes of the API, and what stands behind those that no room owns: info, version, disk usage. */
import type { ContainerArchives } from '../containers/archive.ts'
import type { KernelFacts } from '../kernel/host-info.ts'
import { systemClock } from '../lib/clock.ts'
import type { IdMapping } from '../lib/id-mapping.ts'
import type { Log } from '../lib/log.ts'
import type { Database } from '../store/database.ts'
import { diskUsage, type UsageSources } from './disk-usage.ts'
import type { EventJournal } from './events.ts'
import type { Host } from './hosts.ts'
import { systemInfo, systemVersion, type InfoSources, type RuntimeFacts } from './info.ts'
import type { LiveSettings } from './live-settings.ts'
import type { Rooms } from './rooms.ts'
import type { Route } from './router.ts'
import { absentRoutes } from './routes/absent.ts'
import { checkpointRoutes } from './routes/checkpoints.ts'
import { containerCreateRoutes } from './routes/container-create.ts'
import { containerFileRoutes } from './routes/container-files.ts'
import { containerStreamRoutes } from './routes/container-streams.ts'
import { commitsOf } from './commits.ts'
import { containerRoutes } from './routes/containers.ts'
import { eventRoutes } from './routes/events.ts'
import { execRoutes } from './routes/exec.ts'
import { imageLoadRoutes, imageRoutes } from './routes/images.ts'
import { networkRoutes } from './routes/networks.ts'
import { registryRoutes } from './routes/registry.ts'
import { systemRoutes } from './routes/system.ts'
import { volumeRoutes } from './routes/volumes.ts'
import { systemCheck, type CheckParts } from './system-check.ts'
import { TreeSizes } from './tree-sizes.ts'

/** What routes are built from. */
export type RoutesParts = {
  live: LiveSettings
  rooms: Rooms
  archives: ContainerArchives
  events: EventJournal
  facts: KernelFacts
  hosts: readonly Host[]
  dataRoot: string
  execRoot: string
  /** What ids of containers are on the host; undefined for the same. */
  ids: IdMapping | undefined
  database: Database
  runtime: () => RuntimeFacts
  id: string
  log: Log
}

/** See the file's head. */
export function buildRoutes(parts: RoutesParts): Route[] {
  const { rooms, events, facts, live } = parts
  const engine = rooms.containers
  const sources = infoSources(parts)
  const measure = (directories: readonly string[]) => rooms.files.treeSizes(directories)
  const usage = usageSources(rooms, new TreeSizes({ measure, log: parts.log.child('usage') }))
  const routes = [
    ...systemRoutes({
      info: () => systemInfo(sources),
      version: () => systemVersion(sources),
      diskUsage: (kinds) => diskUsage(usage, kinds),
      check: (options, signal) => systemCheck(checkParts(parts), options, signal),
      login: (credentials, signal) => rooms.files.registry.login(credentials, signal),
    }),
    ...eventRoutes(events, systemClock),
    ...absentRoutes(),
    ...checkpointRoutes(engine, () => live.current.flag('experimental')),
  ]
  const originAllowed = (origin: string, host: string) => allowsOrigin(live, origin, host)
  return [
    ...routes,
    ...containerRoutes(engine),
    ...containerCreateRoutes(engine, { cgroupUnified: facts.cgroup.mode === 'v2' }),
    ...execRoutes(engine),
    ...containerFileRoutes({ engine, archives: parts.archives }),
    ...containerStreamRoutes({ engine, logs: rooms.logs, originAllowed }),
    ...volumeRoutes(rooms.volumes),
    ...networkRoutes(rooms.networks.service, engine),
    ...imageLoadRoutes(rooms.files.service),
    ...registryRoutes(rooms.files.registry),
    ...imageRoutes(rooms.files.service, commitsOf(engine, rooms.files.service), rooms.files.registry, events),
  ]
}

function checkParts({ rooms, database, dataRoot, execRoot }: RoutesParts): CheckParts {
  const { files, volumes, containers } = rooms
  return {
    database,
    files: files.check,
    images: files.images,
    volumes,
    containers,
    roots: [dataRoot, execRoot],
  }
}

function usageSources({ containers, files, volumes }: Rooms, sizes: TreeSizes): UsageSources {
  const filters = new Map<string, string[]>()
  return {
    containers: () => containers.list({ all: true, limit: 0, size: true, filters }),
    images: () => files.service.usage(),
    volumes: () => volumes.usage((places) => sizes.of(places)),
  }
}

/** A page may attach from where the API itself is served, and from where the CORS setting says. */
function allowsOrigin(live: LiveSettings, origin: string, host: string): boolean {
  const allowed = live.current.text('api-cors-header')
  return allowed === '*' || allowed.split(',').includes(origin) || origin.replace(/^[a-z]+:\/\//, '') === host
}

function infoSources(parts: RoutesParts): InfoSources {
  const { live, rooms, events, facts, hosts, dataRoot, runtime, id } = parts
  return {
    id,
    clock: systemClock,
    settings: () => live.current,
    facts,
    hosts,
    dataRoot,
    isRemapped: parts.ids !== undefined,
    storage: {
      driver: rooms.files.rootfs.driverName,
      status: rooms.files.rootfs.driverStatus(),
    },
    containers: () => rooms.containers.counts(),
    images: () => rooms.files.service.count(),
    eventListeners: () => events.listenerCount,
    get runtime() {
      return runtime()
    },
    networkDrivers: () => rooms.networks.service.drivers(),
    volumeDrivers: () => rooms.volumeDrivers.names(),
    debug: () => live.current.flag('debug'),
  }
}
