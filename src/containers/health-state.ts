/** How results of a health check become a state: pure, see health.ts for the monitor. */
import type { ContainerConfig, HealthConfig } from '../spec/container-config.ts'
import type { Health, HealthcheckResult } from '../spec/container-types.ts'

const keptResults = 5
const secondNs = 1_000_000_000
const defaults = {
  intervalNs: 30 * secondNs,
  timeoutNs: 30 * secondNs,
  startIntervalNs: 5 * secondNs,
  retries: 3,
}

/** A health check with its defaults. */
export type HealthPlan = {
  command: string[]
  intervalMs: number
  timeoutMs: number
  startPeriodMs: number
  startIntervalMs: number
  retries: number
}

/** What to run and when; undefined without a health check (none, `NONE`, or of an unknown kind). */
export function healthPlan(config: ContainerConfig): HealthPlan | undefined {
  const check = config.Healthcheck
  const command = check === null ? undefined : probeCommand(check, config.Shell)
  if (check === null || command === undefined) return undefined
  const ms = (valueNs: number, defaultNs: number) => (valueNs === 0 ? defaultNs : valueNs) / 1e6
  return {
    command,
    intervalMs: ms(check.Interval, defaults.intervalNs),
    timeoutMs: ms(check.Timeout, defaults.timeoutNs),
    startPeriodMs: check.StartPeriod / 1e6,
    startIntervalMs: ms(check.StartInterval, defaults.startIntervalNs),
    retries: check.Retries <= 0 ? defaults.retries : check.Retries,
  }
}

function probeCommand(check: HealthConfig, shell: string[] | null): string[] | undefined {
  const [kind, ...rest] = check.Test ?? []
  if (rest.length === 0) return undefined
  if (kind === 'CMD') return rest
  if (kind !== 'CMD-SHELL') return undefined
  return [...(shell === null || shell.length === 0 ? ['/bin/sh', '-c'] : shell), ...rest]
}

/** Health at a start: `starting`, or null without a check. The results of earlier runs stay to be read. */
export function initialHealth(config: ContainerConfig, before: Health | null): Health | null {
  if (healthPlan(config) === undefined) return null
  return { Status: 'starting', FailingStreak: 0, Log: before?.Log ?? [] }
}

/** Health once nobody looks any more (stopped, paused): what is not seen to be well counts as unhealthy, as in Docker. */
export function unwatchedHealth(health: Health | null): Health | null {
  return health === null ? null : { ...health, Status: 'unhealthy' }
}

/** Health after one more result. Failures within the start period of a container never yet healthy do not count. */
export function nextHealth(
  health: Health,
  result: HealthcheckResult,
  plan: HealthPlan,
  sinceStartMs: number,
): Health {
  const Log = [...(health.Log ?? []), result].slice(-keptResults)
  if (result.ExitCode === 0) return { Status: 'healthy', FailingStreak: 0, Log }
  if (health.Status === 'starting' && sinceStartMs < plan.startPeriodMs) return { ...health, Log }
  const FailingStreak = health.FailingStreak + 1
  return { Status: FailingStreak >= plan.retries ? 'unhealthy' : health.Status, FailingStreak, Log }
}

/** Time until the next probe. Within the start period probes are closer, and one falls on its end. */
export function nextProbeMs(health: Health, plan: HealthPlan, sinceStartMs: number): number {
  const remaining = plan.startPeriodMs - sinceStartMs
  if (remaining <= 0 || health.Status !== 'starting') return plan.intervalMs
  return Math.min(plan.startIntervalMs, remaining)
}
