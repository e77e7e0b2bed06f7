/** Advisory locks between processes, as flock(2) has them: they belong to an open file and end with it. */
import { openSync, closeSync } from 'node:fs'
import { errorCode } from '../spec/errors.ts'
import { libcCall } from './ffi.ts'

const lockExclusive = 2
const lockNonBlocking = 4

const flockCall = libcCall('flock', 'int flock(int fd, int operation)')

/** Locks a file or directory for itself alone until disposed; undefined when another process holds it. */
export function tryLock(path: string): Disposable | undefined {
  const fd = openSync(path, 'r')
  try {
    flockCall(path, fd, lockExclusive | lockNonBlocking)
  } catch (error) {
    closeSync(fd)
    if (errorCode(error) === 'EAGAIN') return undefined
    throw error
  }
  return { [Symbol.dispose]: () => closeSync(fd) }
}
