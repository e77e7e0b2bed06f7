/**
 * Mounts as users write them: the forms of `-v` (`/path`, `source:/path[:mode]`) and the objects of `--mount`, checked
 * and brought into one shape. Rules and texts are Docker's (moby, volume/mounts/linux_parser.go).
 */
import { posix } from 'node:path'
import type { Mount } from '../spec/container-config.ts'
import { EngineError, errorMessage } from '../spec/errors.ts'
import { tmpfsOptions } from '../kernel/mount-options.ts'

/** One mount, whichever way it was written. */
export type ParsedMount = {
  type: 'bind' | 'volume' | 'tmpfs' | 'image'
  /** Host path of a bind, name of a volume or image; empty for an anonymous volume. */
  source: string
  destination: string
  writable: boolean
  /** As written after the second colon of `-v`. */
  mode: string
  /** For binds; empty for volumes that name none. */
  propagation: string
  /** Whether that is the user's word. */
  namesPropagation: boolean
  nonRecursive: boolean
  /** How far read-only goes: down into submounts where it can, only the top, or fail where it cannot. */
  readonlyDepth: 'recursive' | 'top' | 'forced'
  noCopy: boolean
  subpath: string
  /** A missing bind source is made (`-v`, `bind-create-src`), not refused. */
  createSource: boolean
  driver: string
  driverOptions: Record<string, string>
  labels: Record<string, string> | null
  /** Options of a tmpfs over the safe defaults. */
  tmpfs: string[]
}

const propagations = new Set(['private', 'rprivate', 'slave', 'rslave', 'shared', 'rshared'])
const modeGroups: readonly ReadonlySet<string>[] = [
  new Set(['rw', 'ro']),
  new Set(['z', 'Z']),
  propagations,
  new Set(['nocopy']),
  new Set(['consistent', 'cached', 'delegated']),
]

/** Whether the text may stand after the second colon: known words, at most one of a kind. */
export function isValidMode(mode: string): boolean {
  if (mode === '') return true
  const words = mode.split(',')
  if (!words.every((word) => modeGroups.some((group) => group.has(word)))) return false
  return modeGroups.every((group) => words.filter((word) => group.has(word)).length <= 1)
}

/** One entry of `Binds`. Throws invalid. */
export function parseBind(text: string, volumeDriver: string): ParsedMount {
  const invalid = (reason = '') =>
    new EngineError('invalid', `invalid volume specification: '${text}'${reason === '' ? '' : `: ${reason}`}`)
  const parts = text.split(':')
  const [first = '', second, mode = ''] = parts
  if (first === '' || parts.length > 3 || text.includes('\0')) throw invalid()
  if (second !== undefined && parts.length === 2 && isValidMode(second)) throw invalid()
  if (!isValidMode(mode)) throw new EngineError('invalid', `invalid mode: ${mode}`)
  const source = second === undefined ? '' : first
  const words = mode.split(',')
  const propagation = words.find((word) => propagations.has(word)) ?? ''
  const bind = source.startsWith('/')
  try {
    if (!bind && propagation !== '') throw new Error('field BindOptions must not be specified')
    checkTarget(second ?? first)
  } catch (error) {
    const reason = `invalid mount config for type "${bind ? 'bind' : 'volume'}": ${errorMessage(error)}`
    throw invalid(reason)
  }
  return {
    ...blank,
    type: bind ? 'bind' : 'volume',
    source: bind ? posix.normalize(source).replace(/(.)\/$/, '$1') : source,
    destination: cleanTarget(second ?? first),
    writable: !words.includes('ro'),
    mode,
    propagation: bind ? propagation || 'rprivate' : '',
    namesPropagation: propagation !== '',
    noCopy: words.includes('nocopy'),
    createSource: bind,
    driver: bind ? '' : volumeDriver,
  }
}

