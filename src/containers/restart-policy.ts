/** Docker's restart policies: whether an exited container runs again, and after how long. */
import type { RestartPolicy } from '../spec/container-config.ts'

const firstDelayMs = 100
const longestDelayMs = 60_000
const resetAfterMs = 10_000

/** What a policy is asked about. */
export type RestartQuestion = {
  policy: RestartPolicy
  exitCode: number
  manuallyStopped: boolean
  restartCount: number
}

/** Whether the policy wants the container to run again. `on-failure:0` never gives up. */
export function wantsRestart({ policy, exitCode, manuallyStopped, restartCount }: RestartQuestion): boolean {
  switch (policy.Name) {
    case 'always':
      return true
    case 'unless-stopped':
      return !manuallyStopped
    case 'on-failure':
      if (exitCode === 0) return false
      return policy.MaximumRetryCount === 0 || restartCount < policy.MaximumRetryCount
    default:
      return false
  }
}

/** Whether a policy ever restarts anything. */
export function isNoPolicy(policy: RestartPolicy): boolean {
  return policy.Name === '' || policy.Name === 'no'
}

/** Delays of one container's restarts: doubling, and from the start again once it has run for ten seconds. */
export class RestartBackOff {
  #delayMs = 0

  /** How long to wait before the next start, after a run of `ranMs`. */
  nextDelayMs(ranMs: number): number {
    if (ranMs >= resetAfterMs) this.#delayMs = 0
    this.#delayMs = this.#delayMs === 0 ? firstDelayMs : Math.min(this.#delayMs * 2, longestDelayMs)
    return this.#delayMs
  }
}
