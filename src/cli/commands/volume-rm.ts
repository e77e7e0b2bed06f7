/** `volume rm`. */
import { flag } from '../../lib/flags.ts'
import { defineCommand } from '../command.ts'
import { CliError, failureOf } from '../errors.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: { force: flag.bool('A volume that does not exist is no error', { short: 'f' }) },
  count: { min: 1 },
  completes: ['volume'],
  run: async (cli, { flags, args }) => {
    const errors: string[] = []
    for (const name of args) {
      try {
        await cli.client.send('DELETE', `/volumes/${encodeURIComponent(name)}`, {
          query: { force: flags.force },
        })
        cli.print(name)
      } catch (error) {
        errors.push(failureOf(error).message)
      }
    }
    if (errors.length > 0) throw new CliError(errors.join('\n'))
  },
})
