/** `wait`: waits for containers to end and prints their exit codes. */
import { defineCommand } from '../command.ts'
import { beginWait } from '../container/wait.ts'
import { CliError, failureOf } from '../errors.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {},
  count: { min: 1 },
  completes: ['running'],
  run: async (cli, { args }) => {
    const errors: string[] = []
    for (const name of args) {
      try {
        const exit = await beginWait(cli, encodeURIComponent(name), 'not-running')
        cli.print(String(await exit()))
      } catch (error) {
        errors.push(failureOf(error).message)
      }
    }
    if (errors.length > 0) throw new CliError(errors.join('\n'))
  },
})
