/**
 * The engine's rooms, built in the order in which they stand on each other: files (content, layers, images), volumes,
 * logs, the runtime, networks, and the containers that bring all of them together. Everything is disposed the other
 * way round; containers run on.
 */
import { createHash } from 'node:crypto'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Faults } from '../containers/core.ts'
import { Containers } from '../containers/engine.ts'
import { noFaults, systemTimer, thisMachine } from '../containers/machine.ts'
import type { KernelFacts } from '../kernel/host-info.ts'
import { Sweeper, type Sweep } from '../kernel/sweeper.ts'
import { openImageRoom, type ImageRoom } from '../images/image-room.ts'
import { randomIds, type Clock } from '../lib/clock.ts'
import { rootOwner, type IdMapping } from '../lib/id-mapping.ts'
import type { Log } from '../lib/log.ts'
import { Plugins } from '../lib/plugin-client.ts'
import { dockerPluginDirectories } from '../lib/plugin-discovery.ts'
import { TaskGroup } from '../lib/task-group.ts'
import { Networks } from '../networks/networks.ts'
import type { OciContainerRuntime } from '../runtime/container-runtime.ts'
import { ContainerLogFiles } from '../runtime/logs/container-logs.ts'
import type { Database } from '../store/database.ts'
import { ContainerMountService } from '../volumes/container-mounts.ts'
import { LocalVolumeDriver } from '../volumes/local-driver.ts'
import { VolumeDrivers } from '../volumes/volume-drivers.ts'
import { VolumeService } from '../volumes/volume-service.ts'
import type { EventJournal } from './events.ts'
import type { Settings } from './config-values.ts'
import type { LiveSettings } from './live-settings.ts'
import { defaultPaths } from './default-paths.ts'
import { productVersion } from './info.ts'
import { endUnderOtherMapping } from './mapping-change.ts'
import { networkSettings } from './network-settings.ts'
import { registrySettings, type ProxyVariables } from './registry-settings.ts'
import {
  buildRuntime,
  builtProgram,
  containerSettings,
  hostPlatform,
  type RuntimeParts,
} from './rooms-runtime.ts'

/** What rooms are built from. */
export type RoomsParts = {
  live: LiveSettings
  log: Log
  database: Database
  events: EventJournal
  clock: Clock
  facts: KernelFacts
  dataRoot: string
  execRoot: string
  /** Names the kernel's objects of this daemon; empty for the usual names. */
  instance: string
  /** What ids of containers are on the host; undefined for the same. */
  ids: IdMapping | undefined
  searchPath: string | undefined
  /** Proxies of the environment. */
  proxies?: ProxyVariables
  /** Where a test ends the daemon. */
  faults?: Faults
}

/** What the routes are given. */
export type Rooms = AsyncDisposable & {
  files: ImageRoom
  volumes: VolumeService
  volumeDrivers: VolumeDrivers
  logs: ContainerLogFiles
  networks: Networks
  containers: Containers
}

const noProxies: ProxyVariables = { http: '', https: '', none: '' }

