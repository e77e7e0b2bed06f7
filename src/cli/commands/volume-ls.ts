/** `volume ls`. */
import { encodeFilters } from '../../client/engine-client.ts'
import { flag } from '../../lib/flags.ts'
import { humanSize } from '../../lib/units.ts'
import type { Volume } from '../../spec/volume-types.ts'
import { defineCommand } from '../command.ts'
import { filterFlag } from '../filters.ts'
import { formatList } from '../format.ts'
import type { ListFormat } from '../format.ts'
import { listFormatHelp } from '../inspect.ts'
import { compareNatural, joinLabels } from '../labels.ts'

/** A volume's row, here and in `system df -v`. */
export const volumeList: ListFormat<Volume> = {
  type: '*formatter.volumeContext',
  fields: {
    Name: { header: 'VOLUME NAME', value: (row) => row.Name },
    Driver: { header: 'DRIVER', value: (row) => row.Driver },
    Scope: { header: 'SCOPE', value: (row) => row.Scope },
    Mountpoint: { header: 'MOUNTPOINT', value: (row) => row.Mountpoint },
    Labels: { header: 'LABELS', value: (row) => joinLabels(row.Labels) },
    Links: {
      header: 'LINKS',
      value: (row) => (row.UsageData === undefined ? 'N/A' : String(row.UsageData.RefCount)),
    },
    Size: {
      header: 'SIZE',
      value: (row) => (row.UsageData === undefined ? 'N/A' : humanSize(row.UsageData.Size)),
    },
    Availability: { header: 'AVAILABILITY', value: () => 'N/A' },
    Group: { header: 'GROUP', value: () => 'N/A' },
    Status: { header: 'STATUS', value: () => 'N/A' },
    Label: { header: 'LABELS', value: (row) => (name: string) => row.Labels?.[name] ?? '' },
  },
  table: '{{.Driver}}\t{{.Name}}',
  raw: 'name: {{.Name}}\ndriver: {{.Driver}}\n',
}

/** See the file's description. */
export const command = defineCommand({
  flags: {
    cluster: flag.bool('Show cluster volumes only'),
    filter: filterFlag(),
    format: flag.string(listFormatHelp),
    quiet: flag.bool('Show names only', { short: 'q' }),
  },
  count: { min: 0, max: 0 },
  run: async (cli, { flags }) => {
    const answer = await cli.client.json<{ Volumes: Volume[] | null; Warnings: string[] | null }>(
      'GET',
      '/volumes',
      {
        query: { filters: encodeFilters(flags.filter) },
      },
    )
    // Cluster volumes belong to swarms; there are none in an answer of this engine.
    const volumes = flags.cluster ? [] : (answer.Volumes ?? [])
    volumes.sort((a, b) => compareNatural(a.Name, b.Name))
    const chosen = flags.format || (flags.quiet ? '' : (cli.config.volumesFormat ?? ''))
    const format = flags.quiet && (chosen === '' || chosen === 'table') ? '{{.Name}}' : chosen
    cli.stdout.write(formatList(volumeList, format, volumes))
  },
})
