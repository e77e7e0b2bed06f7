/** What the file system of a directory is called in `info` (moby daemon/graphdriver/driver_linux.go, FsNames). */
import { statfsSync } from 'node:fs'

const names = new Map([
  [0x6175_6673, 'aufs'],
  [0x9123_683e, 'btrfs'],
  [0x2887_3b6f, 'cramfs'],
  [0xf15f, 'ecryptfs'],
  [0xe0f5_e1e2, 'erofs'],
  [0xef53, 'extfs'],
  [0xf2f5_2010, 'f2fs'],
  [0x6573_5546, 'fuse'],
  [0x4750_4653, 'gpfs'],
  [0x3153_464a, 'jfs'],
  [0x6969, 'nfs'],
  [0x794c_7630, 'overlayfs'],
  [0x858458f6, 'ramfs'],
  [0x5265_4973, 'reiserfs'],
  [0x534d_4233, 'smb'],
  [0x7371_7368, 'squashfs'],
  [0x0102_1994, 'tmpfs'],
  [0x5846_5342, 'xfs'],
  [0x2fc1_2fc1, 'zfs'],
])

/** The name of the directory's file system, `<unknown>` for one that has none there. */
export function fileSystemName(directory: string): string {
  return names.get(statfsSync(directory).type) ?? '<unknown>'
}
