/** `cp`. */
import { flag } from '../../lib/flags.ts'
import { defineCommand } from '../command.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {
    archive: flag.bool('Keep owners and groups', { short: 'a' }),
    'follow-link': flag.bool('Follow a symbolic link in SRC_PATH', { short: 'L' }),
    quiet: flag.bool('Do not show progress', { short: 'q' }),
  },
  count: { min: 2, max: 2 },
  completes: ['container', 'file'],
  run: async (cli, { flags, given, args }) => {
    const { copy } = await import('../container/copy.ts')
    await copy(cli, args[0] ?? '', args[1] ?? '', {
      archive: flags.archive,
      followLink: flags['follow-link'],
      quiet: given.has('quiet') ? flags.quiet : !cli.stdout.isTerminal,
    })
  },
})
