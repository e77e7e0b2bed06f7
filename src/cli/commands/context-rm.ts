/** `context rm`. */
import { flag } from '../../lib/flags.ts'
import { defineCommand } from '../command.ts'
import { changeConfigFile } from '../config-change.ts'
import { ContextStore } from '../context-store.ts'
import { CliError, failureOf } from '../errors.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: { force: flag.bool('Remove a context in use too', { short: 'f' }) },
  count: { min: 1 },
  completes: ['context'],
  run: async (cli, { flags, args }) => {
    const store = new ContextStore(cli.configDirectory)
    const errors: string[] = []
    const current = cli.contextName
    for (const name of args) {
      try {
        if (name === 'default') throw new CliError('context "default" cannot be removed')
        if (name === current && !flags.force) {
          throw new CliError(`context ${JSON.stringify(name)} is in use, set -f flag to force remove`)
        }
        if (!(flags.force && !store.exists(name))) store.remove(name)
        if (name === current) changeConfigFile(cli.configDirectory, (config) => delete config.currentContext)
        cli.print(name)
      } catch (error) {
        errors.push(failureOf(error).message)
      }
    }
    if (errors.length > 0) throw new CliError(errors.join('\n'))
  },
})
