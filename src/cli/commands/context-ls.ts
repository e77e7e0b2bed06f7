/** `context ls`. */
import { ellipsis } from '../../lib/display-width.ts'
import { flag } from '../../lib/flags.ts'
import { errorMessage } from '../../spec/errors.ts'
import type { Cli } from '../cli.ts'
import { defineCommand } from '../command.ts'
import { ContextStore } from '../context-store.ts'
import { resolveEndpoint } from '../endpoint.ts'
import { formatList } from '../format.ts'
import type { ListFormat } from '../format.ts'
import { listFormatHelp } from '../inspect.ts'

type ContextRow = { name: string; current: boolean; description: string; host: string; error: string }

const contextList: ListFormat<ContextRow> = {
  type: '*formatter.clientContextContext',
  fields: {
    Current: { header: '', value: (row) => row.current },
    Name: { header: 'NAME', value: (row) => row.name },
    Description: { header: 'DESCRIPTION', value: (row) => row.description },
    DockerEndpoint: { header: 'DOCKER ENDPOINT', value: (row) => row.host },
    Error: {
      header: 'ERROR',
      value: (row) => ellipsis(row.error, 45),
    },
  },
  table: '{{.Name}}{{if .Current}} *{{end}}\t{{.Description}}\t{{.DockerEndpoint}}\t{{.Error}}',
}

function defaultRow(cli: Cli, current: string): ContextRow {
  const row = {
    name: 'default',
    current: current === 'default',
    description: 'Current DOCKER_HOST based configuration',
    host: '',
    error: '',
  }
  try {
    return { ...row, host: resolveEndpoint({ ...cli.endpointSources, context: 'default' }).text }
  } catch (error) {
    return { ...row, error: errorMessage(error) }
  }
}

/** See the file's description. */
export const command = defineCommand({
  flags: { format: flag.string(listFormatHelp), quiet: flag.bool('Show names only', { short: 'q' }) },
  count: { min: 0, max: 0 },
  run: async (cli, { flags }) => {
    const current = cli.contextName
    const rows = [defaultRow(cli, current)]
    for (const meta of new ContextStore(cli.configDirectory).list()) {
      const host = meta.Endpoints?.['docker']?.Host ?? ''
      rows.push({
        name: meta.Name,
        current: meta.Name === current,
        description: meta.Metadata?.Description ?? '',
        host,
        error: '',
      })
    }
    if (current !== 'default' && !rows.some((row) => row.name === current)) {
      rows.push({ name: current, current: true, description: '', host: '', error: 'context not found' })
    }
    if (flags.quiet) for (const row of rows) cli.print(row.name)
    else cli.stdout.write(formatList(contextList, flags.format, rows))
    const override = cli.env['WHARF_HOST'] ? 'WHARF_HOST' : 'DOCKER_HOST'
    if (cli.env[override]) {
      cli.warn(
        `Warning: ${override} environment variable overrides the active context. To use a context, either set the global --context flag, or unset ${override} environment variable.`,
      )
    }
  },
})
