/** `system df`. */
import { parseTemplate } from '../../lib/go-template.ts'
import { GoStruct, goJson } from '../../lib/go-value.ts'
import { flag } from '../../lib/flags.ts'
import { humanSize } from '../../lib/units.ts'
import { errorMessage } from '../../spec/errors.ts'
import type { ContainerSummary } from '../../spec/container-types.ts'
import type { ImageSummary } from '../../spec/image-types.ts'
import type { DiskUsage, UsageSummary } from '../../spec/system-types.ts'
import type { Volume } from '../../spec/volume-types.ts'
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { containerList } from '../container/list-format.ts'
import { formatList, rowStruct } from '../format.ts'
import type { ListFormat } from '../format.ts'
import { imageList, imageRows } from '../image-list.ts'
import { listFormatHelp } from '../inspect.ts'
import { volumeList } from './volume-ls.ts'

type UsageRow = {
  type: string
  total: number
  active: number
  size: number
  reclaimable: number
  percent: boolean
}

const usageList: ListFormat<UsageRow> = {
  // The name of the first row's type, which is the one that errors are about.
  type: '*formatter.diskUsageImagesContext',
  fields: {
    Type: { header: 'TYPE', value: (row) => row.type },
    TotalCount: { header: 'TOTAL', value: (row) => String(row.total) },
    Active: { header: 'ACTIVE', value: (row) => String(row.active) },
    Size: { header: 'SIZE', value: (row) => humanSize(row.size) },
    Reclaimable: {
      header: 'RECLAIMABLE',
      value: (row) => {
        const share =
          row.percent && row.size > 0 ? ` (${Math.trunc((row.reclaimable * 100) / row.size)}%)` : ''
        return `${humanSize(row.reclaimable)}${share}`
      },
    },
  },
  table: '{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}',
  raw: 'type: {{.Type}}\ntotal: {{.TotalCount}}\nactive: {{.Active}}\nsize: {{.Size}}\nreclaimable: {{.Reclaimable}}\n',
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + Math.max(0, value), 0)
const isActive = (container: ContainerSummary) =>
  ['running', 'paused', 'restarting'].includes(container.State)

/** What an engine before API 1.52 leaves to its client to count. */
function imageSummary(usage: DiskUsage): UsageSummary {
  const images = usage.Images ?? []
  const used = images.filter((image) => image.Containers > 0)
  const own = ({ Size, SharedSize }: ImageSummary) =>
    Size === -1 || SharedSize === -1 ? 0 : Size - SharedSize
  const size = usage.LayersSize ?? 0
  return summary(images.length, used.length, size, size - sum(used.map(own)))
}

function containerSummary({ Containers: containers }: DiskUsage): UsageSummary {
  const all = containers ?? []
  const size = (list: ContainerSummary[]) => sum(list.map((container) => container.SizeRw ?? 0))
  const active = all.filter(isActive)
  return summary(all.length, active.length, size(all), size(all) - size(active))
}

function volumeSummary({ Volumes: volumes }: DiskUsage): UsageSummary {
  const all = volumes ?? []
  const size = (list: Volume[]) => sum(list.map((volume) => volume.UsageData?.Size ?? 0))
  const used = all.filter((volume) => (volume.UsageData?.RefCount ?? 0) > 0)
  return summary(all.length, used.length, size(all), size(all) - size(used))
}

function summary(total: number, active: number, size: number, reclaimable: number): UsageSummary {
  return { TotalCount: total, ActiveCount: active, TotalSize: size, Reclaimable: reclaimable }
}

