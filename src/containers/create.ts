/** `POST /containers/create`: checks, then files, then the row; whatever fails, nothing is left behind. */
import { formatTimeNs } from '../lib/clock.ts'
import type { ContainerConfig, ContainerCreateRequest, HostConfig } from '../spec/container-config.ts'
import { EngineError } from '../spec/errors.ts'
import { containerId, digest, type ContainerId } from '../spec/ids.ts'
import type { Platform, ResolvedImage } from '../spec/image-types.ts'
import type { Container } from './container.ts'
import { settleAll, type Core } from './core.ts'
import { completeHostConfig, hostnameFor } from './host-config.ts'
import { commandOf, mergeImageConfig } from './image-config.ts'
import { parseVolumesFrom } from './modes.ts'
import { inventName, parseContainerName } from './names.ts'
import type { StoredMount } from './ports.ts'
import { createdState, type ContainerRecord } from './record.ts'
import { networksOf, resolveLinks, sandboxRequest } from './sandbox-request.ts'
import { validateConfig, validateHostConfig } from './validate.ts'

/** Id of no image: a container made from nothing. */
export const noImage = digest(`sha256:${'0'.repeat(64)}`)

type Plan = {
  id: ContainerId
  config: ContainerConfig
  hostConfig: HostConfig
  image: ResolvedImage | undefined
  readOnlyNonRecursive: boolean
  warnings: string[]
}

/** Makes a container; see the file's head. */
export async function createContainer(
  core: Core,
  request: ContainerCreateRequest,
  options: { name: string; platform: string },
  signal: AbortSignal,
): Promise<{ container: Container; warnings: string[] }> {
  core.ports.runtime.prewarm()
  const plan = makePlan(core, request, options.platform)
  const { id } = plan
  await using undo = new AsyncDisposableStack()
  const name = chooseName(core, options.name, id)
  undo.use(core.registry.reserveName(name, id))
  const createdNs = core.clock.nowNs()
  const draft: ContainerRecord = {
    id,
    name,
    createdAt: formatTimeNs(createdNs),
    imageId: plan.image?.id ?? noImage,
    imageManifest: plan.image?.manifest === undefined ? null : { ...plan.image.manifest },
    platform: plan.image?.platform.os ?? 'linux',
    ...commandOf(plan.config),
    config: plan.config,
    hostConfig: { ...plan.hostConfig, Links: null },
    networks: networksOf(request, plan.hostConfig, core.ports.networking),
    links: resolveLinks(plan.hostConfig, core.registry),
    mounts: [],
    state: createdState,
    restartCount: 0,
    manuallyStopped: false,
    startedBefore: false,
    sandbox: null,
    activeMounts: [],
    rootfs: '',
  }
  validateNetworks(core, draft)
  signal.throwIfAborted()
  const mounts = await makeFiles(core, plan, undo)
  await core.faults.reach('create:after-files')
  signal.throwIfAborted()
  const container = core.registry.add({ ...draft, mounts: mounts.mounts }, createdNs)
  undo.move()
  await core.faults.reach('create:after-row')
  core.emit(container, 'create')
  return { container, warnings: [...plan.warnings, ...mounts.warnings] }
}

/** Checks everything that can be checked before anything is made. */
function makePlan(core: Core, request: ContainerCreateRequest, platform: string): Plan {
  const settings = core.settings()
  const id = containerId(core.ids.hex64())
  validateConfig(request.config)
  validateHostConfig(request.config, request.hostConfig)
  const hostConfig = completeHostConfig(request.hostConfig, settings, core.registry)
  const warnings = [...core.ports.runtime.validate(hostConfig)]
  const { Type, Config } = hostConfig.LogConfig
  core.ports.logs.validate(Type, Config ?? {})
  const image = findImage(core, request.config.Image, parsePlatform(platform))
  if (image !== undefined && platform === '' && !runsHere(image.platform, settings.platform)) {
    warnings.push(
      `The requested image's platform (${formatPlatform(image.platform)}) does not match the detected host platform (${formatPlatform(settings.platform)}) and no specific platform was requested`,
    )
  }
  const config = mergeImageConfig(request.config, image?.config)
  validateConfig(config)
  config.Hostname = hostnameFor(config, hostConfig, { id, host: core.host.hostname })
  const readOnlyNonRecursive = request.readOnlyNonRecursive ?? false
  return { id, config, hostConfig, image, readOnlyNonRecursive, warnings }
}

