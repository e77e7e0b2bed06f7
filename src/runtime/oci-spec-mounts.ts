/** Mounts of a container: those every container has, overridden by and followed by what the user asked for. */
import type { OciMount } from '../spec/oci-runtime-types.ts'
import type { ContainerTaskStart } from '../spec/task-types.ts'
import { tmpfsOptions } from '../kernel/mount-options.ts'

const safe = ['nosuid', 'noexec', 'nodev']

/** All mounts, in the order they are to be made. */
export function ociMounts(start: ContainerTaskStart, initPath: string | undefined): OciMount[] {
  const user = userMounts(start).sort(byDepth)
  const taken = new Set(user.map((mount) => mount.destination))
  const mounts = defaultMounts(start).filter(
    (mount) => !taken.has(mount.destination) && !(taken.has('/dev') && mount.destination.startsWith('/dev/')),
  )
  if (start.hostConfig.ReadonlyRootfs) makeReadonly(mounts)
  if (initPath !== undefined) {
    mounts.push({ destination: initDestination, type: 'bind', source: initPath, options: ['bind', 'ro'] })
  }
  return [...mounts, ...user]
}

/** Where `--init` puts its program. */
export const initDestination = '/sbin/docker-init'

function defaultMounts({ hostConfig, namespaces }: ContainerTaskStart): OciMount[] {
  const writable = hostConfig.Privileged
  const readonly = writable ? [] : ['ro']
  const mounts: OciMount[] = [
    { destination: '/proc', type: 'proc', source: 'proc', options: safe },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...safe, ...readonly] },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: [...safe, ...readonly] },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: safe },
  ]
  const ownShm = namespaces.ipc.kind === 'new'
  if (hostConfig.IpcMode !== 'none' && ownShm) {
    const options = [...safe, 'mode=1777', `size=${hostConfig.ShmSize}`]
    mounts.push({ destination: '/dev/shm', type: 'tmpfs', source: 'shm', options })
  }
  return mounts
}

/** What the user named, and the files and directories that the engine lays over the root. */
function userMounts(start: ContainerTaskStart): OciMount[] {
  const { hostConfig, etcFiles } = start
  const mounts: OciMount[] = start.mounts.map(({ destination, type, source, options }) => ({
    destination,
    type,
    source,
    options,
  }))
  for (const [destination, options] of Object.entries(hostConfig.Tmpfs ?? {})) {
    mounts.push({ destination, type: 'tmpfs', source: 'tmpfs', options: tmpfsOptions(options) })
  }
  const taken = new Set(mounts.map((mount) => mount.destination))
  const bind = (destination: string, source: string | undefined) => {
    if (source === undefined || taken.has(destination)) return
    const options = ['rbind', 'rprivate', ...(hostConfig.ReadonlyRootfs ? ['ro'] : [])]
    mounts.push({ destination, type: 'bind', source, options })
  }
  bind('/etc/resolv.conf', etcFiles.resolvConf)
  bind('/etc/hostname', etcFiles.hostname)
  bind('/etc/hosts', etcFiles.hosts)
  const shm = sharedMemory(start)
  if (shm !== undefined && !taken.has('/dev/shm')) {
    mounts.push({ destination: '/dev/shm', type: 'bind', source: shm, options: ['rbind', 'rprivate'] })
  }
  return mounts
}

function sharedMemory({ hostConfig, shmPath, namespaces }: ContainerTaskStart): string | undefined {
  if (hostConfig.IpcMode === 'none') return undefined
  return shmPath ?? (namespaces.ipc.kind === 'host' ? '/dev/shm' : undefined)
}

/** `--read-only` covers the default mounts too, except those that a process cannot do without. */
function makeReadonly(mounts: OciMount[]): void {
  const spared = new Set(['/proc', '/dev', '/dev/pts', '/dev/shm', '/dev/mqueue'])
  for (const mount of mounts) {
    if (!spared.has(mount.destination) && !mount.options.includes('ro'))
      mount.options = [...mount.options, 'ro']
  }
}

/** Parents before what lies in them, otherwise as given. */
function byDepth(left: OciMount, right: OciMount): number {
  return depth(left.destination) - depth(right.destination)
}

function depth(path: string): number {
  return path.split('/').filter((part) => part !== '').length
}
