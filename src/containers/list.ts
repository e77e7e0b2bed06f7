/** `GET /containers/json`: newest first. */
import { parseTimeNs } from '../lib/clock.ts'
import type { ContainerSummary, PortSummary } from '../spec/container-types.ts'
import { EngineError } from '../spec/errors.ts'
import type { Container } from './container.ts'
import type { Filters } from './contract.ts'
import type { Core } from './core.ts'
import { endpointsOf, mountPoints } from './inspect.ts'
import { parseListFilters } from './list-filters.ts'
import { statusOf, type ContainerRecord } from './record.ts'
import { statusText } from './status-text.ts'

/** Options of the request. A limit of 0 is none. */
export type ListOptions = { all: boolean; limit: number; size: boolean; filters: Filters }

/** See the file's head. */
export async function listContainers(core: Core, options: ListOptions): Promise<ContainerSummary[]> {
  const filters = parseListFilters(core, options.filters)
  const showsStopped = options.all || options.limit > 0 || filters.showsStopped
  const names = linkNames(core)
  const images = new Map<string, string | undefined>()
  const found: ContainerSummary[] = []
  let skipping = filters.before !== undefined
  for (const container of core.registry.all().reverse()) {
    if (skipping) {
      skipping = container !== filters.before
      continue
    }
    if (container === filters.since) break
    if (options.limit > 0 && found.length === options.limit) break
    if ((container.state.running || showsStopped) && filters.matches(container)) {
      found.push(summarize(core, container, { names, images }))
    }
  }
  if (options.size) await addSizes(core, found)
  return found
}

type Caches = { names: Map<string, string[]>; images: Map<string, string | undefined> }

function summarize(core: Core, container: Container, { names, images }: Caches): ContainerSummary {
  const { record, id } = container
  const { Annotations, NetworkMode } = record.hostConfig
  const { health } = record.state
  return {
    Id: id,
    Names: [`/${record.name}`, ...(names.get(id) ?? [])],
    Image: imageName(core, record, images),
    ImageID: record.imageId,
    ...(record.imageManifest === null ? {} : { ImageManifestDescriptor: record.imageManifest }),
    Command: commandText(record),
    Created: Number((parseTimeNs(record.createdAt) ?? 0n) / 1_000_000_000n),
    Ports: portSummaries(record),
    Labels: record.config.Labels ?? {},
    State: statusOf(record.state),
    Status: statusText(record.state, core.clock.nowMs()),
    ...(health === null ? {} : { Health: { Status: health.Status, FailingStreak: health.FailingStreak } }),
    HostConfig: { NetworkMode, ...(Annotations === null ? {} : { Annotations }) },
    NetworkSettings: { Networks: endpointsOf(record) },
    Mounts: mountPoints(core, record),
  }
}

/** The name it was made from, as long as that still names the same image; then the id. */
function imageName(core: Core, record: ContainerRecord, cache: Caches['images']): string {
  const reference = record.config.Image
  if (reference === '' || reference === record.imageId) return record.imageId
  if (!cache.has(reference)) {
    try {
      cache.set(reference, core.ports.images.resolve(reference).id)
    } catch (error) {
      if (!(error instanceof EngineError)) throw error
      cache.set(reference, undefined)
    }
  }
  return cache.get(reference) === record.imageId ? reference : record.imageId
}

function commandText(record: ContainerRecord): string {
  const args = record.args.map((arg) => (arg.includes(' ') ? `'${arg}'` : arg))
  return [record.path, ...args].join(' ')
}

function portSummaries(record: ContainerRecord): PortSummary[] {
  return Object.entries(record.sandbox?.ports ?? {})
    .flatMap(([port, bindings]): PortSummary[] => {
      const [number, Type = 'tcp'] = port.split('/')
      const PrivatePort = Number(number)
      if (bindings === null || bindings.length === 0) return [{ PrivatePort, Type }]
      return bindings.map(({ HostIp, HostPort }) => ({
        IP: HostIp,
        PrivatePort,
        PublicPort: Number(HostPort),
        Type,
      }))
    })
    .sort((a, b) => a.PrivatePort - b.PrivatePort || a.Type.localeCompare(b.Type))
}

/** `/parent/alias` names by the linked container's id. */
function linkNames(core: Core): Map<string, string[]> {
  const names = new Map<string, string[]>()
  for (const { record } of core.registry.all()) {
    for (const { id, alias } of record.links) {
      names.set(id, [...(names.get(id) ?? []), `/${record.name}/${alias}`])
    }
  }
  return names
}

/** Sizes need a walk each: a few at a time. */
async function addSizes(core: Core, found: ContainerSummary[]): Promise<void> {
  const rest = [...found]
  const walk = async () => {
    for (let summary = rest.shift(); summary !== undefined; summary = rest.shift()) {
      const id = core.registry.byId(summary.Id)?.id
      if (id === undefined) continue
      const usage = await core.ports.rootfs.usage(id)
      // Docker shows no size where nothing was written.
      if (usage.writableBytes > 0) summary.SizeRw = usage.writableBytes
      summary.SizeRootFs = usage.rootBytes
    }
  }
  await Promise.all(Array.from({ length: 4 }, walk))
}
