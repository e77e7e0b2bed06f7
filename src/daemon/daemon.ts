/**
 * The daemon as a whole. `startDaemon` builds everything in order onto one stack: directories and lock, database,
 * journal, the engine's rooms, routes, listeners. Disposing goes the same way back; containers run on.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Socket } from 'node:net'
import { ContainerArchives } from '../containers/archive.ts'
import { dieAt } from '../containers/machine.ts'
import { readKernelFacts } from '../kernel/host-info.ts'
import { peerCredentials } from '../kernel/peer-credentials.ts'
import { descriptorOf } from '../kernel/unix-sockets.ts'
import { systemClock } from '../lib/clock.ts'
import { rootOwner } from '../lib/id-mapping.ts'
import type { Log } from '../lib/log.ts'
import { Database } from '../store/database.ts'
import { daemonId, lockDataRoot, remappedDataRoot, writePidFile } from './data-root.ts'
import { defaultPaths } from './default-paths.ts'
import { EventJournal } from './events.ts'
import { hostsOf } from './hosts.ts'
import { IdleRest } from './idle-rest.ts'
import { productVersion } from './info.ts'
import { listen } from './listeners.ts'
import type { LiveSettings } from './live-settings.ts'
import type { ProxyVariables } from './registry-settings.ts'
import { remappedIds } from './remapped-root.ts'
import { Router } from './router.ts'
import { buildRoutes } from './routes.ts'
import { buildRooms, instanceOf } from './rooms.ts'
import { liveRuntimeFacts } from './runtime-facts.ts'
import { ApiServer } from './server.ts'
import { traceTo, tracedPoints } from './trace.ts'
import { tlsOptions } from './tls.ts'

/** What the surroundings gave the process. */
export type DaemonOptions = {
  live: LiveSettings
  log: Log
  /** PATH of the process. */
  searchPath: string | undefined
  /** Names of the sockets that systemd passed. */
  systemdSockets: readonly string[]
  /** Proxies of the environment, by which registries are reached. */
  proxies?: ProxyVariables
  /** Named point of an operation on a container at which a test ends the daemon. */
  dieAt?: string
  /** File for a trace of the engine's work; see trace.ts. */
  traceFile?: string
}

/** A running daemon. Disposing stops it. */
export type Daemon = AsyncDisposable & { addresses: string[]; reload(): void }

/** See the file's head. */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { live, log, searchPath, systemdSockets } = options
  const settings = live.current
  const hosts = hostsOf(settings)
  const tls = tlsOptions(settings, defaultPaths.tlsDirectory)
  const configuredRoot = settings.text('data-root', defaultPaths.dataRoot)
  const execRoot = settings.text('exec-root', defaultPaths.execRoot)

  await using stack = new AsyncDisposableStack()
  const ids = remappedIds(settings.text('userns-remap'), log.child('users'))
  const owner = rootOwner(ids)
  stack.use(lockDataRoot(configuredRoot, owner.gid))
  const dataRoot = ids === undefined ? configuredRoot : remappedDataRoot(configuredRoot, owner)
  stack.use(writePidFile(settings.text('pidfile', defaultPaths.pidFile)))
  mkdirSync(execRoot, { recursive: true, mode: 0o711 })
  const database = stack.use(new Database(join(dataRoot, 'wharf.db')))
  const events = stack.use(new EventJournal({ database, clock: systemClock, log: log.child('events') }))
  const id = daemonId(database)
  const facts = readKernelFacts()
  const state = { live, events, facts, dataRoot, execRoot, database, ids }
  const rest = stack.use(new IdleRest())
  const trace = options.traceFile === undefined ? undefined : traceTo(options.traceFile)
  const rooms = stack.use(
    await buildRooms({
      ...state,
      instance: instanceOf(settings, configuredRoot),
      log,
      clock: systemClock,
      searchPath,
      ...(options.proxies !== undefined && { proxies: options.proxies }),
      ...(trace !== undefined && { faults: tracedPoints(trace) }),
      ...(options.dieAt !== undefined && { faults: dieAt(options.dieAt) }),
    }),
  )
  const runtime = await liveRuntimeFacts(live, searchPath)
  const archives = stack.use(new ContainerArchives(ids))
  const routes = buildRoutes({ ...state, rooms, archives, hosts, runtime, id, log })
  const server = new ApiServer({
    router: new Router(routes),
    log: log.child('api'),
    product: `Wharf/${productVersion} (linux)`,
    experimental: () => live.current.flag('experimental'),
    corsOrigin: () => live.current.text('api-cors-header'),
    peer: peerOf,
    ...(trace !== undefined && { trace }),
    onRequest: () => rest.active(),
    // Whoever is about to start something connects first.
    onConnection: () => rooms.containers.prewarm(),
  })
  events.setCallerSource(() => server.caller())
  const listening = await listen({
    hosts,
    group: { name: settings.text('group', 'docker'), required: settings.has('group') },
    tls,
    systemdSockets,
    makeServer: (options) => server.listenerServer(options),
    log: log.child('api'),
  })
  stack.use(listening)
  // Before the listeners close for good, what still streams must end.
  stack.defer(() => server.closeConnections())
  rest.active()
  const owned = stack.move()
  return {
    addresses: listening.addresses,
    reload: () => live.reload(events, id),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

function peerOf(socket: Socket): { uid: number; pid: number } | undefined {
  const fd = descriptorOf(socket)
  return fd >= 0 ? peerCredentials(fd) : undefined
}
