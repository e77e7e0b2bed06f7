/** `context update`. */
import { flag } from '../../lib/flags.ts'
import { defineCommand } from '../command.ts'
import { ContextStore, checkContextName, parseDockerEndpoint } from '../context-store.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {
    description: flag.string('Description of the context'),
    docker: flag.string('The engine: host=, ca=, cert=, key=, skip-tls-verify=, or from=', {
      type: 'stringToString',
      shownDefault: '[]',
    }),
  },
  count: { min: 1, max: 1 },
  completes: ['context'],
  run: async (cli, { flags, args: [name = ''] }) => {
    const store = new ContextStore(cli.configDirectory)
    checkContextName(name)
    const context = store.read(name)
    const meta = { ...context.meta }
    let { tls } = context
    if (flags.description !== '') meta.Metadata = { ...meta.Metadata, Description: flags.description }
    if (flags.docker !== '') {
      const parsed = parseDockerEndpoint(flags.docker, store)
      meta.Endpoints = { ...meta.Endpoints, docker: parsed.endpoint }
      tls = parsed.tls
    }
    store.write({ meta, tls })
    cli.print(name)
    cli.warn(`Successfully updated context ${JSON.stringify(name)}`)
  },
})
