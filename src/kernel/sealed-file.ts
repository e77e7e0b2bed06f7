/** Files that live in memory and can never change: programs that are executed again and again. */
import { closeSync, readFileSync, writeSync } from 'node:fs'
import { libcCall } from './ffi.ts'

const memfdCreate = libcCall('memfd_create', 'int memfd_create(const char *name, unsigned int flags)')
const sealCall = libcCall('fcntl', 'int fcntl(int fd, int command, int seals)')

const closeOnExec = 1
const allowSealing = 2
/** MFD_EXEC: since Linux 6.3 the kernel may make memory files unexecutable otherwise; older ones refuse the flag. */
const executable = 16
/** F_ADD_SEALS. */
const addSeals = 1033
/** F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_WRITE. */
const allSeals = 15

/**
 * A sealed copy of a program, as a descriptor that the caller closes. crun and runc copy themselves into one at each
 * start (so that no container can overwrite them) unless they already run from one.
 */
export function sealedCopy(path: string): number {
  const fd = createMemoryFile(path)
  try {
    const data = readFileSync(path)
    for (let at = 0; at < data.length;) at += writeSync(fd, data, at)
    sealCall(path, fd, addSeals, allSeals)
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

function createMemoryFile(path: string): number {
  try {
    return memfdCreate(path, path, closeOnExec | allowSealing | executable)
  } catch {
    return memfdCreate(path, path, closeOnExec | allowSealing)
  }
}
