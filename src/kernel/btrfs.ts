/**
 * Btrfs subvolumes: made, snapshot, limited and destroyed by ioctl (linux/btrfs.h). A subvolume is a directory with
 * a tree of its own; a snapshot of one shares all its blocks. Paths are host paths that the caller has made safe.
 */
import { closeSync, constants, lstatSync, openSync, readdirSync, statfsSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { errorCode } from '../spec/errors.ts'
import { libcCall } from './ffi.ts'

const ioctlCall = libcCall('ioctl', 'int ioctl(int fd, unsigned long request, _Inout_ uint8_t *argument)')

const requests = {
  subvolumeCreate: 0x5000_940e,
  snapshotCreate: 0x5000_9417,
  snapshotDestroy: 0x5000_940f,
  quotaControl: 0xc010_9428,
  quotaRescanWait: 0x942e,
  qgroupLimit: 0x8030_942b,
} as const

const superMagic = 0x9123_683e
/** Inode number of every subvolume's top directory. */
const subvolumeInode = 256n
/** Offset of the name in `btrfs_ioctl_vol_args` and `btrfs_ioctl_vol_args_v2`. */
const nameOffset = 8
const nameOffsetV2 = 56
const argumentBytes = 4096
const quotaEnable = 1n
const limitReferenced = 1n

/** Whether a directory is on btrfs. */
export function isOnBtrfs(directory: string): boolean {
  return statfsSync(directory).type === superMagic
}

/** Makes an empty subvolume. Throws EEXIST. */
export function createSubvolume(path: string): void {
  withDirectory(dirname(path), (fd) => {
    const argument = Buffer.alloc(argumentBytes)
    writeName(argument, nameOffset, path)
    ioctlCall(`create subvolume ${path}`, fd, requests.subvolumeCreate, argument)
  })
}

/** Makes a writable snapshot of a subvolume. Throws EEXIST. */
export function snapshotSubvolume(source: string, target: string): void {
  withDirectory(source, (sourceFd) =>
    withDirectory(dirname(target), (fd) => {
      const argument = Buffer.alloc(argumentBytes)
      argument.writeBigInt64LE(BigInt(sourceFd), 0)
      writeName(argument, nameOffsetV2, target)
      ioctlCall(`snapshot ${source} to ${target}`, fd, requests.snapshotCreate, argument)
    }),
  )
}

/**
 * Destroys the subvolumes that a directory is or directly holds, which takes one call each whatever is in them. What
 * cannot be destroyed (it holds further subvolumes) stays for an ordinary removal.
 */
export function destroySubvolumes(directory: string): void {
  if (!isDirectoryOnBtrfs(directory)) return
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) destroySubvolume(join(directory, entry.name))
  }
  destroySubvolume(directory)
}

/**
 * Limits what a subvolume may refer to, in bytes, what it shares included, as Docker's driver does. Turns quotas on
 * for the file system, which stay on.
 */
export function limitSubvolume(path: string, bytes: number): void {
  withDirectory(path, (fd) => {
    const control = Buffer.alloc(16)
    control.writeBigUInt64LE(quotaEnable, 0)
    ioctlCall('enable quotas', fd, requests.quotaControl, control)
    ioctlCall('wait for quotas', fd, requests.quotaRescanWait, null)
    // struct btrfs_ioctl_qgroup_limit_args: qgroup 0 is the descriptor's own.
    const limit = Buffer.alloc(48)
    limit.writeBigUInt64LE(limitReferenced, 8)
    limit.writeBigUInt64LE(BigInt(bytes), 16)
    ioctlCall(`limit ${path}`, fd, requests.qgroupLimit, limit)
  })
}

function destroySubvolume(path: string): void {
  if (lstatSync(path, { bigint: true }).ino !== subvolumeInode) return
  withDirectory(dirname(path), (fd) => {
    const argument = Buffer.alloc(argumentBytes)
    writeName(argument, nameOffset, path)
    try {
      ioctlCall(`destroy subvolume ${path}`, fd, requests.snapshotDestroy, argument)
    } catch (error) {
      if (errorCode(error) !== 'ENOTEMPTY' && errorCode(error) !== 'EINVAL') throw error
    }
  })
}

function isDirectoryOnBtrfs(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true && isOnBtrfs(path)
}

function writeName(argument: Buffer, offset: number, path: string): void {
  argument.write(basename(path), offset, 'utf8')
}

function withDirectory(path: string, use: (fd: number) => void): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    use(fd)
  } finally {
    closeSync(fd)
  }
}
