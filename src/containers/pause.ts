/** Freezing and thawing. */
import { EngineError, errorMessage } from '../spec/errors.ts'
import type { Container } from './container.ts'
import type { Core } from './core.ts'
import { unwatchedHealth } from './health-state.ts'
import type { ContainerTask } from './ports.ts'
import { notRunning, requireNotRestarting } from './stop.ts'

/** `POST /containers/x/pause`. */
export async function freeze(core: Core, container: Container): Promise<void> {
  using _lock = await core.locks.acquire(container.id)
  const task = runningTask(container)
  if (container.state.paused) {
    throw new EngineError('conflict', `container ${container.id} is already paused`)
  }
  await worded(`cannot pause container ${container.id}`, () => task.pause())
  core.recordFact(container, { paused: true, health: unwatchedHealth(container.state.health) })
  core.emit(container, 'pause')
}

/** `POST /containers/x/unpause`. */
export async function thaw(core: Core, container: Container): Promise<void> {
  using _lock = await core.locks.acquire(container.id)
  const task = runningTask(container)
  if (!container.state.paused) {
    throw new EngineError('internal', `Container ${container.id} is not paused`)
  }
  await worded(`Cannot unpause container ${container.id}`, () => task.resume())
  core.recordFact(container, { paused: false })
  core.emit(container, 'unpause')
}

function runningTask(container: Container): ContainerTask {
  if (!container.state.running) throw notRunning(container)
  requireNotRestarting(container)
  if (container.task === undefined) throw notRunning(container)
  return container.task
}

async function worded(prefix: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    const kind = error instanceof EngineError ? error.kind : 'internal'
    throw new EngineError(kind, `${prefix}: ${errorMessage(error)}`, { cause: error })
  }
}
