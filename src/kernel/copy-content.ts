/** Copying what is in a file inside the kernel, which shares blocks where the file system can. Synchronous. */
import { ftruncateSync } from 'node:fs'
import { errorCode } from '../spec/errors.ts'
import { libcCall } from './ffi.ts'

const copyRangeCall = libcCall(
  'copy_file_range',
  'long copy_file_range(int from, int64_t *fromOffset, int to, int64_t *toOffset, size_t length, unsigned int flags)',
)
const seekCall = libcCall('lseek', 'long lseek(int fd, long offset, int whence)')
const seekSet = 0
const seekData = 3
const seekHole = 4
const maxRangeBytes = 1 << 30
/** What the kernel says where it cannot do it between these two files. */
const unable = new Set(['EXDEV', 'EINVAL', 'ENOSYS', 'EOPNOTSUPP', 'ENOTSUP'])

/**
 * Copies so many bytes from where both files stand. False, with nothing copied, where the kernel cannot; a file that
 * has become shorter gives what it has.
 */
export function copyRange(from: number, to: number, bytes: number): boolean {
  for (let left = bytes; left > 0;) {
    try {
      const count = copyRangeCall('', from, null, to, null, Math.min(left, maxRangeBytes), 0)
      if (count === 0) return true
      left -= count
    } catch (error) {
      if (left === bytes && unable.has(errorCode(error) ?? '')) return false
      throw error
    }
  }
  return true
}

/** Copies a file with holes, keeping them. */
export function copySparse(from: number, to: number, bytes: number): void {
  ftruncateSync(to, bytes)
  for (let at = nextOf(from, 0, seekData); at < bytes;) {
    const end = Math.min(nextOf(from, at, seekHole), bytes)
    seekCall('', from, at, seekSet)
    seekCall('', to, at, seekSet)
    if (!copyRange(from, to, end - at)) throw new Error('copy_file_range: not between these file systems')
    at = nextOf(from, end, seekData)
  }
}

/** Where data or a hole begins; infinity where none follows. */
function nextOf(fd: number, offset: number, whence: number): number {
  try {
    return seekCall('', fd, offset, whence)
  } catch (error) {
    if (errorCode(error) === 'ENXIO') return Number.POSITIVE_INFINITY
    throw error
  }
}
