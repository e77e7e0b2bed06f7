/**
 * A container's mounts over its life: decided at create (volumes made and held), made ready at start (sources exist,
 * image content copied into new volumes), let go at exit and at rm. What create decided is kept in the container's
 * record; everything after works from that alone, also in a daemon that has been restarted.
 */
import { mkdir, readdir, rm, rmdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { HostConfig } from '../spec/container-config.ts'
import type { MountPoint } from '../spec/container-types.ts'
import { EngineError, errorCode, errorMessage } from '../spec/errors.ts'
import type { ContainerId } from '../spec/ids.ts'
import type { ResolvedMount } from '../spec/task-types.ts'
import { copyTree } from '../kernel/copy-tree.ts'
import { mount, mountFlags, unmount } from '../kernel/mount.ts'
import { lstatInRoot, openFlags, openInRoot } from '../kernel/scoped-path.ts'
import {
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
}

/** Outcome of `prepare`. */
export type PreparedMounts = { mounts: StoredMount[]; warnings: string[]; undo(): Promise<void> }

/** See the file's head. */
export class ContainerMountService {
  readonly #volumes: VolumeService
  readonly #events: VolumeEvents
  readonly #runDirectory: string

  /** `runDirectory` is for mounts of volume subpaths; it need not survive a reboot. */
  constructor(volumes: VolumeService, events: VolumeEvents, runDirectory: string) {
    this.#volumes = volumes
    this.#events = events
    this.#runDirectory = runDirectory
  }

  async prepare(request: MountsRequest): Promise<PreparedMounts> {
    await using undo = new AsyncDisposableStack()
    const mounts = new Map<string, StoredMount>()
    for (const { mounts: points, mode } of request.volumesFrom) {
      this.#takeOver(request.id, points, { mode, mounts, undo })
    }
    const asked = await parseRequest(request.hostConfig)
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

  async deactivate(id: ContainerId, mounts: StoredMount[]): Promise<void> {
    for (const [index, stored] of mounts.entries()) await this.#deactivateOne(id, stored, index)
  }

  async release(id: ContainerId, mounts: StoredMount[], removeAnonymous: boolean): Promise<void> {
    const names = new Map<string, boolean>()
    for (const { point, anonymous } of mounts) {
      if (point.Name !== undefined) names.set(point.Name, anonymous && names.get(point.Name) !== false)
    }
    for (const [name, anonymous] of names) await this.#volumes.release(name, id, anonymous && removeAnonymous)
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
    const { driver, path } = this.#volumes.lookUp(record.name)
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
    if (point.Name === undefined) {
      await bindSource(stored)
      return { ...common, type: 'bind', source: point.Source, options: mountOptions(stored) }
    }
    const path = await this.#volumes.mount(point.Name, id)
    this.#emit('mount', id, stored)
    rejectFile(rootfs, point.Destination)
    if (this.#volumes.pendingCopyUps(point.Name, id).includes(point.Destination)) {
      await copyUp(rootfs, point.Destination, path)
      this.#volumes.copiedUp(point.Name, id)
    }
    const source = stored.subpath === '' ? path : await this.#bindSubpath(path, stored, this.#slot(id, index))
    return { ...common, type: 'bind', source, options: mountOptions(stored) }
  }

  /**
   * The subpath as a mount of our own: resolved once, inside the volume, so that a container sharing the volume
   * cannot swap it for a link to the host before the runtime looks.
   */
  async #bindSubpath(volume: string, { subpath, point }: StoredMount, slot: string): Promise<string> {
    const missing = (reason: string, cause?: unknown) =>
      new EngineError(
        'invalid',
        `cannot access path ${join(volume, subpath)} of volume ${point.Name}: ${reason}`,
        {
          cause,
        },
      )
    try {
      using file = openInRoot(volume, subpath, openFlags.O_PATH)
      await mkdir(dirname(slot), { recursive: true, mode: 0o700 })
      const directory = (await stat(file.path)).isDirectory()
      await (directory ? mkdir(slot, { recursive: true }) : writeFile(slot, ''))
      // The descriptor itself is the source: a bind of its /proc link is a bind of the very file.
      mount({ source: file.path, target: slot, flags: mountFlags.bind | mountFlags.recursive })
      return slot
    } catch (error) {
      const code = errorCode(error)
      if (code === 'ENOENT') throw missing('no such file or directory', error)
      if (code === 'ELOOP' || code === 'ENOTDIR') throw missing(errorMessage(error), error)
      throw error
    }
  }

  async #deactivateOne(id: ContainerId, stored: StoredMount, index: number): Promise<void> {
    const name = stored.point.Name
    if (name === undefined) return
    if (stored.subpath !== '') await removeSlot(this.#slot(id, index))
    await this.#volumes.unmount(name, id)
    this.#emit('unmount', id, stored)
  }

  #slot(id: ContainerId, index: number): string {
    return join(this.#runDirectory, id, String(index))
  }

  #emit(action: 'mount' | 'unmount', id: ContainerId, { point }: StoredMount): void {
    const attributes: Record<string, string> = { driver: point.Driver ?? 'local', container: id }
    if (action === 'mount') {
      attributes['destination'] = point.Destination
      attributes['read/write'] = String(point.RW)
      attributes['propagation'] = point.Propagation
    }
    this.#events.emit({ type: 'volume', action, id: point.Name ?? '', attributes })
  }
}

