/** `system prune`: containers, networks, images and, if asked, anonymous volumes that nothing uses. */
import { encodeFilters } from '../../client/engine-client.ts'
import { flag } from '../../lib/flags.ts'
import { humanSize } from '../../lib/units.ts'
import type { ImageDeleted } from '../../spec/image-types.ts'
import type { Cli } from '../cli.ts'
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { filterFlag } from '../filters.ts'
import type { Filters } from '../filters.ts'
import { confirm } from '../prompt.ts'
import { pruneFilters } from '../prune-filters.ts'

type Pruned = {
  ContainersDeleted?: string[] | null
  NetworksDeleted?: string[] | null
  VolumesDeleted?: string[] | null
  ImagesDeleted?: ImageDeleted[] | null
  SpaceReclaimed?: number
}

async function prune(cli: Cli, kind: string, filters: Filters): Promise<Pruned> {
  return await cli.client.json<Pruned>('POST', `/${kind}/prune`, {
    query: { filters: encodeFilters(filters) },
  })
}

function section(cli: Cli, title: string, lines: readonly string[] | null | undefined): void {
  if (lines !== null && lines !== undefined && lines.length > 0)
    cli.print(`Deleted ${title}:\n${lines.join('\n')}\n`)
}

function warning(flags: { all: boolean; volumes: boolean }, filters: Filters): string {
  const lines = ['  - all stopped containers', '  - all networks not used by at least one container']
  if (flags.volumes) lines.push('  - all anonymous volumes not used by at least one container')
  lines.push(
    flags.all
      ? '  - all images without at least one container associated to them'
      : '  - all dangling images',
  )
  lines.push(flags.all ? '  - all build cache' : '  - unused build cache')
  const shown = filters.map(([key, value]) => `  - ${key}=${value}`).sort()
  const items = shown.length > 0 ? `\n  Items to be pruned will be filtered with:\n${shown.join('\n')}\n` : ''
  return `WARNING! This will remove:\n${lines.join('\n')}\n${items}\nAre you sure you want to continue?`
}

/** See the file's description. */
export const command = defineCommand({
  flags: {
    all: flag.bool('Remove all unused images, not dangling ones only', { short: 'a' }),
    filter: filterFlag('Remove only what meets these conditions', null),
    force: flag.bool('Ask nothing', { short: 'f' }),
    volumes: flag.bool('Remove anonymous volumes too'),
  },
  count: { min: 0, max: 0 },
  run: async (cli, { flags }) => {
    const filters = pruneFilters(cli, flags.filter)
    if (flags.volumes && filters.some(([key]) => key === 'until')) {
      throw new CliError(`ERROR: The "until" filter is not supported with "--volumes"`)
    }
    if (!flags.force && !confirm(cli, warning(flags, filters))) return
    const withoutUntil = filters.filter(([key]) => key !== 'until')
    let reclaimed = 0
    const containers = await prune(cli, 'containers', filters)
    section(cli, 'Containers', containers.ContainersDeleted)
    reclaimed += containers.SpaceReclaimed ?? 0
    section(cli, 'Networks', (await prune(cli, 'networks', filters)).NetworksDeleted)
    if (flags.volumes) {
      const volumes = await prune(cli, 'volumes', withoutUntil)
      section(cli, 'Volumes', volumes.VolumesDeleted)
      reclaimed += volumes.SpaceReclaimed ?? 0
    }
    const images = await prune(cli, 'images', [...filters, ['dangling', String(!flags.all)]])
    const lines = images.ImagesDeleted?.map((row) =>
      'Untagged' in row && row.Untagged !== ''
        ? `untagged: ${row.Untagged}`
        : `deleted: ${'Deleted' in row ? row.Deleted : ''}`,
    )
    section(cli, 'Images', lines)
    cli.print(`Total reclaimed space: ${humanSize(reclaimed + (images.SpaceReclaimed ?? 0))}`)
  },
})
