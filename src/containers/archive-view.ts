/**
 * The file work of cp and export, done by a worker thread inside its view of the container (`kernel/mount-view.ts`):
 * every path here is the container's own. All calls are synchronous.
 */
import { lstatSync, readlinkSync } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import type { ContainerPathStat } from '../spec/container-types.ts'
import { errorCode } from '../spec/errors.ts'
import { formatTimeNs } from '../lib/clock.ts'
import { encodePath, fsPath } from '../lib/path-bytes.ts'

const maxLinks = 255

/** The path made absolute and clean, a trailing `/` or `/.` kept (moby, PreserveTrailingDotOrSeparator). */
export function archivePath(path: string): string {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  const clean = `/${parts.join('/')}`
  const last = path.split('/').at(-1)
  if (last === '.') return clean === '/' ? '/.' : `${clean}/.`
  return path.endsWith('/') && clean !== '/' ? `${clean}/` : clean
}

/** The last part of a path as Go's filepath.Base: `.` for `/a/.`, `a` for `/a/`, `/` for the root. */
export function baseName(path: string): string {
  const trimmed = path.replace(/\/+$/, '')
  return trimmed === '' ? '/' : trimmed.slice(trimmed.lastIndexOf('/') + 1)
}

/** Describes a path of `archivePath`'s form. Throws Node's errors. */
export function statPath(path: string): { stat: ContainerPathStat; isDirectory: boolean } {
  const stats = lstatSync(fsPath(path), { bigint: true })
  const stat = {
    name: baseName(path),
    size: Number(stats.size),
    mode: goFileMode(Number(stats.mode)),
    mtime: formatTimeNs(stats.mtimeNs),
    linkTarget: stats.isSymbolicLink() ? followLinks(path) : '',
  }
  return { stat, isDirectory: stats.isDirectory() }
}

const typeBits: Readonly<Record<number, number>> = {
  0o040000: 2 ** 31,
  0o120000: 2 ** 27,
  0o060000: 2 ** 26,
  0o020000: 2 ** 26 + 2 ** 21,
  0o010000: 2 ** 25,
  0o140000: 2 ** 24,
}

/** The bits of Go's os.FileMode for a mode of stat(2). */
function goFileMode(mode: number): number {
  let bits = (mode & 0o777) + (typeBits[mode & 0o170000] ?? 0)
  if ((mode & 0o4000) !== 0) bits += 2 ** 23
  if ((mode & 0o2000) !== 0) bits += 2 ** 22
  if ((mode & 0o1000) !== 0) bits += 2 ** 20
  return bits
}

/** Where a path leads with every link followed; parts that do not exist stay as they are. */
function followLinks(path: string): string {
  const done: string[] = []
  const todo = path.split('/').filter(Boolean)
  let links = 0
  for (let part = todo.shift(); part !== undefined; part = todo.shift()) {
    if (part === '..') {
      done.pop()
      continue
    }
    if (part === '' || part === '.') continue
    const target = linkAt(`/${[...done, part].join('/')}`)
    if (target === undefined) {
      done.push(part)
      continue
    }
    links += 1
    if (links > maxLinks) throw Object.assign(new Error(`too many links in ${path}`), { code: 'ELOOP' })
    if (target.startsWith('/')) done.length = 0
    todo.unshift(...target.split('/'))
  }
  return `/${done.join('/')}`
}

function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(fsPath(path))
  } catch (error) {
    if (['EINVAL', 'ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '')) return undefined
    throw error
  }
}

/** Joins a directory and a name. */
export function joined(directory: string, name: string): string {
  return directory.endsWith('/') ? `${directory}${name}` : `${directory}/${name}`
}

/** lstat(2), undefined where nothing is. */
export function lstatIfAny(path: string): BigIntStats | undefined {
  try {
    return lstatSync(fsPath(path), { bigint: true })
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** In the order of their bytes, as archives of Docker are. */
export function byBytes(a: string, b: string): number {
  return Buffer.compare(encodePath(a), encodePath(b))
}
