/** `rename`. */
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {},
  count: { min: 2, max: 2 },
  completes: ['container'],
  run: async (cli, { args }) => {
    const [from = '', to = ''] = args.map((name) => name.trim())
    if (from === '' || to === '') throw new CliError('Error: Neither old nor new names may be empty')
    await cli.client.send('POST', `/containers/${encodeURIComponent(from)}/rename`, { query: { name: to } })
  },
})
