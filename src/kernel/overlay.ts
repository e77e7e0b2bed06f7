/**
 * Overlay mounts. Chains of any length that the kernel takes (500 layers) are mounted through the new mount
 * interface (fsopen, one `lowerdir+` a layer, Linux 6.7), which has no page-size limit on options; on older kernels
 * through mount(2) with names relative to the layers' directory, as many as fit into a page.
 *
 * index=off, metacopy=off and redirect_dir=off: a layer must mean the same on every kernel and after a copy, and
 * diffs are read from the upper directory alone. Paths are host paths that the caller has made safe.
 */
import { closeSync } from 'node:fs'
import { lastErrno, libcCall, libcFunction, KernelError, errnoName } from './ffi.ts'
import { mount, mountFlags } from './mount.ts'

/** What to mount. `lowers` are directories, topmost first. Without `upper` the mount is read-only. */
export type OverlayMount = {
  lowers: readonly string[]
  upper?: { directory: string; work: string }
  target: string
  /** Never sync: for trees that are thrown away. */
  volatile?: boolean
}

const sysFsopen = 430
const sysFsconfig = 431
const sysFsmount = 432
const sysMoveMount = 429
const setFlag = 0
const setString = 1
const create = 6
const moveEmptyPath = 4

const fsopenNative = libcFunction('long syscall(long number, const char *type, unsigned int flags)')
const fsconfigCall = libcCall(
  'fsconfig',
  'long syscall(long number, int fd, unsigned int command, const char *key, const char *value, int aux)',
)
const fsmountCall = libcCall(
  'fsmount',
  'long syscall(long number, int fd, unsigned int flags, unsigned int attributes)',
)
const moveMountCall = libcCall(
  'move_mount',
  'long syscall(long number, int from, const char *fromPath, int to, const char *toPath, unsigned int flags)',
)
const readNative = libcFunction('long read(int fd, _Out_ uint8_t *buffer, size_t size)')

const cloexec = 1
const atFdCwd = -100
const maxStringBytes = 255

/** Mounts. Throws a KernelError whose text holds what the kernel says about the options. */
export function mountOverlay(request: OverlayMount): void {
  const refusal = fits(request) ? tryContext(request) : undefined
  if (refusal === 'mounted') return
  try {
    mountByOptions(request)
  } catch (error) {
    // The context's error says more, where it was not about an option that this kernel does not know.
    throw refusal ?? error
  }
}

/** `mounted`; or undefined or an error when the kernel may just not know this interface or its options. */
function tryContext(request: OverlayMount): 'mounted' | KernelError | undefined {
  const context = fsopenNative(sysFsopen, 'overlay', cloexec)
  if (context < 0) {
    if (errnoName(lastErrno()) === 'ENOSYS') return undefined
    throw new KernelError('fsopen', lastErrno(), 'overlay')
  }
  try {
    return mountByContext(context, request) ? 'mounted' : undefined
  } catch (error) {
    // Before Linux 6.5 the options are looked at when all are there, and EINVAL is all that is said of `lowerdir+`.
    if (error instanceof KernelError && error.code === 'EINVAL') return error
    throw error
  } finally {
    closeSync(context)
  }
}

function fits({ lowers, upper }: OverlayMount): boolean {
  const paths = [...lowers, upper?.directory ?? '', upper?.work ?? '']
  return paths.every((path) => Buffer.byteLength(path) <= maxStringBytes)
}

/** False when this kernel does not know `lowerdir+`. */
function mountByContext(context: number, { lowers, upper, target, volatile }: OverlayMount): boolean {
  const set = (key: string, value: string) => {
    try {
      fsconfigCall(`overlay ${key}`, sysFsconfig, context, setString, key, value, 0)
    } catch (error) {
      throw explained(error, context)
    }
  }
  set('source', 'overlay')
  for (const [index, lower] of lowers.entries()) {
    try {
      set('lowerdir+', lower)
    } catch (error) {
      if (index === 0 && error instanceof KernelError && error.code === 'EINVAL') return false
      throw error
    }
  }
  if (upper !== undefined) {
    set('upperdir', upper.directory)
    set('workdir', upper.work)
  }
  set('index', 'off')
  set('metacopy', 'off')
  set('redirect_dir', 'off')
  try {
    if (volatile === true) fsconfigCall('volatile', sysFsconfig, context, setFlag, 'volatile', null, 0)
    fsconfigCall('overlay create', sysFsconfig, context, create, null, null, 0)
  } catch (error) {
    throw explained(error, context)
  }
  const mounted = fsmountCall('overlay', sysFsmount, context, cloexec, upper === undefined ? 1 : 0)
  try {
    moveMountCall(target, sysMoveMount, mounted, '', atFdCwd, target, moveEmptyPath)
  } finally {
    closeSync(mounted)
  }
  return true
}

/** The error with the kernel's own message, which reading the context gives. */
function explained(error: unknown, context: number): unknown {
  if (!(error instanceof KernelError)) return error
  const buffer = Buffer.alloc(1024)
  const length = readNative(context, buffer, buffer.length)
  if (length <= 0) return error
  return new KernelError(error.syscall, error.errno, buffer.toString('utf8', 0, length).trim())
}

function mountByOptions({ lowers, upper, target, volatile }: OverlayMount): void {
  const base = commonDirectory(
    [...lowers, upper?.directory, upper?.work].filter((path) => path !== undefined),
  )
  const relative = (path: string) => path.slice(base.length + 1).replace(/[\\,:]/g, '\\$&')
  const options = [`lowerdir=${lowers.map(relative).join(':')}`]
  if (upper !== undefined) {
    options.push(`upperdir=${relative(upper.directory)}`, `workdir=${relative(upper.work)}`)
  }
  options.push('index=off', 'metacopy=off', 'redirect_dir=off')
  if (volatile === true) options.push('volatile')
  // Relative names count from the working directory; nothing else runs between the two changes.
  const before = process.cwd()
  process.chdir(base)
  try {
    const flags = upper === undefined ? mountFlags.readOnly : 0
    mount({ source: 'overlay', target, type: 'overlay', flags, data: options.join(',') })
  } finally {
    process.chdir(before)
  }
}

function commonDirectory(paths: readonly string[]): string {
  let common = (paths[0] ?? '/').split('/').slice(0, -1)
  for (const path of paths) {
    const parts = path.split('/').slice(0, -1)
    const differs = common.findIndex((part, index) => part !== parts[index])
    if (differs !== -1) common = common.slice(0, differs)
  }
  return common.join('/')
}
