/**
 * Processes that this one does not own through Node: started with posix_spawn (no fork of a large address space),
 * signalled and waited for through pidfds, told apart from later users of their number by their start time.
 */
import { readFileSync } from 'node:fs'
import koffi from 'koffi'
import { errorCode } from '../spec/errors.ts'
import { KernelError, lastErrno, libcCall, libcFunction } from './ffi.ts'

const posixSpawn = libcFunction(
  'int posix_spawn(int *pid, const char *path, void *actions, void *attributes, const char **argv, const char **envp)',
)
const initActions = libcFunction('int posix_spawn_file_actions_init(void *actions)')
const addDup2 = libcFunction('int posix_spawn_file_actions_adddup2(void *actions, int from, int to)')
const addCloseFrom = libcFunction('int posix_spawn_file_actions_addclosefrom_np(void *actions, int from)')
const destroyActions = libcFunction('int posix_spawn_file_actions_destroy(void *actions)')
const waitpidCall = libcCall('waitpid', 'int waitpid(int pid, int *status, int options)')
const syscall4 = libcFunction('long syscall(long number, long a, long b, long c, long d)')

const noHang = 1
// The numbers of newer system calls are the same on every architecture.
const pidfdOpenNumber = 434
const pidfdSendSignalNumber = 424

/** Larger than posix_spawn_file_actions_t of any libc. */
const actionsBytes = 256

/** What to execute. `descriptors[n]` becomes descriptor n of the new process; it inherits no other. */
export type SpawnRequest = {
  file: string
  args: readonly string[]
  env: readonly string[]
  descriptors: readonly number[]
}

/**
 * Starts a process; its pid. The caller reaps it (`reap`). The parent waits until the program is executed, about half
 * a millisecond whatever this process's size. Descriptors must be numbered above the targets, which those that Node or
 * `socketPair` hand out are made to be. Throws a KernelError.
 */
export function spawnProcess({ file, args, env, descriptors }: SpawnRequest): number {
  const actions = Buffer.alloc(actionsBytes)
  initActions(actions)
  try {
    descriptors.forEach((from, to) => addDup2(actions, from, to))
    addCloseFrom(actions, descriptors.length)
    const pid = new Int32Array(1)
    const errno = posixSpawn(pid, file, actions, null, [...args, null], [...env, null])
    if (errno !== 0) throw new KernelError('posix_spawn', errno, file)
    return pid[0] ?? -1
  } finally {
    destroyActions(actions)
  }
}

/**
 * Lets the kernel forget an ended child. One that still runs is waited for in the background, without holding the
 * event loop open. A pid that is no child of ours is left alone.
 */
export function reap(pid: number): void {
  if (tryReap(pid)) return
  void processEnd(pid)?.then(() => tryReap(pid))
}

/** Whether there is nothing left to reap. */
function tryReap(pid: number): boolean {
  try {
    return waitpidCall(String(pid), pid, new Int32Array(1), noHang) !== 0
  } catch (error) {
    if (errorCode(error) === 'ECHILD') return true
    throw error
  }
}

/** A process that keeps its identity when its number is used again. */
export type ProcessIdentity = { pid: number; startTime: bigint }

/** Clock ticks from boot to the start of the process: field 22 of /proc/PID/stat. Undefined when it is gone. */
export function processStartTime(pid: number): bigint | undefined {
  try {
    return parseStartTime(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ESRCH') return undefined
    throw error
  }
}

/** See `processStartTime`. The second field may hold anything, brackets and blanks included. */
export function parseStartTime(stat: string): bigint | undefined {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const text = fields[19]
  // A zombie is no process any more for whoever asks whether it runs.
  if (text === undefined || fields[0] === 'Z' || fields[0] === 'X') return undefined
  return BigInt(text)
}

/** Whether exactly this process still runs. */
export function isAlive({ pid, startTime }: ProcessIdentity): boolean {
  return processStartTime(pid) === startTime
}

/** Signals exactly this process. False when it is gone. Throws a KernelError for an invalid signal. */
export function signalProcess(identity: ProcessIdentity, signal: number): boolean {
  const fd = pidfdOpen(identity.pid)
  if (fd === undefined) return false
  try {
    // The descriptor pins the process, so what is read of its number now is about it.
    if (!isAlive(identity)) return false
    if (syscall4(pidfdSendSignalNumber, fd, signal, 0, 0) === 0) return true
    const errno = lastErrno()
    const error = new KernelError('pidfd_send_signal', errno, String(identity.pid))
    if (error.code === 'ESRCH') return false
    throw error
  } finally {
    closeCall('', fd)
  }
}

const closeCall = libcCall('close', 'int close(int fd)')

/** Resolves when the process, whoever's child it is, has ended; undefined when it has already. Keeps nothing alive. */
export function processEnd(pid: number): Promise<void> | undefined {
  const fd = pidfdOpen(pid)
  if (fd === undefined) return undefined
  const { promise, resolve } = Promise.withResolvers<void>()
  const handle = koffi.node.poll(fd, { readable: true }, () => {
    handle.close()
    closeCall('', fd)
    resolve()
  })
  handle.unref()
  return promise
}

function pidfdOpen(pid: number): number | undefined {
  const fd = syscall4(pidfdOpenNumber, pid, 0, 0, 0)
  if (fd >= 0) return fd
  const error = new KernelError('pidfd_open', lastErrno(), String(pid))
  if (error.code === 'ESRCH') return undefined
  throw error
}
