/** `rename`. */
import { defineCommand } from '../command.ts'
import { CliError, failureOf } from '../errors.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {},
  count: { min: 2, max: 2 },
  completes: ['container'],
  run: async (cli, { args }) => {
    const [from = '', to = ''] = args.map((name) => name.trim())
    if (from === '' || to === '') throw new CliError('Error: Neither old nor new names may be empty')
    try {
      await cli.client.send('POST', `/containers/${encodeURIComponent(from)}/rename`, { query: { name: to } })
    } catch (error) {
      cli.warn(failureOf(error).message)
      throw new CliError(`Error: failed to rename container named ${from}`, { cause: error })
    }
  },
})
