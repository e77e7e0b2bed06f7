/** `context use`. */
import { defineCommand } from '../command.ts'
import { changeConfigFile } from '../config-change.ts'
import { ContextStore, checkContextName } from '../context-store.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {},
  count: { min: 1, max: 1 },
  completes: ['context'],
  run: async (cli, { args: [name = ''] }) => {
    if (name !== 'default') {
      checkContextName(name)
      new ContextStore(cli.configDirectory).read(name)
    }
    changeConfigFile(cli.configDirectory, (config) => {
      if (name === 'default') delete config.currentContext
      else config.currentContext = name
    })
    cli.print(name)
    cli.warn(`Current context is now ${JSON.stringify(name)}`)
    const override = cli.env['WHARF_HOST'] ? 'WHARF_HOST' : 'DOCKER_HOST'
    if (name !== 'default' && cli.env[override]) {
      cli.warn(
        `Warning: ${override} environment variable overrides the active context. To use ${JSON.stringify(name)}, either set the global --context flag, or unset ${override} environment variable.`,
      )
    }
  },
})
