/** `volume prune`. */
import { compareVersions, encodeFilters } from '../../client/engine-client.ts'
import { flag } from '../../lib/flags.ts'
import { humanSize } from '../../lib/units.ts'
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { filterFlag } from '../filters.ts'
import { confirm } from '../prompt.ts'
import { pruneFilters } from '../prune-filters.ts'

const question = 'Are you sure you want to continue?'
const anonymousWarning = `WARNING! This will remove anonymous local volumes not used by at least one container.\n${question}`
const allWarning = `WARNING! This will remove all local volumes not used by at least one container.\n${question}`

/** See the file's description. */
export const command = defineCommand({
  flags: {
    all: flag.bool('Remove named volumes too', { short: 'a' }),
    filter: filterFlag('Remove only what meets these conditions', null),
    force: flag.bool('Ask nothing', { short: 'f' }),
  },
  count: { min: 0, max: 0 },
  run: async (cli, { flags }) => {
    const filters = [...pruneFilters(cli, flags.filter)]
    // Before API 1.42 a prune took named volumes as well.
    const selective = compareVersions(await cli.client.version(), '1.42') >= 0
    if (flags.all && selective) {
      if (filters.some(([key]) => key === 'all')) {
        throw new CliError('conflicting options: cannot specify both --all and --filter all=1')
      }
      filters.push(['all', 'true'])
    }
    if (!flags.force && !confirm(cli, flags.all || !selective ? allWarning : anonymousWarning)) return
    const answer = await cli.client.json<{ VolumesDeleted: string[] | null; SpaceReclaimed: number }>(
      'POST',
      '/volumes/prune',
      { query: { filters: encodeFilters(filters) } },
    )
    const deleted = answer.VolumesDeleted ?? []
    if (deleted.length > 0) cli.print(`Deleted Volumes:\n${deleted.join('\n')}\n`)
    cli.print(`Total reclaimed space: ${humanSize(answer.SpaceReclaimed)}`)
  },
})
