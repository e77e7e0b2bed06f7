/**
 * Making files below an open directory by their bare names: the *at family that Node lacks. Nothing here follows a
 * link at the name itself, and a name has no slash, so a tree that somebody hostile described cannot lead out of
 * the directory. Times are nanoseconds, names lossless strings (`lib/path-bytes.ts`). Calls are synchronous: for
 * worker threads. Failures are KernelErrors.
 */
import { constants } from 'node:fs'
import { encodePath } from '../lib/path-bytes.ts'
import { KernelError, libcCall } from './ffi.ts'

const openatCall = libcCall(
  'openat',
  'int openat(int directory, const uint8_t *path, int flags, unsigned int mode)',
)
const mkdiratCall = libcCall('mkdirat', 'int mkdirat(int directory, const uint8_t *path, unsigned int mode)')
const symlinkatCall = libcCall(
  'symlinkat',
  'int symlinkat(const uint8_t *target, int directory, const uint8_t *path)',
)
const linkatCall = libcCall(
  'linkat',
  'int linkat(int fromDirectory, const uint8_t *from, int toDirectory, const uint8_t *to, int flags)',
)
const mknodatCall = libcCall(
  'mknodat',
  'int mknodat(int directory, const uint8_t *path, unsigned int mode, uint64_t device)',
)
const unlinkatCall = libcCall('unlinkat', 'int unlinkat(int directory, const uint8_t *path, int flags)')
const fchownatCall = libcCall(
  'fchownat',
  'int fchownat(int directory, const uint8_t *path, unsigned int uid, unsigned int gid, int flags)',
)
const fchmodatCall = libcCall(
  'fchmodat',
  'int fchmodat(int directory, const uint8_t *path, unsigned int mode, int flags)',
)
const fchmodCall = libcCall('fchmod', 'int fchmod(int fd, unsigned int mode)')
const fchownCall = libcCall('fchown', 'int fchown(int fd, unsigned int uid, unsigned int gid)')
const utimensatCall = libcCall(
  'utimensat',
  'int utimensat(int directory, const uint8_t *path, const uint8_t *times, int flags)',
)
const futimensCall = libcCall('futimens', 'int futimens(int fd, const uint8_t *times)')
const fsetxattrCall = libcCall(
  'fsetxattr',
  'int fsetxattr(int fd, const char *name, const uint8_t *value, size_t size, int flags)',
)
const syncRangeCall = libcCall(
  'sync_file_range',
  'int sync_file_range(int fd, int64_t offset, int64_t bytes, unsigned int flags)',
)
const syncfsCall = libcCall('syncfs', 'int syncfs(int fd)')

const closeOnExec = 0o2000000
const atSymlinkNofollow = 0x100
const atRemovedir = 0x200

/** File type bits for `makeNode`. */
export const nodeTypes = {
  character: constants.S_IFCHR,
  block: constants.S_IFBLK,
  fifo: constants.S_IFIFO,
} as const

/** Who owns a file and what may be done with it. */
export type OwnerAndMode = { uid: number; gid: number; mode: number }

/** Creates a new file for writing and returns its descriptor. Throws EEXIST. */
export function createFileAt(directory: number, name: string, mode = 0o600): number {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | closeOnExec
  return openatCall(name, directory, zeroEnded(name), flags, mode)
}

/** Opens a file that is there and returns its descriptor. */
export function openFileAt(directory: number, name: string, flags: number): number {
  return openatCall(name, directory, zeroEnded(name), flags | closeOnExec, 0)
}

/** Makes a device, FIFO or socket by the type bits of `mode`, for root alone. */
export function makeSpecialAt(
  directory: number,
  name: string,
  { mode, device }: { mode: number; device: bigint },
): void {
  mknodatCall(name, directory, zeroEnded(name), (mode & constants.S_IFMT) | 0o600, device)
}

/** Makes a directory that only root may enter. */
export function makeDirectoryAt(directory: number, name: string): void {
  mkdiratCall(name, directory, zeroEnded(name), 0o700)
}

/** Makes a symbolic link. */
export function symlinkAt(target: string, directory: number, name: string): void {
  symlinkatCall(name, zeroEnded(target), directory, zeroEnded(name))
}

