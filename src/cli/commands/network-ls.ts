/** `network ls`. */
import { encodeFilters } from '../../client/engine-client.ts'
import { flag } from '../../lib/flags.ts'
import type { NetworkInspect } from '../../spec/network-types.ts'
import { defineCommand } from '../command.ts'
import { filterFlag } from '../filters.ts'
import { formatList } from '../format.ts'
import type { ListFormat } from '../format.ts'
import { goTime } from '../go-time.ts'
import { listFormatHelp } from '../inspect.ts'
import { compareNatural, joinLabels } from '../labels.ts'

const networkList = (truncate: boolean): ListFormat<NetworkInspect> => ({
  type: '*network.networkContext',
  fields: {
    ID: { header: 'NETWORK ID', value: (row) => (truncate ? row.Id.slice(0, 12) : row.Id) },
    Name: { header: 'NAME', value: (row) => row.Name },
    Driver: { header: 'DRIVER', value: (row) => row.Driver },
    Scope: { header: 'SCOPE', value: (row) => row.Scope },
    IPv4: { header: 'IPV4', value: (row) => (row.EnableIPv4 ? 'true' : 'false') },
    IPv6: { header: 'IPV6', value: (row) => String(row.EnableIPv6) },
    Internal: { header: 'INTERNAL', value: (row) => String(row.Internal) },
    Labels: { header: 'LABELS', value: (row) => joinLabels(row.Labels) },
    CreatedAt: { header: 'CREATED AT', value: (row) => goTime(row.Created) },
    Label: { header: 'LABELS', value: (row) => (name: string) => row.Labels[name] ?? '' },
  },
  table: '{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}',
  raw: 'network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n',
})

/** See the file's description. */
export const command = defineCommand({
  flags: {
    filter: filterFlag(),
    format: flag.string(listFormatHelp),
    'no-trunc': flag.bool('Show whole ids'),
    quiet: flag.bool('Show ids only', { short: 'q' }),
  },
  count: { min: 0, max: 0 },
  run: async (cli, { flags }) => {
    const networks = await cli.client.json<NetworkInspect[]>('GET', '/networks', {
      query: { filters: encodeFilters(flags.filter) },
    })
    networks.sort((a, b) => compareNatural(a.Name, b.Name))
    const list = networkList(!flags['no-trunc'])
    const chosen = flags.format || (flags.quiet ? '' : (cli.config.networksFormat ?? ''))
    const format = flags.quiet && (chosen === '' || chosen === 'table') ? '{{.ID}}' : chosen
    cli.stdout.write(formatList(list, format, networks))
  },
})
