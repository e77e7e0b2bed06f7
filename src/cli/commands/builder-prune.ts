/** `builder prune`. */
import { encodeFilters } from '../../client/engine-client.ts'
import { flag } from '../../lib/flags.ts'
import { humanSize } from '../../lib/units.ts'
import { defineCommand } from '../command.ts'
import { filterFlag } from '../filters.ts'
import { confirm } from '../prompt.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {
    all: flag.bool('Remove what is in use by nothing, not only what is dangling', { short: 'a' }),
    filter: filterFlag('Remove only what meets these conditions', null),
    force: flag.bool('Ask nothing', { short: 'f' }),
    'keep-storage': flag.bytes('Size of the cache to keep'),
  },
  count: { min: 0, max: 0 },
  run: async (cli, { flags }) => {
    const what = flags.all ? 'all' : 'all dangling'
    const question = `WARNING! This will remove ${what} build cache. Are you sure you want to continue?`
    if (!flags.force && !confirm(cli, question)) return
    const answer = await cli.client.json<{ CachesDeleted: string[] | null; SpaceReclaimed: number }>(
      'POST',
      '/build/prune',
      {
        query: {
          all: flags.all ? '1' : undefined,
          'keep-storage': flags['keep-storage'],
          filters: encodeFilters(flags.filter),
        },
      },
    )
    const deleted = answer.CachesDeleted ?? []
    if (deleted.length > 0) cli.print(`Deleted build cache objects:\n${deleted.join('\n')}\n`)
    cli.print(`Total reclaimed space: ${humanSize(answer.SpaceReclaimed)}`)
  },
})
