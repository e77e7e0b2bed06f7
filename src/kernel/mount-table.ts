/** What is mounted where, as this process sees it (/proc/self/mountinfo, proc_pid_mountinfo(5)). */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'

/** A line of the table. */
export type MountEntry = {
  mountPoint: string
  isShared: boolean
  isSlave: boolean
  /** Of the mount itself (`ro`, `nosuid`), not of its file system. */
  options: readonly string[]
}

/** All mounts, in the order of the kernel. */
export function mountTable(text = readFileSync('/proc/self/mountinfo', 'utf8')): MountEntry[] {
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [fields = ''] = line.split(' - ')
      const [, , , , mountPoint = '', options = '', ...tags] = fields.split(' ')
      const has = (tag: string) => tags.some((each) => each.startsWith(`${tag}:`))
      return {
        mountPoint: unescapeMountPath(mountPoint),
        isShared: has('shared'),
        isSlave: has('master'),
        options: options.split(','),
      }
    })
}

/** Mount points at or below any of the directories, in order of mounting. */
export async function mountPointsBelow(directories: readonly string[]): Promise<string[]> {
  return mountTable(await readFile('/proc/self/mountinfo', 'utf8'))
    .map(({ mountPoint }) => mountPoint)
    .filter((path) =>
      directories.some((top) => path === top || path.startsWith(top === '/' ? top : `${top}/`)),
    )
}

/** The mount that a path is on: the one with the longest name above it, of those of one name the last. */
export function mountHolding(path: string, table = mountTable()): MountEntry {
  let best: MountEntry = { mountPoint: '/', isShared: false, isSlave: false, options: [] }
  for (const entry of table) {
    const { mountPoint } = entry
    const isAbove =
      path === mountPoint || path.startsWith(mountPoint.endsWith('/') ? mountPoint : `${mountPoint}/`)
    if (isAbove && mountPoint.length >= best.mountPoint.length) best = entry
  }
  return best
}

/** A path of the mount table as it is: blanks and the like stand there as octal numbers. */
export function unescapeMountPath(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_all, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
}
