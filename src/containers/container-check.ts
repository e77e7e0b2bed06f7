/**
 * Checks containers: rows against files, tasks, sandboxes and mounts. Whatever looks wrong is looked at again with the
 * container's lock held, so that an operation under way is never taken for a fault.
 */
import { unmount } from '../kernel/mount.ts'
import { mountPointsBelow } from '../kernel/mount-table.ts'
import { pathExists } from '../lib/path-exists.ts'
import type { StoreProblem } from '../lib/store-problem.ts'
import { containerId, type ContainerId } from '../spec/ids.ts'
import { containerDirectories, containerOfMount } from './boot.ts'
import type { Container } from './container.ts'
import type { Core } from './core.ts'
import { removeLeavings } from './remove.ts'

/** See the file's head. `roots`: directories below which mounts are the engine's. */
export async function* checkContainers(core: Core, roots: readonly string[]): AsyncGenerator<StoreProblem> {
  const parked = new Set(core.registry.parkedIds())
  for (const id of core.registry.rowIds()) {
    if (core.registry.byId(id) !== undefined || parked.has(id)) continue
    yield {
      kind: 'damaged',
      object: id,
      detail: 'the row of this container cannot be read',
      advice: 'it may be of a newer release; the log says what is wrong with it',
    }
  }
  for (const container of core.registry.all()) yield* checkContainer(core, container)
  yield* checkLeavings(core)
  yield* checkMounts(core, roots)
}

async function* checkContainer(core: Core, container: Container): AsyncGenerator<StoreProblem> {
  const { id } = container
  const problems: StoreProblem[] = []
  {
    using _lock = await core.locks.acquire(id)
    if (core.registry.byId(id) !== container || container.removalInProgress) return
    const directory = core.directoryOf(id)
    if (!(await pathExists(directory))) {
      problems.push({
        kind: 'missing',
        object: id,
        detail: 'its directory is not there: its log and /etc files are lost',
        repair: async () => core.host.makeDirectory(directory),
      })
    }
    if (!(await core.ports.rootfs.list()).includes(id)) {
      problems.push({
        kind: 'missing',
        object: id,
        detail: 'its writable layer is not there: what it wrote is lost',
        advice: 'remove the container',
      })
    }
    const { state, rootfs } = container.record
    const isMounted = rootfs === '' || (await mountPointsBelow([rootfs])).includes(rootfs)
    if (state.running && !state.restarting && !isMounted) {
      problems.push({
        kind: 'missing',
        object: rootfs,
        detail: `the root of the running container ${container.record.name} is not mounted here`,
        advice: 'it runs on; restart it to copy, export or commit its files',
      })
    }
  }
  yield* problems
}

/** What is there for ids that no row has. */
async function* checkLeavings(core: Core): AsyncGenerator<StoreProblem> {
  const known = (id: string) => core.registry.isKnown(id) || core.registry.rowIds().has(id)
  const ids = new Set(Object.values(await findAll(core)).flat())
  for (const text of ids) {
    if (known(text)) continue
    const id = containerId(text)
    const left = await stillLeft(core, id)
    if (left.length === 0 || known(id)) continue
    yield {
      kind: 'unowned',
      object: id,
      detail: `no container has this id, yet there is its ${left.join(', ')}`,
      repair: async () => {
        using _lock = await core.locks.acquire(id)
        if (known(id)) return
        await removeLeavings(core, id, { task: left.includes('task'), sandbox: left.includes('sandbox') })
      },
    }
  }
}

type Kind = 'directory' | 'writable layer' | 'task' | 'sandbox'

async function findAll(core: Core): Promise<Record<Kind, ContainerId[]>> {
  const { rootfs, runtime, networking } = core.ports
  const [directories, layers, tasks, sandboxes] = await Promise.all([
    containerDirectories(core.settings().root),
    rootfs.list(),
    runtime.list(),
    networking.list(),
  ])
  return {
    directory: directories.map(containerId),
    'writable layer': layers,
    task: tasks,
    sandbox: sandboxes,
  }
}

async function stillLeft(core: Core, id: ContainerId): Promise<string[]> {
  using _lock = await core.locks.acquire(id)
  return Object.entries(await findAll(core)).flatMap(([kind, ids]) => (ids.includes(id) ? [kind] : []))
}

/** Mounts that carry the id of a container which does not run. */
async function* checkMounts(core: Core, roots: readonly string[]): AsyncGenerator<StoreProblem> {
  for (const path of (await mountPointsBelow(roots)).toReversed()) {
    const id = containerOfMount(path)
    if (id === undefined || isInUse(core, id)) continue
    if (!(await isLeft(core, id, path))) continue
    yield {
      kind: 'unowned',
      object: path,
      detail: 'mounted for a container that does not run',
      repair: async () => {
        if (await isLeft(core, id, path)) unmount(path, { detached: true })
      },
    }
  }
}

/** Whether a mount is there that its container does not need, once nothing is being done to the container. */
async function isLeft(core: Core, id: string, path: string): Promise<boolean> {
  using _lock = await core.locks.acquire(id)
  return !isInUse(core, id) && (await mountPointsBelow([path])).includes(path)
}

/** Whether a container runs, is being made, or has its files read: then its mounts are needed. */
function isInUse(core: Core, id: string): boolean {
  const container = core.registry.byId(id)
  if (container === undefined) return core.registry.isKnown(id)
  return container.state.running || container.state.starting || container.rootfsUsers > 0
}
