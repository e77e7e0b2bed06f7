/** `kill`: sends a signal to containers. */
import { flag } from '../../lib/flags.ts'
import { defineCommand } from '../command.ts'
import { forEachName } from '../each.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: { signal: flag.string('Signal to send', { short: 's' }) },
  count: { min: 1 },
  completes: ['running'],
  run: async (cli, { flags, args }) =>
    await forEachName(cli, args, async (name) => {
      await cli.client.send('POST', `/containers/${encodeURIComponent(name)}/kill`, {
        query: { signal: flags.signal },
      })
    }),
})