/** One entry of `Mounts`. Whether a bind's source exists is the caller's to check. Throws invalid. */
export function parseMount(mount: Mount): ParsedMount {
  try {
    checkTarget(mount.Target)
    const common = { ...blank, destination: cleanTarget(mount.Target), writable: !mount.ReadOnly }
    switch (mount.Type) {
      case 'bind':
        return { ...common, ...parseBindMount(mount) }
      case 'volume':
        return { ...common, ...parseVolumeMount(mount) }
      case 'tmpfs':
        return { ...common, ...parseTmpfsMount(mount) }
      case 'image':
        return { ...common, ...parseImageMount(mount) }
      default:
        throw new Error('mount type unknown')
    }
  } catch (error) {
    throw mountConfigError(mount.Type, errorMessage(error))
  }
}

/** Docker's wrapping of what is wrong with a `--mount`. */
export function mountConfigError(type: string, reason: string): EngineError {
  return new EngineError('invalid', `invalid mount config for type ${JSON.stringify(type)}: ${reason}`)
}

/** The mode of `--volumes-from`: whether it leaves mounts writable. Throws invalid. */
export function volumesFromWritable(mode: string): boolean {
  const words = mode === '' ? [] : mode.split(',')
  const refused = words.some((word) => propagations.has(word) || word === 'nocopy')
  if (!isValidMode(mode) || refused) throw new EngineError('invalid', `invalid mode: ${mode}`)
  return !words.includes('ro')
}

const blank = {
  source: '',
  mode: '',
  propagation: '',
  namesPropagation: false,
  nonRecursive: false,
  readonlyDepth: 'recursive' as const,
  noCopy: false,
  subpath: '',
  createSource: false,
  driver: '',
  driverOptions: {},
  labels: null,
  tmpfs: [],
}

function parseBindMount(mount: Mount): Partial<ParsedMount> & { type: 'bind' } {
  if (mount.ImageOptions !== null) throw new Error('field ImageOptions must not be specified')
  if (mount.Source === '') throw new Error('field Source must not be empty')
  const options = mount.BindOptions
  const propagation = options?.Propagation ?? ''
  if (propagation !== '' && !propagations.has(propagation)) {
    throw new Error(`invalid propagation mode: ${propagation}`)
  }
  if (mount.VolumeOptions !== null) throw new Error('field VolumeOptions must not be specified')
  if (mount.TmpfsOptions !== null) throw new Error('field TmpfsOptions must not be specified')
  checkAbsolute(mount.Source)
  const forced = options?.ReadOnlyForceRecursive === true
  if (forced && options.ReadOnlyNonRecursive) {
    throw new Error('ReadOnlyForceRecursive and ReadOnlyNonRecursive cannot both be set')
  }
  return {
    type: 'bind',
    source: posix.normalize(mount.Source).replace(/(.)\/$/, '$1'),
    propagation: propagation || 'rprivate',
    namesPropagation: propagation !== '',
    nonRecursive: options?.NonRecursive ?? false,
    readonlyDepth: forced ? 'forced' : options?.ReadOnlyNonRecursive === true ? 'top' : 'recursive',
    createSource: options?.CreateMountpoint ?? false,
  }
}

function parseVolumeMount(mount: Mount): Partial<ParsedMount> & { type: 'volume' } {
  if (mount.ImageOptions !== null) throw new Error('field ImageOptions must not be specified')
  if (mount.BindOptions !== null) throw new Error('field BindOptions must not be specified')
  if (mount.TmpfsOptions !== null) throw new Error('field TmpfsOptions must not be specified')
  const options = mount.VolumeOptions
  const subpath = options?.Subpath ?? ''
  if (subpath !== '') {
    if (mount.Source === '') throw new Error('must not set Subpath when using anonymous volumes')
    if (!isLocalPath(subpath)) throw new Error('subpath must be a relative path within the volume')
  }
  if (mount.ReadOnly && mount.Source === '') {
    throw new Error('must not set ReadOnly mode when using anonymous volumes')
  }
  return {
    type: 'volume',
    source: mount.Source,
    noCopy: options?.NoCopy ?? false,
    subpath,
    labels: options?.Labels ?? null,
    driver: options?.DriverConfig?.Name ?? '',
    driverOptions: options?.DriverConfig?.Options ?? {},
    mode: 'z',
  }
}

