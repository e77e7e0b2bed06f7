/** Copying what is no file and no directory: links, devices, FIFOs, sockets. Synchronous. */
import { lstatSync, readlinkSync, type BigIntStats } from 'node:fs'
import { decodePath, encodePath } from '../lib/path-bytes.ts'
import { errorCode } from '../spec/errors.ts'
import { chmodAt, chownAt, makeSpecialAt, setTimesAt, symlinkAt } from './file-tree.ts'
import { fdPath } from './scoped-path.ts'
import { getXattr, isStackAttribute, listXattrs, setXattr } from './xattr.ts'

/** Copies a name from one open directory to another; `link` is asked first whether it made a further name of it. */
export function copySpecial(
  from: number,
  to: number,
  name: string,
  link: (stats: BigIntStats) => boolean,
): void {
  const path = Buffer.concat([Buffer.from(`${fdPath(from)}/`), encodePath(name)])
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  if (stats === undefined || link(stats)) return
  if (stats.isSymbolicLink()) {
    symlinkAt(decodePath(readlinkSync(path, { encoding: 'buffer' })), to, name)
  } else makeSpecialAt(to, name, { mode: Number(stats.mode), device: stats.rdev })
  chownAt(to, name, { uid: Number(stats.uid), gid: Number(stats.gid) })
  if (!stats.isSymbolicLink()) chmodAt(to, name, Number(stats.mode) & 0o7777)
  copyNamedXattrs(`${fdPath(from)}/${name}`, `${fdPath(to)}/${name}`)
  setTimesAt(to, name, stats)
}

function copyNamedXattrs(from: string, to: string): void {
  for (const attribute of listXattrs(from)) {
    const value = isStackAttribute(attribute) ? undefined : getXattr(from, attribute)
    if (value === undefined) continue
    try {
      setXattr(to, attribute, value)
    } catch (error) {
      if (errorCode(error) !== 'ENOTSUP' && errorCode(error) !== 'EOPNOTSUPP') throw error
    }
  }
}
