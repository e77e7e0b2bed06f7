/**
 * A container's mounts over its life: decided at create (volumes made and held), made ready at start (sources exist,
 * image content copied into new volumes), let go at exit and at rm. What create decided is kept in the container's
 * record; everything after works from that alone, also in a daemon that has been restarted.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { HostConfig } from '../spec/container-config.ts'
import type { MountPoint } from '../spec/container-types.ts'
import type { Owner } from '../lib/id-mapping.ts'
import { EngineError } from '../spec/errors.ts'
import type { ContainerId } from '../spec/ids.ts'
import type { ResolvedMount } from '../spec/task-types.ts'
import {
  bindSource,
  bindSubpath,
  canFollow,
  checkProc,
  copyUp,
  exists,
  inheritedOptions,
  rejectFile,
  removeSlot,
  type TreeCopy,
} from './mount-sources.ts'
import {
  checkDaemonRoot,
  mountConfigError,
  parseBind,
  parseMount,
  volumesFromWritable,
  type ParsedMount,
} from './mount-parser.ts'
import { anonymousLabel, type VolumeEvents, type VolumeService } from './volume-service.ts'

/** A mount as the container's record keeps it. */
export type StoredMount = {
  point: MountPoint
  anonymous: boolean
  options: string[]
  noCopy: boolean
  subpath: string
  createSource: boolean
}

/** What create asks for. */
export type MountsRequest = {
  id: ContainerId
  hostConfig: HostConfig
  volumes: string[]
  volumesFrom: { mounts: MountPoint[]; mode: string }[]
  /** Read-only binds leave what is mounted below them writable. */
  readOnlyNonRecursive?: boolean
}

/** Outcome of `prepare`. */
export type PreparedMounts = { mounts: StoredMount[]; warnings: string[]; undo(): Promise<void> }

/** Images' files as mounts, each under a key. Implemented by layers/. */
export interface ImageMounts {
  /** Makes the mount's directories; the image's layers stay for as long as it is there. Throws notFound. */
  prepare(key: string, image: string): Promise<void>
  mount(key: string): Promise<string>
  unmount(key: string): Promise<void>
  remove(key: string): Promise<void>
  /** Keys of all there are. */
  list(): Promise<string[]>
}

/** What the service stands on. */
export type ContainerMountParts = {
  volumes: VolumeService
  images: ImageMounts
  events: VolumeEvents
  copy: TreeCopy
  /** For mounts of subpaths; it need not survive a reboot. */
  runDirectory: string
  dataRoot: string
  /** The containers' root, where that is another than the host's: directories made for containers are its. */
  owner?: Owner | undefined
}

/** See the file's head. */
export class ContainerMountService {
  readonly #parts: ContainerMountParts
  readonly #volumes: VolumeService

  constructor(parts: ContainerMountParts) {
    this.#parts = parts
    this.#volumes = parts.volumes
  }

