/** A container's files for cp, export and stat: whether it runs or not. */
import type { ResolvedMount } from '../spec/task-types.ts'
import type { Container } from './container.ts'
import type { ContainerRoot } from './contract.ts'
import type { Core } from './core.ts'

/** Calls `use` with the root; of a container that does not run, root and volumes are mounted for that time. */
export async function withRootfs<T>(
  core: Core,
  container: Container,
  use: (root: ContainerRoot) => Promise<T>,
): Promise<T> {
  const mounted = await hold(core, container)
  try {
    return await use(describe(container, mounted))
  } finally {
    await letGo(core, container)
  }
}

type Mounted = { rootfs: string; mounts: ResolvedMount[] }

/** The lock is held only to mount: a start may come while files are read, and mounts the same again. */
async function hold(core: Core, container: Container): Promise<Mounted> {
  using _lock = await core.locks.acquire(container.id)
  const { id, record } = container
  if (record.state.running && record.rootfs !== '') {
    container.rootfsUsers += 1
    return { rootfs: record.rootfs, mounts: record.activeMounts }
  }
  const rootfs = await core.ports.rootfs.mount(id, { volatile: false })
  try {
    const mounts = await core.ports.mounts.activate(id, record.mounts, rootfs)
    container.rootfsUsers += 1
    return { rootfs, mounts }
  } catch (error) {
    if (container.rootfsUsers === 0) await core.cleanUp('unmount', id, () => core.ports.rootfs.unmount(id))
    throw error
  }
}

async function letGo(core: Core, container: Container): Promise<void> {
  using _lock = await core.locks.acquire(container.id)
  container.rootfsUsers -= 1
  const { id, record } = container
  if (container.rootfsUsers > 0 || record.state.running) return
  await core.cleanUp('deactivate mounts', id, () => core.ports.mounts.deactivate(id, record.mounts))
  await core.cleanUp('unmount', id, () => core.ports.rootfs.unmount(id))
}

function describe(container: Container, { rootfs, mounts }: Mounted): ContainerRoot {
  return {
    directory: rootfs,
    // A tmpfs has no place on the host to reach it by.
    mounts: mounts
      .filter(({ type, source }) => type === 'bind' && source.startsWith('/'))
      .map(({ destination, source, point }) => ({ destination, source, writable: point.RW })),
    writable: !container.record.hostConfig.ReadonlyRootfs,
  }
}
