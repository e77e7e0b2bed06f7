/** The engine's rooms, built in the order in which they stand on each other. */
import type { ContainerEngine } from '../containers/contract.ts'
import type { KernelFacts } from '../kernel/host-info.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Database } from '../store/database.ts'
import type { EventJournal } from './events.ts'
import type { LiveSettings } from './live-settings.ts'
import type { LogReading } from './routes/container-streams.ts'

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
  searchPath: string | undefined
}

/** What the routes are given. */
export type Rooms = AsyncDisposable & {
  engine?: ContainerEngine
  logs?: LogReading
  /** Brings state and kernel together after a start. */
  recover(): Promise<void>
}

/** See the file's head. */
export async function buildRooms(_parts: RoomsParts): Promise<Rooms> {
  await using stack = new AsyncDisposableStack()
  const owned = stack.move()
  return {
    recover: async () => {},
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
