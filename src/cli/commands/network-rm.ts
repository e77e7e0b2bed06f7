/** `network rm`. */
import { ApiError } from '../../client/errors.ts'
import { flag } from '../../lib/flags.ts'
import { defineCommand } from '../command.ts'
import { CliError, failureOf } from '../errors.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: { force: flag.bool('A network that does not exist is no error', { short: 'f' }) },
  count: { min: 1 },
  completes: ['network'],
  run: async (cli, { flags, args }) => {
    const errors: string[] = []
    for (const name of args) {
      try {
        await cli.client.send('DELETE', `/networks/${encodeURIComponent(name)}`)
        cli.print(name)
      } catch (error) {
        if (flags.force && error instanceof ApiError && error.status === 404) continue
        errors.push(failureOf(error).message)
      }
    }
    if (errors.length > 0) throw new CliError(`${errors.join('\n')}\nexit status 1`)
  },
})
