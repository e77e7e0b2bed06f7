/** `image prune`. */
import { encodeFilters } from '../../client/engine-client.ts'
import { flag } from '../../lib/flags.ts'
import { humanSize } from '../../lib/units.ts'
import type { ImageDeleted } from '../../spec/image-types.ts'
import { defineCommand } from '../command.ts'
import { filterFlag } from '../filters.ts'
import { confirm } from '../prompt.ts'
import { pruneFilters } from '../prune-filters.ts'

const question = 'Are you sure you want to continue?'

/** See the file's description. */
export const command = defineCommand({
  flags: {
    all: flag.bool('Remove all images without containers, not dangling ones only', { short: 'a' }),
    filter: filterFlag('Remove only what meets these conditions', null),
    force: flag.bool('Ask nothing', { short: 'f' }),
  },
  count: { min: 0, max: 0 },
  run: async (cli, { flags }) => {
    const warning = flags.all
      ? 'WARNING! This will remove all images without at least one container associated to them.'
      : 'WARNING! This will remove all dangling images.'
    if (!flags.force && !confirm(cli, `${warning}\n${question}`)) return
    const filters = [...pruneFilters(cli, flags.filter), ['dangling', String(!flags.all)] as const]
    const answer = await cli.client.json<{ ImagesDeleted: ImageDeleted[] | null; SpaceReclaimed: number }>(
      'POST',
      '/images/prune',
      { query: { filters: encodeFilters(filters) } },
    )
    const deleted = answer.ImagesDeleted ?? []
    if (deleted.length > 0) {
      const lines = deleted.map((row) =>
        'Untagged' in row && row.Untagged !== ''
          ? `untagged: ${row.Untagged}`
          : `deleted: ${'Deleted' in row ? row.Deleted : ''}`,
      )
      cli.print(`Deleted Images:\n${lines.join('\n')}\n`)
    }
    cli.print(`Total reclaimed space: ${humanSize(answer.SpaceReclaimed)}`)
  },
})
