/** `stop` and `restart`. */
import { flag } from '../../lib/flags.ts'
import { defineCommand } from '../command.ts'
import type { Command } from '../command.ts'
import { forEachName } from '../each.ts'
import { CliError } from '../errors.ts'

function stopLike(action: 'stop' | 'restart'): Command {
  return defineCommand({
    flags: {
      signal: flag.string('Signal that asks the container to end', { short: 's' }),
      timeout: flag.int('Seconds to wait before the container is killed', { short: 't' }),
      time: flag.int('Same as --timeout', { deprecated: 'use --timeout instead' }),
    },
    count: { min: 1 },
    completes: [action === 'stop' ? 'running' : 'container'],
    run: async (cli, { flags, given, args }) => {
      if (given.has('time') && given.has('timeout')) {
        throw new CliError('conflicting options: cannot specify both --timeout and --time')
      }
      const t = given.has('timeout') ? flags.timeout : given.has('time') ? flags.time : undefined
      await forEachName(cli, args, async (name) => {
        const path = `/containers/${encodeURIComponent(name)}/${action}`
        await cli.client.send('POST', path, { query: { t, signal: flags.signal } })
      })
    },
  })
}

/** `stop`: asks containers to end, kills them after a while. */
export const stopCommand = stopLike('stop')
/** `restart`: stops containers and starts them again. */
export const restartCommand = stopLike('restart')
