/** `network prune`. */
import { encodeFilters } from '../../client/engine-client.ts'
import { flag } from '../../lib/flags.ts'
import { defineCommand } from '../command.ts'
import { filterFlag } from '../filters.ts'
import { confirm } from '../prompt.ts'
import { pruneFilters } from '../prune-filters.ts'

const warning = `WARNING! This will remove all custom networks not used by at least one container.
Are you sure you want to continue?`

/** See the file's description. */
export const command = defineCommand({
  flags: {
    filter: filterFlag('Remove only what meets these conditions', null),
    force: flag.bool('Ask nothing', { short: 'f' }),
  },
  count: { min: 0, max: 0 },
  run: async (cli, { flags }) => {
    if (!flags.force && !confirm(cli, warning)) return
    const { NetworksDeleted } = await cli.client.json<{ NetworksDeleted: string[] | null }>(
      'POST',
      '/networks/prune',
      {
        query: { filters: encodeFilters(pruneFilters(cli, flags.filter)) },
      },
    )
    if (NetworksDeleted !== null && NetworksDeleted.length > 0) {
      cli.print(`Deleted Networks:\n${NetworksDeleted.join('\n')}\n`)
    }
  },
})
