/** `context show`. */
import { defineCommand } from '../command.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {},
  count: { min: 0, max: 0 },
  run: async (cli) => {
    cli.print(cli.contextName)
  },
})
