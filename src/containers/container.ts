/** One container in the daemon's memory: its record, and what lives only as long as the daemon. */
import type { ContainerId } from '../spec/ids.ts'
import type { AttachStream } from './attach-stream.ts'
import type { Exec } from './exec.ts'
import type { ContainerTask } from './ports.ts'
import type { ContainerRecord, ContainerStateRecord } from './record.ts'
import type { RestartBackOff } from './restart-policy.ts'
import { Waiters } from './waiters.ts'

/** See the file's head. Only the registry replaces `record`. */
export class Container {
  readonly id: ContainerId
  record: ContainerRecord
  /** The running task; undefined while it does not run. */
  task: ContainerTask | undefined
  /** Clients that attached before the start; the next start binds them. */
  readonly pendingAttaches = new Set<AttachStream>()
  readonly waiters = new Waiters()
  readonly execs = new Map<string, Exec>()
  /** Ends the health monitor. */
  health: AbortController | undefined
  /** Cancels a waiting restart. */
  pendingRestart: AbortController | undefined
  backOff: RestartBackOff | undefined
  /** A client stopped or killed it: its policy must not start it again. */
  stopRequested = false
  /** A manual restart stops it: neither the restart policy nor auto-remove may act on that exit. */
  restartingManually = false
  /** Set while a removal runs, so that a second one is refused. */
  removalInProgress = false
  /** How many readers hold the root file system of a stopped container mounted. */
  rootfsUsers = 0

  constructor(record: ContainerRecord) {
    this.id = record.id
    this.record = record
  }

  /** The record's state. */
  get state(): ContainerStateRecord {
    return this.record.state
  }

  /** First twelve digits of the id. */
  get shortId(): string {
    return this.id.slice(0, 12)
  }
}