function findImage(core: Core, reference: string, platform: Platform | undefined): ResolvedImage | undefined {
  return reference === '' ? undefined : core.ports.images.resolve(reference, platform)
}

/** Makes directory, writable layer and volumes side by side, each with its undoing. */
async function makeFiles(
  core: Core,
  { id, hostConfig, config, image, readOnlyNonRecursive }: Plan,
  undo: AsyncDisposableStack,
): Promise<{ mounts: StoredMount[]; warnings: string[] }> {
  const directory = core.directoryOf(id)
  undo.defer(() => core.host.removeDirectory(directory))
  const volumesFrom = (hostConfig.VolumesFrom ?? []).map((text) => {
    const { container, mode } = parseVolumesFrom(text)
    const source = core.registry.find(container)
    // Not a 404, which would make a client take the image for missing (moby daemon/volumes_unix.go).
    if (source === undefined) throw new EngineError('invalid', `No such container: ${container}`)
    return { mounts: source.record.mounts.map(({ point }) => point), mode }
  })
  const makeRootfs = async () => {
    // A container that removes itself is not there after a power cut anyway.
    const durable = !hostConfig.AutoRemove
    await core.ports.rootfs.prepare(id, image?.topLayer, hostConfig.StorageOpt ?? {}, { durable })
    undo.defer(() => core.ports.rootfs.remove(id))
  }
  const makeMounts = async () => {
    const volumes = Object.keys(config.Volumes ?? {})
    const request = { id, hostConfig, volumes, volumesFrom, readOnlyNonRecursive }
    const prepared = await core.ports.mounts.prepare(request)
    undo.defer(() => prepared.undo())
    return prepared
  }
  core.host.makeDirectory(directory)
  const [, prepared] = await settleAll([makeRootfs(), makeMounts()])
  return { mounts: prepared.mounts, warnings: prepared.warnings }
}

function chooseName(core: Core, asked: string, id: ContainerId): string {
  if (asked !== '') return parseContainerName(asked)
  return inventName((name) => core.registry.isNameTaken(name), core.random) ?? id.slice(0, 12)
}

/** Asks the networks to check addresses, aliases and ports. One that is not there yet is a matter of the start. */
function validateNetworks(core: Core, record: ContainerRecord): void {
  if (record.hostConfig.NetworkMode.startsWith('container:')) return
  try {
    core.ports.networking.validate(sandboxRequest(core, { record }))
  } catch (error) {
    if (error instanceof EngineError && error.kind === 'notFound') return
    throw error
  }
}

function parsePlatform(text: string): Platform | undefined {
  if (text === '') return undefined
  const [os, architecture, variant, ...rest] = text.toLowerCase().split('/')
  if (os === undefined || os === '' || rest.length > 0 || !/^[a-z0-9_.-]+(\/[a-z0-9_.-]+)*$/i.test(text)) {
    throw new EngineError(
      'invalid',
      `"${text}" is an invalid component of "${text}": platform specifier component must match "^[A-Za-z0-9_.-]+$"`,
    )
  }
  if (architecture === undefined) {
    // One component names either; `linux` is the only system that runs here.
    return os === 'linux' ? undefined : { os: 'linux', architecture: os }
  }
  return { os, architecture, ...(variant === undefined ? {} : { variant }) }
}

function runsHere(image: Platform, host: Platform): boolean {
  return image.os === host.os && (image.architecture === '' || image.architecture === host.architecture)
}

function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant ?? ''].filter((part) => part !== '').join('/')
}
