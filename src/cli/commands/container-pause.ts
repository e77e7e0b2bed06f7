/** `pause` and `unpause`. */
import { defineCommand } from '../command.ts'
import type { Command } from '../command.ts'
import { forEachName } from '../each.ts'

function pauseLike(action: 'pause' | 'unpause'): Command {
  return defineCommand({
    flags: {},
    count: { min: 1 },
    completes: ['running'],
    run: async (cli, { args }) =>
      await forEachName(cli, args, async (name) => {
        await cli.client.send('POST', `/containers/${encodeURIComponent(name)}/${action}`)
      }),
  })
}

/** `pause`: freezes all processes. */
export const pauseCommand = pauseLike('pause')
/** `unpause`: lets them go on. */
export const unpauseCommand = pauseLike('unpause')
