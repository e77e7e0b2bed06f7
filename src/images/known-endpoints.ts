/**
 * What endpoints of registries have lately said of themselves, so that not every operation has to ask: which of two
 * protocols a host speaks, and what it wants of who asks. Kept for a minute; whoever finds it wrong forgets it.
 */
import type { Clock } from '../lib/clock.ts'
import type { Challenge } from './registry-challenge.ts'
import type { Endpoint } from './registry-endpoints.ts'

const keptMs = 60_000

/** See the file's head. */
export class KnownEndpoints {
  readonly #clock: Pick<Clock, 'nowMs'>
  readonly #known = new Map<string, { challenges: readonly Challenge[]; untilMs: number }>()

  constructor(clock: Pick<Clock, 'nowMs'>) {
    this.#clock = clock
  }

  /** An endpoint has answered. */
  note(endpoint: Endpoint, challenges: readonly Challenge[]): void {
    this.#known.set(keyOf(endpoint), { challenges, untilMs: this.#clock.nowMs() + keptMs })
  }

  /** What the endpoint wanted; undefined when it has to be asked. */
  challengesOf(endpoint: Endpoint): readonly Challenge[] | undefined {
    const known = this.#known.get(keyOf(endpoint))
    return known !== undefined && known.untilMs > this.#clock.nowMs() ? known.challenges : undefined
  }

  /** It answers no longer, or otherwise. */
  forget(endpoint: Endpoint): void {
    this.#known.delete(keyOf(endpoint))
  }

  /** The endpoints in the order to try them: of one host's two protocols first the one that it has spoken lately. */
  ordered(endpoints: readonly Endpoint[]): Endpoint[] {
    const order = [...endpoints]
    for (const [index, first] of order.entries()) {
      const second = order[index + 1]
      if (second?.base.host !== first.base.host || second.isMirror !== first.isMirror) continue
      const isSecondKnown = this.challengesOf(second) !== undefined && this.challengesOf(first) === undefined
      if (isSecondKnown) order.splice(index, 2, second, first)
    }
    return order
  }

  clear(): void {
    this.#known.clear()
  }
}

function keyOf({ base, verify }: Endpoint): string {
  return `${base.origin} ${String(verify)}`
}