function parseTmpfsMount(mount: Mount): Partial<ParsedMount> & { type: 'tmpfs' } {
  if (mount.ImageOptions !== null) throw new Error('field ImageOptions must not be specified')
  if (mount.BindOptions !== null) throw new Error('field BindOptions must not be specified')
  if (mount.VolumeOptions !== null) throw new Error('field VolumeOptions must not be specified')
  if (mount.Source !== '') throw new Error('field Source must not be specified')
  const { Mode: mode = 0, SizeBytes: size = 0, Options: given = null } = mount.TmpfsOptions ?? {}
  const options: string[] = mount.ReadOnly ? ['ro'] : []
  if (mode !== 0) options.push(`mode=${mode.toString(8)}`)
  if (size !== 0) options.push(`size=${size}`)
  for (const option of given ?? []) {
    const [name = ''] = option
    if (option.length < 1 || option.length > 2) throw new Error('invalid option array length')
    if (name !== 'exec' && name !== 'noexec') throw new Error(`invalid option: ${name}`)
    options.push(option.join('='))
  }
  return { type: 'tmpfs', tmpfs: tmpfsOptions(options.join(',')) }
}

/** Images are read-only whatever was asked. */
function parseImageMount(mount: Mount): Partial<ParsedMount> & { type: 'image' } {
  if (mount.BindOptions !== null) throw new Error('field BindOptions must not be specified')
  if (mount.VolumeOptions !== null) throw new Error('field VolumeOptions must not be specified')
  if (mount.TmpfsOptions !== null) throw new Error('field TmpfsOptions must not be specified')
  if (mount.Source === '') throw new Error('field Source must not be empty')
  const subpath = mount.ImageOptions?.Subpath ?? ''
  if (subpath !== '' && !isLocalPath(subpath)) {
    throw new Error('subpath must be a relative path within the image')
  }
  return {
    type: 'image',
    source: mount.Source,
    subpath,
    writable: false,
    propagation: 'rprivate',
    noCopy: true,
  }
}

/**
 * A bind that takes the data root along, or lies in it, must let go of containers' mounts when the daemon does.
 * Throws invalid for a propagation that would not (moby daemon/volumes_linux.go, validateBindDaemonRoot).
 */
export function checkDaemonRoot(parsed: ParsedMount, dataRoot: string): ParsedMount {
  const { type, source, propagation, namesPropagation } = parsed
  const isWithin = (path: string, above: string) =>
    path === above || path.startsWith(above.endsWith('/') ? above : `${above}/`)
  if (type !== 'bind' || !(isWithin(source, dataRoot) || isWithin(dataRoot, source))) return parsed
  if (!namesPropagation) return { ...parsed, propagation: 'rslave' }
  if (propagation === 'rslave' || propagation === 'rshared') return parsed
  throw new EngineError(
    'invalid',
    `invalid mount config: must use either propagation mode "rslave" or "rshared" when mount source is within the daemon root, daemon root: ${JSON.stringify(dataRoot)}, bind mount source: ${JSON.stringify(source)}, propagation: ${JSON.stringify(propagation)}`,
  )
}

function checkTarget(target: string): void {
  if (target === '') throw new Error('field Target must not be empty')
  if (posix.normalize(target).replace(/(.)\/$/, '$1') === '/') {
    throw new Error("invalid specification: destination can't be '/'")
  }
  checkAbsolute(target)
}

function checkAbsolute(path: string): void {
  if (!path.startsWith('/')) throw new Error(`invalid mount path: '${path}' mount path must be absolute`)
}

/** Without `..` that leads above `/`, doubled slashes or one at the end. */
function cleanTarget(target: string): string {
  return posix.resolve('/', target)
}

/** Go's filepath.IsLocal: relative, and never above where it starts. */
function isLocalPath(path: string): boolean {
  if (path === '' || path.startsWith('/') || path.includes('\0')) return false
  let depth = 0
  for (const part of path.split('/')) {
    if (part === '..') depth -= 1
    else if (part !== '' && part !== '.') depth += 1
    if (depth < 0) return false
  }
  return true
}
