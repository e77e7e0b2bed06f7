/** `ps`: containers as a table. */
import { encodeFilters } from '../../client/engine-client.ts'
import { flag } from '../../lib/flags.ts'
import type { ContainerSummary } from '../../spec/container-types.ts'
import { parseTemplate } from '../../lib/go-template.ts'
import { errorMessage } from '../../spec/errors.ts'
import { defineCommand } from '../command.ts'
import { containerList } from '../container/list-format.ts'
import { CliError } from '../errors.ts'
import { filterFlag } from '../filters.ts'
import { formatList, rowStruct } from '../format.ts'
import { listFormatHelp } from '../inspect.ts'

const emptyRow: ContainerSummary = {
  Id: '',
  Names: [],
  Image: '',
  ImageID: '',
  Command: '',
  Created: 0,
  Ports: [],
  Labels: {},
  State: 'created',
  Status: '',
  HostConfig: { NetworkMode: '' },
  NetworkSettings: { Networks: {} },
  Mounts: [],
}

/** Tries the template on nothing, so that a bad one is refused before the engine is asked. */
function checkTemplate(format: string): void {
  let template
  try {
    template = parseTemplate(format)
  } catch (error) {
    throw new CliError(`failed to parse template: ${errorMessage(error)}`, { cause: error })
  }
  try {
    template.execute(rowStruct(containerList({ truncate: true, size: false }), emptyRow))
  } catch (error) {
    throw new CliError(`failed to execute template: ${errorMessage(error)}`, { cause: error })
  }
}

/** See the file's description. */
export const command = defineCommand({
  flags: {
    all: flag.bool('Show stopped containers too', { short: 'a' }),
    filter: filterFlag(),
    format: flag.string(listFormatHelp),
    last: flag.int('Show so many of the newest containers, whatever their state', {
      short: 'n',
      initial: -1,
    }),
    latest: flag.bool('Show the newest container, whatever its state', { short: 'l' }),
    'no-trunc': flag.bool('Show everything in full'),
    quiet: flag.bool('Show only ids', { short: 'q' }),
    size: flag.bool('Show sizes', { short: 's' }),
  },
  count: { min: 0, max: 0 },
  run: async (cli, { flags }) => {
    let { format } = flags
    if (format === '') format = flags.quiet ? '' : (cli.config.psFormat ?? '')
    else if (flags.quiet)
      cli.warn('WARNING: Ignoring custom format, because both --format and --quiet are set.')
    const limit = flags.latest && flags.last === -1 ? 1 : flags.last
    const size = flags.size || (!flags.quiet && /\.Size\b|json \.\s*\}/.test(format))
    if (!['', 'table', 'raw', 'json'].includes(format)) checkTemplate(format)
    const containers = await cli.client.json<ContainerSummary[]>('GET', '/containers/json', {
      query: {
        all: flags.all,
        limit: limit > 0 ? limit : undefined,
        size,
        filters: encodeFilters(flags.filter),
      },
    })
    const list = containerList({ truncate: !flags['no-trunc'], size: flags.size })
    if (flags.quiet) format = format === 'raw' ? 'container_id: {{.ID}}' : '{{.ID}}'
    cli.stdout.write(formatList(list, format, containers))
  },
})
