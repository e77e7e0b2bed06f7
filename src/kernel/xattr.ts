/** Extended attributes. Values are bytes; paths are host paths that the caller has made safe, never followed. */
import { lastErrno, libcCall, libcFunction, errnoName, KernelError } from './ffi.ts'
import { encodePath } from '../lib/path-bytes.ts'

const setCall = libcCall(
  'lsetxattr',
  'int lsetxattr(const uint8_t *path, const char *name, const uint8_t *value, size_t size, int flags)',
)
const getNative = libcFunction(
  'long lgetxattr(const uint8_t *path, const char *name, _Out_ uint8_t *value, size_t size)',
)
const listNative = libcFunction('long llistxattr(const uint8_t *path, _Out_ uint8_t *list, size_t size)')

/** Largest value that Linux keeps, and longest list of names. */
const maxBytes = 64 * 1024

/** Sets an attribute, replacing an older value. Throws a KernelError. */
export function setXattr(path: string, name: string, value: Uint8Array): void {
  setCall(`${name} ${path}`, zeroEnded(path), name, value, value.length, 0)
}

/** An attribute's value; undefined where it is not set or the file system has none. */
export function getXattr(path: string, name: string): Buffer | undefined {
  const target = zeroEnded(path)
  // Most files have none, which takes no buffer to learn.
  if (getNative(target, name, null, 0) < 0) return absentOrThrow('lgetxattr', `${name} ${path}`)
  const value = Buffer.allocUnsafe(maxBytes)
  const length = getNative(target, name, value, value.length)
  if (length < 0) return absentOrThrow('lgetxattr', `${name} ${path}`)
  return Buffer.from(value.subarray(0, length))
}

/** Names of a file's attributes; empty where the file system has none. */
export function listXattrs(path: string): string[] {
  const target = zeroEnded(path)
  const needed = listNative(target, null, 0)
  if (needed === 0) return []
  if (needed < 0) return absentOrThrow('llistxattr', path) ?? []
  const list = Buffer.allocUnsafe(maxBytes)
  const length = listNative(target, list, list.length)
  if (length < 0) return absentOrThrow('llistxattr', path) ?? []
  return list.toString('utf8', 0, length).split('\0').filter(Boolean)
}

const listFdNative = libcFunction('long flistxattr(int fd, _Out_ uint8_t *list, size_t size)')
const getFdNative = libcFunction(
  'long fgetxattr(int fd, const char *name, _Out_ uint8_t *value, size_t size)',
)
const setFdCall = libcCall(
  'fsetxattr',
  'int fsetxattr(int fd, const char *name, const uint8_t *value, size_t size, int flags)',
)

/** Whether an attribute tells how layers are stacked, and nothing of the file. */
export function isStackAttribute(name: string): boolean {
  return name.startsWith('trusted.overlay.') || name.startsWith('user.fuseoverlayfs.')
}

/** Copies the attributes of one open file to another; those that its file system cannot have are left out. */
export function copyXattrs(from: number, to: number): void {
  // Most files have none, which takes no buffer to learn.
  const needed = listFdNative(from, null, 0)
  if (needed === 0) return
  if (needed < 0) return absentOrThrow('flistxattr', '')
  const list = Buffer.allocUnsafe(maxBytes)
  const length = listFdNative(from, list, list.length)
  if (length < 0) return absentOrThrow('flistxattr', '')
  for (const name of list.toString('utf8', 0, length).split('\0')) {
    if (name === '' || isStackAttribute(name)) continue
    const value = Buffer.allocUnsafe(maxBytes)
    const size = getFdNative(from, name, value, value.length)
    if (size < 0) {
      absentOrThrow('fgetxattr', name)
      continue
    }
    try {
      setFdCall(name, to, name, value, size, 0)
    } catch (error) {
      if (!(error instanceof KernelError) || (error.code !== 'ENOTSUP' && error.code !== 'EOPNOTSUPP'))
        throw error
    }
  }
}

function absentOrThrow(call: string, detail: string): undefined {
  const errno = lastErrno()
  const code = errnoName(errno)
  if (code === 'ENODATA' || code === 'ENOTSUP' || code === 'EOPNOTSUPP') return undefined
  throw new KernelError(call, errno, detail)
}

function zeroEnded(path: string): Buffer {
  return Buffer.concat([encodePath(path), Buffer.alloc(1)])
}
