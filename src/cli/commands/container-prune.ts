/** `container prune`: removes all stopped containers. */
import { encodeFilters } from '../../client/engine-client.ts'
import { flag } from '../../lib/flags.ts'
import { humanSize } from '../../lib/units.ts'
import { defineCommand } from '../command.ts'
import { filterFlag } from '../filters.ts'
import { confirm } from '../prompt.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {
    filter: filterFlag('Remove only what meets these conditions (until=<time>, label=...)', null),
    force: flag.bool('Do not ask', { short: 'f' }),
  },
  count: { min: 0, max: 0 },
  run: async (cli, { flags }) => {
    const warning = 'WARNING! This will remove all stopped containers.\nAre you sure you want to continue?'
    if (!flags.force && !confirm(cli, warning)) return
    const report = await cli.client.json<{ ContainersDeleted: string[] | null; SpaceReclaimed: number }>(
      'POST',
      '/containers/prune',
      { query: { filters: encodeFilters(flags.filter) } },
    )
    const deleted = report.ContainersDeleted ?? []
    if (deleted.length > 0) cli.print(`Deleted Containers:\n${deleted.join('\n')}\n`)
    cli.print(`Total reclaimed space: ${humanSize(report.SpaceReclaimed)}`)
  },
})
