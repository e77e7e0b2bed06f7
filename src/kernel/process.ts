/**
 * Processes that this one does not own through Node: started with posix_spawn (no fork of a large address space),
 * signalled through pidfds, told apart from later users of their number by their start time.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
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

const prctlCall = libcCall(
  'prctl',
  'int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)',
)

const waitidCall = libcCall('waitid', 'int waitid(int idtype, unsigned int id, void *info, int options)')

const noHang = 1
const exited = 4
const leaveWaitable = 0x01000000
const allChildren = 0
const siginfoBytes = 128
const longestPauseMs = 100
const setChildSubreaper = 36
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
 * Lets this process inherit the orphans of its descendants, so that their exit status is not lost with their parent.
 */
export function becomeSubreaper(): void {
  prctlCall('PR_SET_CHILD_SUBREAPER', setChildSubreaper, 1, 0, 0, 0)
}

/**
 * Waits for the end of a process and reaps it: its exit code, 128+n after signal n. Undefined for one that is not
 * ours to reap. Keeps no event loop alive. (Polling with growing pauses: a poll handle of koffi on a pidfd that
 * becomes ready while Node shuts down ends the process with a fatal error, and Node has nothing of its own.)
 */
export async function exitCodeOf(identity: ProcessIdentity): Promise<number | undefined> {
  for (let pauseMs = 1; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
    const outcome = tryReap(identity.pid)
    if (typeof outcome === 'number') return outcome
    if (outcome === 'not ours' && !isAlive(identity)) return undefined
    await delay(pauseMs, undefined, { ref: false })
  }
}

/**
 * Lets the kernel forget an ended child. One that still runs is waited for in the background, without holding the
 * event loop open. A pid that is no child of ours is left alone.
 */
export function reap(pid: number): void {
  if (tryReap(pid) !== 'running') return
  const wait = async (): Promise<void> => {
    for (let pauseMs = 1; tryReap(pid) === 'running'; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
      await delay(pauseMs, undefined, { ref: false })
    }
  }
  void wait()
}

/** Whether a child of this process has ended and not been reaped. */
export function hasDeadChild(): boolean {
  const found = Buffer.alloc(siginfoBytes)
  try {
    waitidCall('children', allChildren, 0, found, exited | noHang | leaveWaitable)
  } catch (error) {
    if (errorCode(error) === 'ECHILD') return false
    throw error
  }
  // The kernel leaves the signal's number zero when there is none (wait(2)).
  return found.readInt32LE(0) !== 0
}

function tryReap(pid: number): number | 'running' | 'not ours' {
  const status = new Int32Array(1)
  try {
    if (waitpidCall(String(pid), pid, status, noHang) === 0) return 'running'
  } catch (error) {
    if (errorCode(error) === 'ECHILD') return 'not ours'
    throw error
  }
  const [value = 0] = status
  const signal = value & 0x7f
  return signal === 0 ? (value >> 8) & 0xff : 128 + signal
}

/** A process that keeps its identity when its number is used again. */
export type ProcessIdentity = { pid: number; startTime: bigint }

/** Clock ticks from boot to the start of the process: field 22 of /proc/PID/stat. Undefined when it is gone. */
export function processStartTime(pid: number): bigint | undefined {
  return processState(pid)?.startTime
}

/** What the kernel says of a process. Undefined when it is gone. */
export function processState(pid: number): ProcessStat | undefined {
  try {
    return parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ESRCH') return undefined
    throw error
  }
}

/** The part of /proc/PID/stat that tells processes apart. */
export type ProcessStat = { state: string; startTime: bigint }

/** Parses /proc/PID/stat (proc(5)). The second field may hold anything, brackets and blanks included. */
export function parseProcessStat(stat: string): ProcessStat | undefined {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [state, startTime] = [fields[0], fields[19]]
  if (state === undefined || startTime === undefined) return undefined
  return { state, startTime: BigInt(startTime) }
}

/** Whether exactly this process still runs. */
export function isAlive({ pid, startTime }: ProcessIdentity): boolean {
  const stat = processState(pid)
  return stat !== undefined && stat.startTime === startTime && !/^[ZX]/.test(stat.state)
}

/** Whether the number is still this process's, be it only because nobody has reaped it. */
export function isPresent({ pid, startTime }: ProcessIdentity): boolean {
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

function pidfdOpen(pid: number): number | undefined {
  const fd = syscall4(pidfdOpenNumber, pid, 0, 0, 0)
  if (fd >= 0) return fd
  const error = new KernelError('pidfd_open', lastErrno(), String(pid))
  if (error.code === 'ESRCH') return undefined
  throw error
}
