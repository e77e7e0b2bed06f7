/** `GET /system/df`: what containers, images and volumes take on disk, and how much of it nobody needs. */
import type { ImagesUsage } from '../images/image-usage.ts'
import type { ContainerSummary } from '../spec/container-types.ts'
import type { DiskUsage } from '../spec/system-types.ts'
import type { Volume } from '../spec/volume-types.ts'
import type { UsageKind } from './routes/system.ts'

/** Where the numbers come from. */
export type UsageSources = {
  /** All containers with their sizes. */
  containers: () => Promise<ContainerSummary[]>
  images: () => Promise<ImagesUsage>
  /** All volumes, with their sizes. */
  volumes: () => Promise<Volume[]>
}

/** Asks only for the kinds wanted: each walks file trees. */
export async function diskUsage(sources: UsageSources, kinds: ReadonlySet<UsageKind>): Promise<DiskUsage> {
  const [containers, images, volumes] = await Promise.all([
    kinds.has('container') ? sources.containers() : undefined,
    kinds.has('image') ? sources.images() : undefined,
    kinds.has('volume') ? sources.volumes() : undefined,
  ])
  return {
    ...(images === undefined ? {} : imageUsage(images)),
    ...(containers === undefined ? {} : containerUsage(containers)),
    ...(volumes === undefined ? {} : volumeUsage(volumes)),
    // Nothing is built here, so nothing is cached.
    ...(kinds.has('build-cache')
      ? {
          BuildCache: [],
          BuilderSize: 0,
          BuildCacheUsage: { ActiveCount: 0, TotalCount: 0, Reclaimable: 0, TotalSize: 0, Items: [] },
        }
      : {}),
  }
}

function imageUsage(usage: ImagesUsage): Partial<DiskUsage> {
  const summary: NonNullable<DiskUsage['ImageUsage']> = {
    ActiveCount: usage.activeCount,
    TotalCount: usage.totalCount,
    Reclaimable: usage.reclaimableBytes,
    TotalSize: usage.totalBytes,
    Items: usage.items,
  }
  return { LayersSize: usage.totalBytes, Images: usage.items, ImageUsage: summary }
}

function containerUsage(containers: ContainerSummary[]): Partial<DiskUsage> {
  const isActive = ({ State: state }: ContainerSummary) => ['running', 'paused', 'restarting'].includes(state)
  const size = (list: ContainerSummary[]) => list.reduce((sum, container) => sum + (container.SizeRw ?? 0), 0)
  return {
    Containers: containers,
    ContainerUsage: {
      ActiveCount: containers.filter(isActive).length,
      TotalCount: containers.length,
      Reclaimable: size(containers.filter((container) => !isActive(container))),
      TotalSize: size(containers),
      Items: containers,
    },
  }
}

function volumeUsage(volumes: Volume[]): Partial<DiskUsage> {
  const isUsed = (volume: Volume) => (volume.UsageData?.RefCount ?? 0) > 0
  const size = (list: Volume[]) =>
    list.reduce((sum, volume) => sum + Math.max(0, volume.UsageData?.Size ?? 0), 0)
  return {
    Volumes: volumes,
    VolumeUsage: {
      ActiveCount: volumes.filter(isUsed).length,
      TotalCount: volumes.length,
      Reclaimable: size(volumes.filter((volume) => !isUsed(volume))),
      TotalSize: size(volumes),
      Items: volumes,
    },
  }
}
