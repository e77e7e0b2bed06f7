/** What is mounted where, as this process sees it. */
import { readFile } from 'node:fs/promises'
import { unescapeMountPath } from './cgroup-layout.ts'

/** Mount points at or below any of the directories, in order of mounting. */
export async function mountPointsBelow(directories: readonly string[]): Promise<string[]> {
  const text = await readFile('/proc/self/mountinfo', 'utf8')
  return text
    .split('\n')
    .map((line) => unescapeMountPath(line.split(' ')[4] ?? ''))
    .filter((path) => directories.some((top) => path === top || path.startsWith(`${top}/`)))
}
