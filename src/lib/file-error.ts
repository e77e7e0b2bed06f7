/** Failed file operations in the words that Go has for them, and with it every Docker client. */
import { errorCode, errorMessage } from '../spec/errors.ts'

const words: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EBUSY: 'device or resource busy',
  EEXIST: 'file exists',
  EFBIG: 'file too large',
  EINVAL: 'invalid argument',
  EISDIR: 'is a directory',
  ELOOP: 'too many levels of symbolic links',
  EMFILE: 'too many open files',
  ENAMETOOLONG: 'file name too long',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space left on device',
  ENOTDIR: 'not a directory',
  ENOTEMPTY: 'directory not empty',
  EPERM: 'operation not permitted',
  ERANGE: 'numerical result out of range',
  EROFS: 'read-only file system',
  ETXTBSY: 'text file busy',
}

/** What the system answered, in Go's words; other errors say what they say. */
export function fileErrorReason(error: unknown): string {
  return words[errorCode(error) ?? ''] ?? errorMessage(error)
}

/** Go's message: `open PATH: no such file or directory`. `path` is said where the error does not know it. */
export function fileErrorMessage(error: unknown, path?: string): string {
  const reason = words[errorCode(error) ?? '']
  if (reason === undefined || !(error instanceof Error)) return errorMessage(error)
  const syscall: unknown = Reflect.get(error, 'syscall')
  const subject = path ?? Reflect.get(error, 'path')
  if (typeof syscall !== 'string' || typeof subject !== 'string') return errorMessage(error)
  return `${syscall} ${subject}: ${reason}`
}