  async prepare(request: MountsRequest): Promise<PreparedMounts> {
    await using undo = new AsyncDisposableStack()
    const mounts = new Map<string, StoredMount>()
    for (const { mounts: points, mode } of request.volumesFrom) {
      this.#takeOver(request.id, points, { mode, mounts, undo })
    }
    const asked = await parseRequest(request, this.#parts.dataRoot)
    for (const parsed of asked) {
      mounts.set(parsed.destination, await this.#store(request.id, parsed, undo))
    }
    const tmpfs = new Set(Object.keys(request.hostConfig.Tmpfs ?? {}).map((path) => cleanPath(path)))
    for (const path of request.volumes.map((volume) => cleanPath(volume))) {
      if (mounts.has(path) || tmpfs.has(path)) continue
      const parsed = parseBind(path, request.hostConfig.VolumeDriver)
      mounts.set(path, await this.#store(request.id, parsed, undo))
    }
    const release = undo.move()
    return { mounts: [...mounts.values()], warnings: [], undo: async () => release.disposeAsync() }
  }

  async activate(id: ContainerId, mounts: StoredMount[], rootfs: string): Promise<ResolvedMount[]> {
    await using undo = new AsyncDisposableStack()
    const resolved: ResolvedMount[] = []
    for (const [index, stored] of mounts.entries()) {
      undo.defer(async () => this.#deactivateOne(id, stored, index))
      resolved.push(await this.#resolve(id, stored, { rootfs, index }))
    }
    undo.move()
    return resolved
  }

  /** A mount point with where its volume is now: the data root may have been moved since the container was made. */
  place(point: MountPoint): MountPoint {
    const { Type: type, Driver: driver = '', Name: name = '' } = point
    const place = type === 'volume' ? this.#volumes.placeOf(driver, name) : undefined
    return place === undefined || place === point.Source ? point : { ...point, Source: place }
  }

  async deactivate(id: ContainerId, mounts: StoredMount[]): Promise<void> {
    for (const [index, stored] of mounts.entries()) await this.#deactivateOne(id, stored, index)
  }

  async release(id: ContainerId, mounts: StoredMount[], removeAnonymous: boolean): Promise<void> {
    const names = new Map<string, boolean>()
    for (const { point, anonymous } of mounts) {
      if (point.Type === 'image') await this.#parts.images.remove(keyOf(id, point))
      else if (point.Name !== undefined) names.set(point.Name, anonymous && names.get(point.Name) !== false)
    }
    for (const [name, anonymous] of names) await this.#volumes.release(name, id, anonymous && removeAnonymous)
  }

  /** After a crash: removes images' mounts of containers that do not exist. `containers` are all that do. */
  async sweep(containers: Iterable<string>): Promise<void> {
    const known = new Set(containers)
    for (const key of await this.#parts.images.list()) {
      if (!known.has(key.split('-')[0] ?? '')) await this.#parts.images.remove(key)
    }
  }

  /** Mounts of another container, with its volumes held for this one too. */
  #takeOver(
    id: ContainerId,
    points: MountPoint[],
    { mode, mounts, undo }: { mode: string; mounts: Map<string, StoredMount>; undo: AsyncDisposableStack },
  ): void {
    const writable = volumesFromWritable(mode)
    for (const point of points) {
      if (point.Type !== 'bind' && point.Type !== 'volume') continue
      const name = point.Name
      if (name !== undefined) {
        this.#volumes.addHold(name, { container: id })
        undo.defer(async () => this.#volumes.release(name, id, false))
      }
      mounts.set(point.Destination, {
        point: { ...point, RW: point.RW && writable, Mode: mode },
        anonymous: false,
        options: ['rbind'],
        noCopy: true,
        subpath: '',
        createSource: false,
      })
    }
  }

  async #store(id: ContainerId, parsed: ParsedMount, undo: AsyncDisposableStack): Promise<StoredMount> {
    const common = {
      anonymous: false,
      options: bindOptions(parsed),
      noCopy: parsed.noCopy,
      subpath: parsed.subpath,
      createSource: parsed.createSource,
    }
    const point = {
      Type: parsed.type,
      Source: parsed.source,
      Destination: parsed.destination,
      Mode: parsed.mode,
      RW: parsed.writable,
      Propagation: parsed.propagation,
    }
    if (parsed.type === 'tmpfs') return { ...common, point: { ...point, Source: '' }, options: parsed.tmpfs }
    if (parsed.type === 'bind') return { ...common, point }
    if (parsed.type === 'image') {
      const key = keyOf(id, point)
      undo.defer(async () => this.#parts.images.remove(key))
      await this.#parts.images.prepare(key, parsed.source)
      const { Type, ...rest } = point
      return { ...common, point: { Type, Name: parsed.source, ...rest, Source: '' } }
    }
    const anonymous = parsed.source === ''
    const copyUp = !parsed.noCopy && parsed.subpath === ''
    const { record, made } = await this.#volumes.acquire(
      {
        Name: parsed.source,
        Driver: parsed.driver,
        DriverOpts: Object.keys(parsed.driverOptions).length > 0 ? parsed.driverOptions : null,
        Labels: anonymous ? { ...parsed.labels, [anonymousLabel]: '' } : parsed.labels,
        ClusterVolumeSpec: null,
      },
      { container: id, ...(copyUp && { copyUp: parsed.destination }) },
    )
    undo.defer(async () => this.#volumes.release(record.name, id, made))
    const { driver, path } = await this.#volumes.lookUp(record.name)
    const mode = parsed.mode === '' && !anonymous ? 'z' : parsed.mode
    const { Type, ...rest } = point
    return {
      ...common,
      anonymous,
      point: { Type, Name: record.name, ...rest, Source: path, Driver: driver, Mode: anonymous ? '' : mode },
    }
  }

  async #resolve(
    id: ContainerId,
    stored: StoredMount,
    { rootfs, index }: { rootfs: string; index: number },
  ): Promise<ResolvedMount> {
    const { point } = stored
    const common = { point, destination: point.Destination }
    if (point.Type === 'tmpfs') return { ...common, type: 'tmpfs', source: 'tmpfs', options: stored.options }
    const slot = this.#slot(id, index)
    const name = point.Name
    if (point.Type === 'image') {
      const directory = await this.#parts.images.mount(keyOf(id, point))
      await checkProc(directory, point.Destination)
      const what = `image ${name}`
      const source =
        stored.subpath === ''
          ? directory
          : await bindSubpath({ directory, subpath: stored.subpath, what }, slot, this.#parts.owner)
      return {
        ...common,
        point: { ...point, Source: source },
        type: 'bind',
        source,
        options: mountOptions(stored),
      }
    }
    if (name === undefined) {
      await bindSource(stored, this.#parts.owner)
      await checkProc(point.Source, point.Destination)
      return { ...common, type: 'bind', source: point.Source, options: mountOptions(stored, point.Source) }
    }
    const path = await this.#volumes.mount(name, userOf(id, point))
    await checkProc(path, point.Destination)
    this.#emit('mount', id, stored)
    rejectFile(rootfs, point.Destination)
    if (this.#volumes.pendingCopyUps(name, id).includes(point.Destination)) {
      await copyUp({ rootfs, destination: point.Destination }, path, this.#parts.copy)
      this.#volumes.copiedUp(name, id)
    }
    const source =
      stored.subpath === ''
        ? path
        : await bindSubpath(
            { directory: path, subpath: stored.subpath, what: `volume ${name}` },
            slot,
            this.#parts.owner,
          )
    // A directory of the engine's own is on its data root, which forbids nothing.
    const options = mountOptions(stored, this.#volumes.isPlain(name) ? undefined : path)
    return { ...common, type: 'bind', source, options }
  }

  async #deactivateOne(id: ContainerId, stored: StoredMount, index: number): Promise<void> {
    const { point, subpath } = stored
    const name = point.Name
    if (name === undefined) return
    if (subpath !== '') await removeSlot(this.#slot(id, index))
    if (point.Type === 'image') {
      await this.#parts.images.unmount(keyOf(id, point))
      return
    }
    await this.#volumes.unmount(name, userOf(id, point))
    this.#emit('unmount', id, stored)
  }

  #slot(id: ContainerId, index: number): string {
    return join(this.#parts.runDirectory, id, String(index))
  }

  #emit(action: 'mount' | 'unmount', id: ContainerId, { point }: StoredMount): void {
    const attributes: Record<string, string> = { driver: point.Driver ?? 'local', container: id }
    if (action === 'mount') {
      attributes['destination'] = point.Destination
      attributes['read/write'] = String(point.RW)
      attributes['propagation'] = point.Propagation
    }
    this.#parts.events.emit({ type: 'volume', action, id: point.Name ?? '', attributes })
  }
}

/** All mounts of a host configuration, each destination once. Throws invalid. */
async function parseRequest(
  { hostConfig, readOnlyNonRecursive = false }: MountsRequest,
  dataRoot: string,
): Promise<ParsedMount[]> {
  const parsed = (hostConfig.Binds ?? []).map((text) => parseBind(text, hostConfig.VolumeDriver))
  for (const asked of hostConfig.Mounts ?? []) {
    const each = parseMount(asked)
    if (each.type === 'bind' && !each.createSource && !(await exists(each.source))) {
      throw mountConfigError('bind', `bind source path does not exist: ${each.source}`)
    }
    parsed.push(each)
  }
  if (readOnlyNonRecursive) for (const each of parsed) if (each.type === 'bind') each.readonlyDepth = 'top'
  for (const [index, each] of parsed.entries()) {
    const checked = checkDaemonRoot(each, dataRoot)
    // As Docker: what it adds itself only where the source's mount can be followed.
    if (checked !== each && canFollow(each.source)) parsed[index] = checked
  }
  const taken = new Set(Object.keys(hostConfig.Tmpfs ?? {}).map((path) => cleanPath(path)))
  for (const { destination } of parsed) {
    if (taken.has(destination)) throw new EngineError('invalid', `Duplicate mount point: ${destination}`)
    taken.add(destination)
  }
  return parsed
}

function bindOptions(parsed: ParsedMount): string[] {
  const options = [parsed.nonRecursive ? 'bind' : 'rbind']
  // Alone, a mount has nothing below it; and crun takes the `r` of the propagation for the bind's.
  if (parsed.propagation !== '')
    options.push(parsed.nonRecursive ? parsed.propagation.replace(/^r/, '') : parsed.propagation)
  if (!parsed.writable && parsed.readonlyDepth !== 'top' && !parsed.nonRecursive) options.push('rro')
  return options
}

/**
 * Read-only is taken from the mount point; `rro` (in `options`) carries it into submounts. What the mount of `source`
 * forbids stays forbidden.
 */
function mountOptions({ point, options }: StoredMount, source?: string): string[] {
  const kept = point.RW ? options.filter((option) => option !== 'rro') : [...options, 'ro']
  const inherited = source === undefined ? [] : inheritedOptions(source)
  return [...kept, ...inherited.filter((option) => !kept.includes(option))]
}

/** What a mount of a container is called to a volume's driver: the same after a restart of the daemon. */
function userOf(id: ContainerId, { Destination: destination }: MountPoint): string {
  return createHash('sha256').update(`${id}:${destination}`).digest('hex')
}

/** Names an image's mount: the container's id first, so that it can be told whose it is. */
function keyOf(id: ContainerId, point: Pick<MountPoint, 'Destination'>): string {
  return `${id}-${createHash('sha256').update(point.Destination).digest('hex').slice(0, 16)}`
}

function cleanPath(path: string): string {
  return join('/', path).replace(/(.)\/$/, '$1')
}
