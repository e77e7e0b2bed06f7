/** The `STATUS` column: Docker's words, with durations as its clients print them. */
import { parseTimeNs, zeroTime } from '../lib/clock.ts'
import type { ContainerStateRecord } from './record.ts'

/** `About a minute`, `5 minutes`, `2 months` ... (the rounding of docker/go-units HumanDuration). */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  if (seconds < 1) return 'Less than a second'
  if (seconds === 1) return '1 second'
  if (seconds < 60) return `${seconds} seconds`
  const minutes = Math.floor(ms / 60_000)
  if (minutes === 1) return 'About a minute'
  if (minutes < 60) return `${minutes} minutes`
  const hours = Math.round(ms / 3_600_000)
  if (hours === 1) return 'About an hour'
  if (hours < 48) return `${hours} hours`
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`
  return `${Math.floor(Math.floor(ms / 3_600_000) / 24 / 365)} years`
}

/** `Up 5 minutes (healthy)`, `Exited (0) 2 hours ago` ... */
export function statusText(state: ContainerStateRecord, nowMs: number): string {
  const since = (time: string) => humanDuration(nowMs - Number((parseTimeNs(time) ?? 0n) / 1_000_000n))
  if (state.running) {
    if (state.paused) return `Up ${since(state.startedAt)} (Paused)`
    if (state.restarting) return `Restarting (${state.exitCode}) ${since(state.finishedAt)} ago`
    return `Up ${since(state.startedAt)}${healthText(state)}`
  }
  if (state.removing !== null) return 'Removal In Progress'
  if (state.dead) return 'Dead'
  if (state.startedAt === zeroTime) return 'Created'
  if (state.finishedAt === zeroTime) return ''
  return `Exited (${state.exitCode}) ${since(state.finishedAt)} ago`
}

function healthText({ health }: ContainerStateRecord): string {
  if (health === null || health.Status === 'none') return ''
  return health.Status === 'starting' ? ' (health: starting)' : ` (${health.Status})`
}
