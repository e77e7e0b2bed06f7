/** How overlay marks what a layer takes away from those below. */
import type { BigIntStats } from 'node:fs'
import { getXattr } from '../kernel/xattr.ts'

/** Whether a file is a whiteout: a character device 0/0. */
export function isWhiteout(stats: BigIntStats): boolean {
  return stats.isCharacterDevice() && stats.rdev === 0n
}

/** Whether a directory hides the directories of its name in the layers below. */
export function isOpaque(hostPath: string): boolean {
  return getXattr(hostPath, 'trusted.overlay.opaque')?.toString() === 'y'
}
