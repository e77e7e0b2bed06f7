/** `container inspect`. */
import { flag } from '../../lib/flags.ts'
import type { Cli } from '../cli.ts'
import { defineCommand } from '../command.ts'
import { containerShape } from '../container/inspect-shape.ts'
import { inspectFormatHelp, inspectObjects } from '../inspect.ts'

/** The JSON text of a container. */
export async function containerText(cli: Cli, name: string, size: boolean): Promise<string> {
  const path = `/containers/${encodeURIComponent(name)}/json`
  return (await (await cli.client.request('GET', path, { query: { size } })).bytes()).toString('utf8')
}

/** See the file's description. */
export const command = defineCommand({
  flags: {
    format: flag.string(inspectFormatHelp, { short: 'f' }),
    size: flag.bool('Add sizes', { short: 's' }),
  },
  count: { min: 1 },
  completes: ['container'],
  run: async (cli, { flags, args }) =>
    await inspectObjects(cli, args, flags.format, {
      get: async (name) => await containerText(cli, name, flags.size),
      shape: containerShape,
    }),
})
