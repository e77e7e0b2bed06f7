/** Runs the health checks of running containers; one loop a container, from its start to its exit. */
import { formatTimeNs, parseTimeNs } from '../lib/clock.ts'
import { ExecConfig } from '../spec/container-config.ts'
import type { HealthcheckResult } from '../spec/container-types.ts'
import { errorMessage } from '../spec/errors.ts'
import type { Container } from './container.ts'
import type { Core } from './core.ts'
import type { Exec, Execs } from './exec.ts'
import { healthPlan, nextHealth, nextProbeMs, type HealthPlan } from './health-state.ts'

const longestOutput = 4096
const killPatienceMs = 10_000

/** See the file's head. */
export class HealthMonitors {
  readonly #core: Core
  readonly #execs: Execs

  constructor(core: Core, execs: Execs) {
    this.#core = core
    this.#execs = execs
  }

  /** Begins to watch a container that runs, if it has a health check. */
  start(container: Container): void {
    const plan = healthPlan(container.record.config)
    if (plan === undefined) return
    this.stop(container)
    const controller = new AbortController()
    container.health = controller
    this.#core.tasks.run('health', async (shutdown) => {
      const signal = AbortSignal.any([controller.signal, shutdown])
      try {
        await this.#loop(container, plan, signal)
      } catch (error) {
        if (!signal.aborted) throw error
      }
    })
  }

  /** Ends the watch. */
  stop(container: Container): void {
    container.health?.abort()
    container.health = undefined
  }

  async #loop(container: Container, plan: HealthPlan, signal: AbortSignal): Promise<void> {
    for (;;) {
      const { health } = container.state
      if (health === null) return
      await this.#core.timer.sleep(nextProbeMs(health, plan, this.#sinceStartMs(container)), signal)
      // A frozen process cannot answer; Docker does not ask it either.
      if (container.state.paused) continue
      const result = await this.#probe(container, plan, signal)
      if (signal.aborted) return
      // Frozen meanwhile: the result says nothing.
      if (!container.state.paused) this.#record(container, plan, result)
    }
  }

  #record(container: Container, plan: HealthPlan, result: HealthcheckResult): void {
    const before = container.state.health
    if (before === null) return
    const startMs = Number((parseTimeNs(result.Start) ?? 0n) / 1_000_000n)
    const startedMs = Number((parseTimeNs(container.state.startedAt) ?? 0n) / 1_000_000n)
    const health = nextHealth(before, result, plan, startMs - startedMs)
    if (health.Status === before.Status) {
      this.#core.registry.remember(container, { health })
      return
    }
    this.#core.recordFact(container, { health })
    this.#core.emit(container, `health_status: ${health.Status}`)
  }

  #sinceStartMs(container: Container): number {
    const startedMs = Number((parseTimeNs(container.state.startedAt) ?? 0n) / 1_000_000n)
    return this.#core.clock.nowMs() - startedMs
  }

  /** One run of the check. Failures to run it are results too. */
  async #probe(container: Container, plan: HealthPlan, signal: AbortSignal): Promise<HealthcheckResult> {
    const Start = formatTimeNs(this.#core.clock.nowNs())
    const outcome = await this.#run(container, plan, signal).catch((error: unknown) => ({
      ExitCode: -1,
      Output: errorMessage(error),
    }))
    return { Start, End: formatTimeNs(this.#core.clock.nowNs()), ...outcome }
  }

  async #run(
    container: Container,
    plan: HealthPlan,
    signal: AbortSignal,
  ): Promise<{ ExitCode: number; Output: string }> {
    const { User, WorkingDir } = container.record.config
    const exec = this.#execs.create(
      container,
      ExecConfig.parse({ Cmd: plan.command, AttachStdout: true, AttachStderr: true, User, WorkingDir }),
    )
    const options = { detach: false, tty: false, consoleSize: null }
    const attached = await this.#execs.start(exec, options, signal)
    const output = new ProbeOutput()
    attached?.stream.on('data', (chunk: Buffer) => output.add(chunk))
    const timeout = new AbortController()
    const late = this.#core.timer
      .sleep(plan.timeoutMs, AbortSignal.any([timeout.signal, signal]))
      .then(() => true)
      .catch(() => false)
    const isLate = await Promise.race([exec.ended.then(() => false), late])
    timeout.abort()
    if (isLate || signal.aborted) {
      await this.#kill(exec)
      const seconds = formatDuration(plan.timeoutMs)
      const text = output.text()
      const tail = text === '' ? '' : `: ${text}`
      return { ExitCode: -1, Output: `Health check exceeded timeout (${seconds})${tail}` }
    }
    if (attached !== undefined && !attached.stream.readableEnded) {
      await new Promise((resolve) => attached.stream.once('end', resolve).once('close', resolve))
    }
    return { ExitCode: exec.exitCode ?? -1, Output: output.text() }
  }

  /** Ends a probe that takes too long, and waits so that dying probes do not pile up. */
  async #kill(exec: Exec): Promise<void> {
    await this.#core.cleanUp('kill probe', exec.id, async () => exec.task?.kill(9))
    const patience = new AbortController()
    const enough = this.#core.timer.sleep(killPatienceMs, patience.signal).catch(() => {})
    await Promise.race([exec.ended, enough])
    patience.abort()
  }
}

/** Milliseconds as Go prints a duration: `500ms`, `30s`, `1m30s`. */
function formatDuration(ms: number): string {
  if (ms < 1000) return `${ms}ms`
  const minutes = Math.floor(ms / 60_000)
  const seconds = (ms % 60_000) / 1000
  return minutes === 0 ? `${seconds}s` : `${minutes}m${seconds}s`
}

/** Output of a probe without its frames' headers, up to a limit. */
class ProbeOutput {
  #pending = Buffer.alloc(0)
  #kept = Buffer.alloc(0)
  #truncated = false

  add(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk])
    for (;;) {
      if (this.#pending.length < 8) return
      const length = this.#pending.readUInt32BE(4)
      if (this.#pending.length < 8 + length) return
      this.#keep(this.#pending.subarray(8, 8 + length))
      this.#pending = this.#pending.subarray(8 + length)
    }
  }

  #keep(data: Buffer): void {
    const room = longestOutput - this.#kept.length
    if (data.length > room) this.#truncated = true
    if (room > 0) this.#kept = Buffer.concat([this.#kept, data.subarray(0, room)])
  }

  text(): string {
    return this.#kept.toString('utf8') + (this.#truncated ? '...' : '')
  }
}
