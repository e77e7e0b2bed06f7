/** `rm`. */
import { flag } from '../../lib/flags.ts'
import { ApiError } from '../../client/errors.ts'
import { defineCommand } from '../command.ts'
import { forEachName } from '../each.ts'
import { failureOf } from '../errors.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {
    force: flag.bool('Remove running containers too; they are killed', { short: 'f' }),
    link: flag.bool('Remove the link of this name', { short: 'l' }),
    volumes: flag.bool("Remove the containers' anonymous volumes", { short: 'v' }),
  },
  count: { min: 1 },
  completes: ['container'],
  run: async (cli, { flags, args }) => {
    await forEachName(cli, args, async (given) => {
      const name = given.replaceAll(/^\/+|\/+$/g, '')
      if (name === '') throw new Error('container name cannot be empty')
      try {
        await cli.client.send('DELETE', `/containers/${encodeURIComponent(name)}`, {
          query: { v: flags.volumes, link: flags.link, force: flags.force },
        })
      } catch (error) {
        if (!flags.force || !(error instanceof ApiError) || error.status !== 404) throw error
        cli.warn(failureOf(error).message)
        return null
      }
      return given
    })
  },
})
