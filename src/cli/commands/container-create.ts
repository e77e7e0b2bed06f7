/** `create`: makes a container without starting it. */
import { failureOf, RunError } from '../errors.ts'
import { defineCommand } from '../command.ts'
import { createFlags } from '../container/create-flags.ts'
import { createRequest } from '../container/create-request.ts'
import { checkPullOption, createContainer } from '../container/create.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: createFlags,
  count: { min: 1 },
  interspersed: false,
  completes: ['image'],
  run: async (cli, { flags, given, args }) => {
    let request
    try {
      checkPullOption(flags.pull)
      const { env, config } = cli
      request = createRequest({ flags, given, args, env, config, host: cli.client.host.text })
    } catch (error) {
      throw new RunError(failureOf(error).message, { code: 125, cause: error })
    }
    cli.print(await createContainer(cli, request, flags))
  },
})
