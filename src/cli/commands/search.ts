/** `search`: repositories of the Hub, or of another registry's index. */
import { ellipsis } from '../../lib/display-width.ts'
import { encodeFilters } from '../../client/engine-client.ts'
import { flag } from '../../lib/flags.ts'
import { defineCommand } from '../command.ts'
import { findCredentials, registryKey } from '../credentials.ts'
import { filterFlag } from '../filters.ts'
import { formatList, type ListFormat } from '../format.ts'
import { listFormatHelp } from '../inspect.ts'

type Found = {
  name: string
  description: string
  star_count: number
  is_official: boolean
  is_automated: boolean
}
type Row = { found: Found; json: boolean; whole: boolean }

const maxDescription = 45

function description({ found, whole }: Row): string {
  const line = found.description.replaceAll('\n', ' ').replaceAll('\r', ' ')
  return whole ? line : ellipsis(line, maxDescription)
}

function mark(value: boolean, json: boolean): string {
  return json ? String(value) : value ? '[OK]' : ''
}

const searchList: ListFormat<Row> = {
  type: '*registry.searchContext',
  fields: {
    Name: { header: 'NAME', value: (row) => row.found.name },
    Description: { header: 'DESCRIPTION', value: description },
    StarCount: { header: 'STARS', value: (row) => String(row.found.star_count) },
    IsOfficial: { header: 'OFFICIAL', value: (row) => mark(row.found.is_official, row.json) },
  },
  table: '{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}',
}

/** See the file's description. */
export const command = defineCommand({
  flags: {
    filter: filterFlag(),
    format: flag.string(listFormatHelp),
    limit: flag.int('Show so many at most', { initial: 0 }),
    'no-trunc': flag.bool('Show whole descriptions'),
  },
  count: { min: 1, max: 1 },
  run: async (cli, { flags, args: [term = ''] }) => {
    if (flags.filter.some(([name]) => name === 'is-automated')) {
      cli.warn(
        'WARNING: the "is-automated" filter is deprecated, and searching for "is-automated=true" will not yield any results in future.',
      )
    }
    const slash = term.indexOf('/')
    const first = slash < 0 ? '' : term.slice(0, slash)
    const domain = /[.:]/.test(first) || first === 'localhost' ? first : 'docker.io'
    const auth = findCredentials(cli, registryKey(domain))
    const found = await cli.client.json<Found[] | null>('GET', '/images/search', {
      query: {
        term,
        filters: encodeFilters(flags.filter),
        limit: flags.limit > 0 ? flags.limit : undefined,
      },
      headers: { 'X-Registry-Auth': Buffer.from(JSON.stringify(auth)).toString('base64') },
    })
    const json = flags.format === 'json' || flags.format === '{{json .}}'
    const rows = (found ?? []).map((one) => ({ found: one, json, whole: flags['no-trunc'] }))
    cli.stdout.write(formatList(searchList, flags.format, rows))
  },
})