/** Makes a hard link; a symlink is linked itself. */
export function linkAt(from: { directory: number; name: string }, directory: number, name: string): void {
  linkatCall(name, from.directory, zeroEnded(from.name), directory, zeroEnded(name), 0)
}

/** Makes a device or FIFO. */
export function makeNodeAt(
  directory: number,
  name: string,
  node: { type: keyof typeof nodeTypes; major: number; minor: number },
): void {
  const device = deviceNumber(node.major, node.minor)
  mknodatCall(name, directory, zeroEnded(name), nodeTypes[node.type] | 0o600, device)
}

/** The kernel's number of a device, as glibc's makedev builds it. */
function deviceNumber(major: number, minor: number): bigint {
  const a = BigInt(major)
  const i = BigInt(minor)
  return ((a & 0xfffff000n) << 32n) | ((a & 0xfffn) << 8n) | ((i & 0xffffff00n) << 12n) | (i & 0xffn)
}

/** Removes a name; with `directory` an empty directory. */
export function unlinkAt(directory: number, name: string, options: { directory: boolean }): void {
  unlinkatCall(name, directory, zeroEnded(name), options.directory ? atRemovedir : 0)
}

/** Changes a name's owner, also a link's own. */
export function chownAt(directory: number, name: string, owner: { uid: number; gid: number }): void {
  fchownatCall(name, directory, zeroEnded(name), owner.uid, owner.gid, atSymlinkNofollow)
}

/** Changes a name's mode. It follows links: only for names just made that are none. */
export function chmodAt(directory: number, name: string, mode: number): void {
  fchmodatCall(name, directory, zeroEnded(name), mode, 0)
}

/** Changes owner and then mode (which a change of owner may reset) of an open file. */
export function setOwnerAndMode(fd: number, { uid, gid, mode }: OwnerAndMode): void {
  fchownCall('', fd, uid, gid)
  fchmodCall('', fd, mode)
}

/** Sets access and modification time of a name, also a link's own. */
export function setTimesAt(
  directory: number,
  name: string,
  times: { atimeNs: bigint; mtimeNs: bigint },
): void {
  utimensatCall(name, directory, zeroEnded(name), timespecs(times), atSymlinkNofollow)
}

/** Sets access and modification time of an open file. */
export function setTimes(fd: number, times: { atimeNs: bigint; mtimeNs: bigint }): void {
  futimensCall('', fd, timespecs(times))
}

/** Sets an extended attribute of an open file (not O_PATH). */
export function setXattrOf(fd: number, name: string, value: Uint8Array): void {
  fsetxattrCall(name, fd, name, value, value.length, 0)
}

const syncRangeWrite = 2

/** Has the kernel begin to write a file to its disk, where the file system can; a sync waits for the less later. */
export function startWriting(fd: number): void {
  try {
    syncRangeCall('', fd, 0, 0, syncRangeWrite)
  } catch (error) {
    if (!(error instanceof KernelError)) throw error
  }
}

/** Makes everything written to the file system of `fd` durable. */
export function syncFileSystem(fd: number): void {
  syncfsCall('', fd)
}

function timespecs({ atimeNs, mtimeNs }: { atimeNs: bigint; mtimeNs: bigint }): Buffer {
  const buffer = Buffer.allocUnsafe(32)
  putTimespec(buffer, 0, atimeNs)
  putTimespec(buffer, 16, mtimeNs)
  return buffer
}

function putTimespec(buffer: Buffer, at: number, timeNs: bigint): void {
  let seconds = timeNs / 1_000_000_000n
  let rest = timeNs % 1_000_000_000n
  if (rest < 0n) {
    rest += 1_000_000_000n
    seconds -= 1n
  }
  buffer.writeBigInt64LE(BigInt.asIntN(64, seconds), at)
  buffer.writeBigInt64LE(rest, at + 8)
}

function zeroEnded(name: string): Buffer {
  if (name.isWellFormed()) return Buffer.from(`${name}\0`, 'utf8')
  return Buffer.concat([encodePath(name), Buffer.alloc(1)])
}