/** All mounts of a host configuration, each destination once. Throws invalid. */
async function parseRequest(hostConfig: HostConfig): Promise<ParsedMount[]> {
  const parsed = (hostConfig.Binds ?? []).map((text) => parseBind(text, hostConfig.VolumeDriver))
  for (const asked of hostConfig.Mounts ?? []) {
    const each = parseMount(asked)
    if (each.type === 'bind' && !each.createSource && !(await exists(each.source))) {
      throw mountConfigError('bind', `bind source path does not exist: ${each.source}`)
    }
    parsed.push(each)
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
  if (parsed.propagation !== '') options.push(parsed.propagation)
  if (!parsed.writable && parsed.readonlyDepth !== 'top' && !parsed.nonRecursive) options.push('rro')
  return options
}

/** Read-only is taken from the mount point; `rro` (in `options`) carries it into submounts. */
function mountOptions({ point, options }: StoredMount): string[] {
  return point.RW ? options.filter((option) => option !== 'rro') : [...options, 'ro']
}

/** Makes a missing source where the mount asks for it. Throws invalid otherwise. */
async function bindSource({ point, createSource }: StoredMount): Promise<void> {
  if (await exists(point.Source)) return
  if (!createSource) throw mountConfigError('bind', `bind source path does not exist: ${point.Source}`)
  try {
    await mkdir(point.Source, { recursive: true })
  } catch (error) {
    throw new EngineError(
      'internal',
      `error while creating mount source path '${point.Source}': ${errorMessage(error)}`,
      { cause: error },
    )
  }
}

function rejectFile(rootfs: string, destination: string): void {
  try {
    if (lstatInRoot(rootfs, destination).isFile()) {
      throw new EngineError('internal', `cannot mount volume over existing file, file exists ${destination}`)
    }
  } catch (error) {
    if (error instanceof EngineError) throw error
    if (!['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errorCode(error) ?? '')) throw error
  }
}

/** Copies what the image has at the destination into the volume, if the volume is empty. */
async function copyUp(rootfs: string, destination: string, volume: string): Promise<void> {
  if ((await readdir(volume)).length > 0) return
  try {
    using source = openInRoot(rootfs, destination, openFlags.O_PATH | openFlags.O_DIRECTORY)
    await copyTree(source.path, volume)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'ENOTDIR' && errorCode(error) !== 'ELOOP')
      throw error
  }
}

async function removeSlot(slot: string): Promise<void> {
  try {
    unmount(slot, { detached: true })
  } catch (error) {
    if (errorCode(error) !== 'EINVAL' && errorCode(error) !== 'ENOENT') throw error
  }
  await rm(slot, { recursive: true, force: true })
  await rmdir(dirname(slot)).catch(ignoreFull)
}

function ignoreFull(error: unknown): void {
  const code = errorCode(error)
  if (code !== 'ENOTEMPTY' && code !== 'ENOENT') throw error
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return false
    throw error
  }
}

function cleanPath(path: string): string {
  return join('/', path).replace(/(.)\/$/, '$1')
}
