/**
 * Reaping of children that nobody started here: as the subreaper, the daemon inherits what a killed keeper leaves. A
 * dead process that nobody reaps would keep the first process of its pid namespace, and so its container, from ending.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { errorCode } from '../spec/errors.ts'
import { hasDeadChild, processState, reap } from './process.ts'

/** Whoever waits for a child of its own looks far more often than this. */
const sweepIntervalMs = 2000

/** Reaps, in the background, each child that was found dead in two sweeps. Disposing it stops that. */
export class StrayReaper implements Disposable {
  readonly #timer: NodeJS.Timeout
  #seen = new Set<string>()

  constructor(intervalMs = sweepIntervalMs) {
    this.#timer = setInterval(() => this.#sweep(), intervalMs)
    this.#timer.unref()
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  #sweep(): void {
    const dead = new Set<string>()
    // One call in most sweeps, however many children run.
    if (hasDeadChild()) this.#look(dead)
    this.#seen = dead
  }

  #look(dead: Set<string>): void {
    for (const pid of ownChildren()) {
      const stat = processState(pid)
      if (stat?.state !== 'Z') continue
      const identity = `${pid} ${stat.startTime}`
      if (this.#seen.has(identity)) reap(pid)
      else dead.add(identity)
    }
  }
}

/** Every thread has children of its own; orphans are given to whichever thread the kernel likes. */
function ownChildren(): number[] {
  try {
    return readdirSync('/proc/self/task').flatMap((thread) =>
      readFileSync(`/proc/self/task/${thread}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
    )
  } catch (error) {
    // The kernel lists no children (CONFIG_PROC_CHILDREN), or a thread has just ended: the next sweep comes.
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}
