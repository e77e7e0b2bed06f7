/** Device nodes of the host: what a path under /dev is. */
import { lstat, readdir, realpath, stat } from 'node:fs/promises'
import { constants, type Stats } from 'node:fs'
import { join, normalize } from 'node:path'
import { errorCode } from '../spec/errors.ts'

/** A device node. `mode` is the permission bits. */
export type DeviceNode = {
  type: 'c' | 'b' | 'p'
  major: number
  minor: number
  mode: number
  uid: number
  gid: number
}

/** Major number of a device id (makedev(3)). */
export function deviceMajor(device: number): number {
  const id = BigInt(device)
  return Number(((id >> 8n) & 0xfffn) | ((id >> 32n) & ~0xfffn))
}

/** Minor number of a device id. */
export function deviceMinor(device: number): number {
  const id = BigInt(device)
  return Number((id & 0xffn) | ((id >> 12n) & 0xfff00n))
}

/** The node at a path, undefined when it is something else. Links are followed only within /dev. Throws ENOENT. */
export async function deviceAt(path: string): Promise<DeviceNode | undefined> {
  const resolved = await resolveWithinDev(normalize(path))
  return deviceOf(await lstat(resolved))
}

/** Major and minor of the block device at a path, for block I/O limits; links are followed. Throws ENOENT. */
export async function blockDeviceNumber(path: string): Promise<{ major: number; minor: number }> {
  const { rdev } = await stat(path)
  return { major: deviceMajor(rdev), minor: deviceMinor(rdev) }
}

/** All nodes below a directory, by path. Directories that cannot be read are passed over. */
export async function devicesBelow(
  directory: string,
  skip: ReadonlySet<string> = new Set(),
): Promise<{ path: string; node: DeviceNode }[]> {
  const found: { path: string; node: DeviceNode }[] = []
  const todo = [directory]
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    for (const entry of await readdir(next, { withFileTypes: true }).catch(ignoreUnreadable)) {
      const path = join(next, entry.name)
      if (skip.has(entry.name)) continue
      if (entry.isDirectory()) todo.push(path)
      else if (!entry.isSymbolicLink()) {
        const node = deviceOf(await lstat(path))
        if (node !== undefined) found.push({ path, node })
      }
    }
  }
  return found.sort((left, right) => (left.path < right.path ? -1 : 1))
}

function deviceOf(stats: Stats): DeviceNode | undefined {
  const kind = stats.mode & constants.S_IFMT
  const type = kind === constants.S_IFCHR ? 'c' : kind === constants.S_IFBLK ? 'b' : undefined
  if (type === undefined) return undefined
  return {
    type,
    major: deviceMajor(stats.rdev),
    minor: deviceMinor(stats.rdev),
    mode: stats.mode & 0o7777,
    uid: stats.uid,
    gid: stats.gid,
  }
}

async function resolveWithinDev(path: string): Promise<string> {
  if (!(await lstat(path)).isSymbolicLink()) return path
  const target = await realpath(path)
  return target.startsWith('/dev/') ? target : path
}

function ignoreUnreadable(error: unknown): [] {
  const code = errorCode(error)
  if (code === 'ENOENT' || code === 'EACCES' || code === 'ENOTDIR') return []
  throw error
}
