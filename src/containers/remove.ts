/**
 * Removal: intent, volumes, row, files. The intent is recorded where there are volumes, so that the next daemon
 * finishes what this one began; once the row is gone, what is left is swept by whoever comes.
 */
import { EngineError, errorMessage } from '../spec/errors.ts'
import type { Container } from './container.ts'
import type { Core } from './core.ts'
import type { Execs } from './exec.ts'
import { statusOf } from './record.ts'
import { unknownSandbox } from './sandbox-request.ts'
import { killAndWait } from './stop.ts'

/** Options of a removal. `reference` is how the client named it, for the texts. */
export type RemoveOptions = { force: boolean; volumes: boolean; reference: string }

/** Kills (with force) and removes. Throws conflict for a running container or a second removal. */
export async function removeContainer(
  core: Core,
  execs: Execs,
  container: Container,
  options: RemoveOptions,
): Promise<void> {
  if (container.removalInProgress) {
    throw new EngineError('conflict', `removal of container ${options.reference} is already in progress`)
  }
  container.removalInProgress = true
  try {
    if (container.state.running) await endForRemoval(core, container, options)
    using _lock = await core.locks.acquire(container.id)
    if (core.registry.byId(container.id) !== container) return
    if (container.state.running) throw runningError(container)
    await destroy(core, execs, container, options)
  } finally {
    container.removalInProgress = false
  }
}

async function endForRemoval(core: Core, container: Container, options: RemoveOptions): Promise<void> {
  if (!options.force) throw runningError(container)
  try {
    await killAndWait(core, container)
  } catch (error) {
    // It ended by itself meanwhile.
    if (!container.state.running) return
    throw new EngineError(
      'internal',
      `cannot remove container "/${container.record.name}": could not kill: ${errorMessage(error)}`,
      { cause: error },
    )
  }
}

function runningError(container: Container): EngineError {
  const status = statusOf(container.state)
  const reason =
    status === 'paused'
      ? 'container is paused and must be unpaused first'
      : `container is ${status}: stop the container before removing or force remove`
  return new EngineError('conflict', `cannot remove container "/${container.record.name}": ${reason}`)
}

/**
 * Removes a container that does not run. The caller holds its lock. With `release`, what it held while it ran is
 * released only once the client has its answer.
 */
export async function destroy(
  core: Core,
  execs: Execs,
  container: Container,
  options: { volumes: boolean; release?: () => Promise<void> },
): Promise<void> {
  const { id, record } = container
  if (record.mounts.length > 0) {
    core.registry.saveState(container, { removing: { volumes: options.volumes } })
    await core.faults.reach('rm:after-intent')
    try {
      await core.ports.mounts.release(id, record.mounts, options.volumes)
    } catch (error) {
      const message = errorMessage(error)
      core.recordFact(container, { removing: null, dead: true, error: message })
      container.waiters.removed({ exitCode: record.state.exitCode, error: message })
      throw error
    }
  }
  await core.faults.reach('rm:before-row')
  core.registry.delete(id)
  dropLinksTo(core, container)
  for (const stream of container.pendingAttaches) stream.abandon()
  container.pendingAttaches.clear()
  execs.forget(container)
  core.emit(container, 'destroy')
  // moby container/state.go, SetRemoved: a removal that worked has no error, whatever the container's end was.
  container.waiters.removed({ exitCode: record.state.exitCode, error: '' })
  await core.faults.reach('rm:after-row')
  await options.release?.()
  await removeFiles(core, id)
}

/** Removes what a container without a row may have left. Failures are logged; the next start tries again. */
async function removeFiles(core: Core, id: Container['id']): Promise<void> {
  await Promise.all([
    core.cleanUp('remove rootfs', id, () => core.ports.rootfs.remove(id)),
    core.cleanUp('remove directory', id, () => core.host.removeDirectory(core.directoryOf(id))),
  ])
}

/** Removes all that a container without a row may have left: what runs, its network, its mounts and its files. */
export async function removeLeavings(
  core: Core,
  id: Container['id'],
  found: { task: boolean; sandbox: boolean },
): Promise<void> {
  if (found.task) await core.cleanUp('sweep task', id, () => core.ports.runtime.remove(id))
  if (found.sandbox) {
    await core.cleanUp('sweep network', id, () => core.ports.networking.remove(id, unknownSandbox))
  }
  await core.cleanUp('sweep shm', id, () => core.host.unmountShm(`${core.directoryOf(id)}/shm`))
  await core.cleanUp('sweep mount', id, () => core.ports.rootfs.unmount(id))
  await removeFiles(core, id)
}

function dropLinksTo(core: Core, removed: Container): void {
  for (const container of core.registry.all()) {
    const links = container.record.links.filter(({ id }) => id !== removed.id)
    if (links.length < container.record.links.length) core.registry.save(container, { links })
  }
}

/** `rm --link parent/alias`: takes the link away, not the container. */
export function removeLink(core: Core, reference: string): void {
  const [parentName = '', alias = ''] = reference.replace(/^\//, '').split('/')
  if (alias === '') {
    throw new EngineError('internal', 'Conflict, cannot remove the default link name of the container')
  }
  const parent = core.registry.find(parentName)
  if (parent === undefined) {
    throw new EngineError(
      'internal',
      `Cannot get parent /${parentName} for link name /${parentName}/${alias}`,
    )
  }
  const links = parent.record.links.filter((link) => link.alias !== alias)
  core.registry.save(parent, { links })
}
