/** Mounting and unmounting. Paths are host paths that the caller has made safe. */
import { libcAsyncCall, libcCall } from './ffi.ts'

/** Flags of mount(2), from <sys/mount.h>. */
export const mountFlags = {
  readOnly: 1,
  noSuid: 2,
  noDev: 4,
  noExec: 8,
  remount: 32,
  bind: 4096,
  recursive: 16384,
  private: 1 << 18,
  slave: 1 << 19,
  shared: 1 << 20,
} as const

const mountCall = libcCall(
  'mount',
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
)
const umountCall = libcCall('umount', 'int umount2(const char *target, int flags)')

/** What to mount where. `flags` is a sum of `mountFlags`. */
export type MountRequest = { source: string; target: string; type?: string; flags?: number; data?: string }

/** Mounts. Throws a KernelError. */
export function mount(request: MountRequest): void {
  const { source, target, type = null, flags = 0, data = null } = request
  mountCall(target, source, target, type, flags, data)
}

/** Unmounts; `detached` takes it out of the tree at once and lets go of it when nobody uses it any more. */
export function unmount(target: string, options: { detached: boolean }): void {
  umountCall(target, target, options.detached ? 2 : 0)
}

const umountAsync = libcAsyncCall('umount', 'int umount2(const char *target, int flags)')

/**
 * Takes a mount out of the tree like a detached `unmount`, on another thread: letting go of a file system may write
 * all that it holds, which takes long.
 */
export async function unmountInBackground(target: string): Promise<void> {
  await umountAsync(target, target, 2)
}