function usageRows(usage: DiskUsage): UsageRow[] {
  const built = usage.BuilderSize ?? 0
  const cached = (usage.BuildCache ?? []).length
  const rows: [type: string, summary: UsageSummary, percent: boolean][] = [
    ['Images', usage.ImageUsage ?? imageSummary(usage), true],
    ['Containers', usage.ContainerUsage ?? containerSummary(usage), true],
    ['Local Volumes', usage.VolumeUsage ?? volumeSummary(usage), true],
    ['Build Cache', usage.BuildCacheUsage ?? summary(cached, 0, built, built), false],
  ]
  return rows.map(([type, of, percent]) => ({
    type,
    percent,
    total: of.TotalCount,
    active: of.ActiveCount,
    size: of.TotalSize,
    reclaimable: of.Reclaimable,
  }))
}

/** The lists, which since API 1.52 stand with the summaries. */
function withLists(usage: DiskUsage): DiskUsage {
  const { ImageUsage, ContainerUsage, VolumeUsage, BuildCacheUsage } = usage
  return {
    ...usage,
    Images: usage.Images ?? ImageUsage?.Items ?? [],
    Containers: usage.Containers ?? ContainerUsage?.Items ?? [],
    Volumes: usage.Volumes ?? VolumeUsage?.Items ?? [],
    BuildCache: usage.BuildCache ?? BuildCacheUsage?.Items ?? [],
    BuilderSize: usage.BuilderSize ?? BuildCacheUsage?.TotalSize ?? 0,
  }
}

const containerTable =
  'table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}'

/** Containers without the size of what they share: only their own is counted. */
function ownSizes(usage: DiskUsage): ContainerSummary[] {
  return (usage.Containers ?? []).map(({ SizeRootFs: _shared, ...container }) => container)
}

const buildCacheHeader = 'CACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   USAGE     SHARED'

function verboseText(usage: DiskUsage): string {
  const images = formatList(
    imageList({ truncate: true, digests: false }),
    'table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}',
    imageRows(usage.Images ?? [], false),
  )
  const volumes = formatList(volumeList, 'table {{.Name}}\t{{.Links}}\t{{.Size}}', usage.Volumes ?? [])
  return [
    `Images space usage:\n\n${images}`,
    `Containers space usage:\n\n${formatList(containerList({ truncate: true, size: true }), containerTable, ownSizes(usage))}`,
    `Local Volumes space usage:\n\n${volumes}`,
    `Build cache usage: ${humanSize(usage.BuilderSize ?? 0)}\n\n${buildCacheHeader}\n`,
  ].join('\n')
}

/** The lists through a template, which sees all of them at once. */
function verboseTemplate(usage: DiskUsage, format: string): string {
  const images = imageList({ truncate: false, digests: false })
  const containers = containerList({ truncate: false, size: true })
  const rows = {
    Images: imageRows(usage.Images ?? [], false).map((row) => rowStruct(images, { ...row, digest: '' })),
    Containers: ownSizes(usage).map((row) => rowStruct(containers, row)),
    Volumes: (usage.Volumes ?? []).map((row) => rowStruct(volumeList, row)),
    BuildCache: usage.BuildCache ?? [],
  }
  const encode = () =>
    `{${Object.entries(rows)
      .map(([name, list]) => `"${name}":${goJson(list)}`)
      .join(',')}}`
  const template = format === 'json' ? '{{json .}}' : format.replace(/^table/, '').trim()
  try {
    return parseTemplate(template).execute(new GoStruct('*formatter.diskUsageContext', rows, encode))
  } catch (error) {
    throw new CliError(errorMessage(error), { cause: error })
  }
}

/** See the file's description. */
export const command = defineCommand({
  flags: {
    format: flag.string(listFormatHelp),
    verbose: flag.bool('Show every object', { short: 'v' }),
  },
  count: { min: 0, max: 0 },
  run: async (cli, { flags }) => {
    const query = { verbose: flags.verbose }
    const usage = withLists(await cli.client.json<DiskUsage>('GET', '/system/df', { query }))
    if (!flags.verbose) {
      cli.stdout.write(formatList(usageList, flags.format, usageRows(usage)))
      return
    }
    const isTable = flags.format === '' || flags.format === 'table'
    cli.stdout.write(isTable ? verboseText(usage) : verboseTemplate(usage, flags.format))
  },
})
