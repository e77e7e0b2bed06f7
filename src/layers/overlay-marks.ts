/** How overlay marks what a layer takes away from those below. */
import type { BigIntStats } from 'node:fs'
import { getXattr } from '../kernel/xattr.ts'

/** Whether a file is a whiteout: a character device 0/0. */
export function isWhiteout(stats: BigIntStats): boolean {
  return stats.isCharacterDevice() && stats.rdev === 0n
}

/** Names that fuse-overlayfs leaves in an opaque directory beside the attribute. */
const fuseMarks = new Set(['.wh..opq', '.wh..wh..opq'])

/** Whether a file of an upper directory is bookkeeping of what stacks it, and no file of the container's. */
export function isStackMark(name: string): boolean {
  return fuseMarks.has(name)
}

/** Whether a directory hides the directories of its name in the layers below. */
export function isOpaque(hostPath: string): boolean {
  return getXattr(hostPath, 'trusted.overlay.opaque')?.toString() === 'y'
}