/** Builds all rooms and brings state and kernel together. */
export async function buildRooms(parts: RoomsParts): Promise<Rooms> {
  const { live, log, database, events, clock, dataRoot, ids, proxies = noProxies } = parts
  await using stack = new AsyncDisposableStack()
  const background = stack.use(new TaskGroup(log))
  // Images ask who uses them; containers are built on images.
  let usersOf: Containers['usersOfImage'] = () => []
  const users = { usersOf: (imageId: string) => usersOf(imageId) }
  const { sweep } = stack.use(new Sweeper(builtProgram('wharf-shim'), log.child('sweeper')))
  const files = stack.use(
    await openImageRoom({
      sweep,
      root: dataRoot,
      database,
      log,
      users,
      events,
      host: hostPlatform(),
      clock,
      storageDriver: live.current.text('storage-driver'),
      storageOptions: live.current.list('storage-opts'),
      searchPath: parts.searchPath,
      ids,
      registrySettings: () => registrySettings(live.current, proxies),
      userAgent: `docker/${productVersion} go/none os/linux wharf/${productVersion}`,
    }),
  )
  live.onReload(() => files.registries.reset())
  const plugins = buildPlugins(parts.execRoot)
  const { volumes, drivers, mounts } = buildVolumes({ ...parts, plugins }, files)
  const logs = stack.use(new ContainerLogFiles({ log: log.child('logs'), daemonName: hostname() }))
  const runtime = stack.use(await startRuntime({ ...parts, background, sweep }))
  const networks = stack.use(buildNetworks({ ...parts, sweep, plugins }))
  await networks.start()
  const containers = new Containers({
    images: files.images,
    rootfs: files.rootfs,
    runtime,
    networking: networks.containers,
    mounts,
    logs,
    events,
    database,
    settings: () => containerSettings(live, dataRoot),
    host: thisMachine(sweep, ids && rootOwner(ids)),
    clock,
    ids: randomIds,
    random: Math.random,
    timer: systemTimer,
    faults: parts.faults ?? noFaults,
    log,
  })
  usersOf = (imageId) => containers.usersOfImage(imageId)
  stack.defer(() => containers.shutdown(shutdownSettings(live.current)))
  // What a daemon that was killed has left goes before anything is started by policy.
  await containers.boot(async ({ all, withSandbox }) => {
    await networks.reconcile(withSandbox)
    await volumes.sweep(new Set(all))
    await mounts.sweep(all)
  })
  const owned = stack.move()
  return {
    files,
    volumes,
    volumeDrivers: drivers,
    logs,
    networks,
    containers,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** What of the containers is to happen when the daemon ends. */
function shutdownSettings(settings: Settings): { liveRestore: boolean; timeoutSeconds: number } {
  return {
    liveRestore: settings.flag('live-restore', true),
    timeoutSeconds: settings.number('shutdown-timeout', 15),
  }
}

async function startRuntime(parts: RuntimeParts): Promise<OciContainerRuntime> {
  const runtime = buildRuntime(parts)
  await endUnderOtherMapping(parts, runtime, parts.log.child('users'))
  return runtime
}

function buildVolumes(parts: RoomsParts & { plugins: Plugins }, files: ImageRoom) {
  const { database, events, clock, log, dataRoot, execRoot, plugins, ids } = parts
  const owner = ids && rootOwner(ids)
  const drivers = new VolumeDrivers([new LocalVolumeDriver(join(dataRoot, 'volumes'), owner)], plugins)
  const volumes = new VolumeService({ database, drivers, events, clock, log: log.child('volumes') })
  const mounts = new ContainerMountService({
    volumes,
    images: files.imageMounts,
    events,
    copy: files.copyTree,
    runDirectory: join(execRoot, 'mounts'),
    dataRoot,
    owner,
  })
  return { volumes, drivers, mounts }
}

/** Of Docker's places, after one of the daemon's own: two daemons of a machine need not have the same plugins. */
function buildPlugins(execRoot: string): Plugins {
  const { sockets, specifications } = dockerPluginDirectories
  const own = join(execRoot, 'plugins')
  return new Plugins({
    sockets: [own, ...sockets],
    specifications: [own, '/etc/wharf/plugins', ...specifications],
  })
}

function buildNetworks(parts: RoomsParts & { sweep: Sweep; plugins: Plugins }): Networks {
  const { live, log, database, events, clock, execRoot, sweep, plugins, instance, ids } = parts
  return new Networks({
    settings: networkSettings(live.current, {
      execRoot,
      instance,
      ids,
      keeperProgram: builtProgram('wharf-net'),
      namespaceProgram: builtProgram('wharf-shim'),
    }),
    database,
    log: log.child('networks'),
    events,
    clock,
    ids: randomIds,
    plugins,
    sweep,
  })
}

/** Names the kernel's objects of a daemon apart from those of others; empty for the one in the usual place. */
export function instanceOf(settings: Settings, dataRoot: string): string {
  if (settings.has('instance') || dataRoot === defaultPaths.dataRoot) return settings.text('instance')
  return `wharf${createHash('sha256').update(dataRoot).digest('hex').slice(0, 6)}`
}
