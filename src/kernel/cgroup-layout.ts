/** Where this machine has its cgroup controllers: version 1 mounts, version 2, or both at once (hybrid). */
import { mkdirSync, readdirSync, readFileSync, rmdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { errorCode } from '../spec/errors.ts'
import { mount } from './mount.ts'
import { unescapeMountPath } from './mount-table.ts'

/** See `detectCgroups`. */
export type CgroupLayout = {
  /** `hybrid`: controllers on version 1 with an (empty) version 2 tree beside them. */
  mode: 'v1' | 'hybrid' | 'v2'
  /** Version 1 controllers and where they are mounted; `name=x` for named hierarchies. */
  controllers: ReadonlyMap<string, string>
  /** Mount point of the version 2 tree. */
  unified?: string
  /** Controllers that the version 2 tree offers. */
  unifiedControllers: ReadonlySet<string>
  /** All hierarchies, each once. */
  mounts: readonly string[]
}

/** Reads a file of the tree; throws when there is none. */
export type ReadText = (path: string) => string

const readText: ReadText = (path) => readFileSync(path, 'utf8')

/** Finds the controllers from a mountinfo text (proc(5)). */
export function parseCgroupLayout(mountinfo: string, read: ReadText): CgroupLayout {
  const controllers = new Map<string, string>()
  const mounts: string[] = []
  let unified: string | undefined
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ')
    const [type, , options = ''] = after.split(' ')
    const [, , , root = '', escaped = ''] = before.split(' ')
    if (type !== 'cgroup' && type !== 'cgroup2') continue
    const directory = unescapeMountPath(escaped)
    if (type === 'cgroup2') {
      // Other mounts of the same tree (in some sandbox) are no place to work in.
      if (unified === undefined && root === '/') {
        unified = directory
        mounts.push(directory)
      }
      continue
    }
    const found = options
      .split(',')
      .filter((option) => knownControllers.has(option) || option.startsWith('name='))
    const fresh = found.filter((name) => !controllers.has(name))
    for (const name of fresh) controllers.set(name, directory)
    if (fresh.length > 0) mounts.push(directory)
  }
  const withControllers = [...controllers.keys()].some((name) => !name.startsWith('name='))
  const layout = { controllers, mounts, unifiedControllers: readControllers(unified, read) }
  if (!withControllers && unified !== undefined) return { ...layout, mode: 'v2', unified }
  return unified === undefined ? { ...layout, mode: 'v1' } : { ...layout, mode: 'hybrid', unified }
}

const knownControllers = new Set([
  'blkio',
  'cpu',
  'cpuacct',
  'cpuset',
  'devices',
  'freezer',
  'hugetlb',
  'memory',
  'misc',
  'net_cls',
  'net_prio',
  'perf_event',
  'pids',
  'rdma',
])

/** The layout of this machine, as it is now. */
export function detectCgroups(): CgroupLayout {
  return parseCgroupLayout(readText('/proc/self/mountinfo'), readText)
}

/**
 * Makes the layout one that OCI runtimes take. crun 1.8 refuses a hybrid machine while any controller sits on
 * version 2, even one that nobody uses (hugetlb, say), so such controllers are mounted as version 1 beside the
 * others. Idempotent; answers the layout after it.
 */
export function prepareCgroups(): CgroupLayout {
  const layout = detectCgroups()
  const sibling = layout.controllers.get('memory') ?? layout.controllers.get('cpu')
  if (layout.mode !== 'hybrid' || layout.unifiedControllers.size === 0 || sibling === undefined) return layout
  for (const controller of layout.unifiedControllers) {
    const target = join(sibling, '..', controller)
    const made = makeDirectory(target)
    try {
      mount({ source: 'cgroup', target, type: 'cgroup', data: controller, flags: 2 | 4 | 8 })
    } catch (error) {
      if (made) rmdirSync(target)
      // EBUSY: somebody uses it on version 2, or mounted it just now; both are theirs to decide.
      if (errorCode(error) !== 'EBUSY' && errorCode(error) !== 'EINVAL') throw error
    }
  }
  linkJoinedControllers(sibling)
  return detectCgroups()
}

/** `cpu` -> `cpu,cpuacct`: tools look for controllers by their own name. */
function linkJoinedControllers(sibling: string): void {
  const top = join(sibling, '..')
  const names = new Set(readdirSync(top))
  for (const name of names) {
    const parts = name.split(',')
    if (parts.length < 2) continue
    for (const part of parts) if (!names.has(part)) ignoreExisting(() => symlinkSync(name, join(top, part)))
  }
}

function makeDirectory(path: string): boolean {
  return ignoreExisting(() => mkdirSync(path))
}

/** Whether the action took place; false when the thing was there. */
function ignoreExisting(action: () => void): boolean {
  try {
    action()
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    throw error
  }
}

function readControllers(unified: string | undefined, read: ReadText): Set<string> {
  if (unified === undefined) return new Set()
  const text = read(join(unified, 'cgroup.controllers')).trim()
  return new Set(text === '' ? [] : text.split(' '))
}

/** Directories of one cgroup: in the version 2 tree, and for each version 1 controller. */
export function controllerDirectory(
  layout: CgroupLayout,
  controller: string,
  path: string,
): string | undefined {
  const top = layout.mode === 'v2' ? layout.unified : layout.controllers.get(controller)
  return top === undefined ? undefined : join(top, path)
}
