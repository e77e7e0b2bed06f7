/** `context create`. */
import { flag } from '../../lib/flags.ts'
import { defineCommand } from '../command.ts'
import { ContextStore, checkContextName, parseDockerEndpoint } from '../context-store.ts'
import { resolveEndpoint } from '../endpoint.ts'
import { CliError } from '../errors.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {
    description: flag.string('Description of the context'),
    docker: flag.string('The engine: host=, ca=, cert=, key=, skip-tls-verify=, or from=', {
      type: 'stringToString',
      shownDefault: '[]',
    }),
    from: flag.string('Take everything from this context'),
  },
  count: { min: 1, max: 1 },
  run: async (cli, { flags, args: [name = ''] }) => {
    const store = new ContextStore(cli.configDirectory)
    checkContextName(name)
    if (store.exists(name)) throw new CliError(`context ${JSON.stringify(name)} already exists`)
    if (flags.from !== '') {
      if (flags.docker !== '') throw new CliError('cannot use --docker flag when --from is set')
      const { meta, tls } = store.read(flags.from)
      const Metadata =
        flags.description === ''
          ? (meta.Metadata ?? {})
          : { ...meta.Metadata, Description: flags.description }
      store.write({ meta: { ...meta, Name: name, Metadata }, tls })
    } else {
      const { endpoint, tls } =
        flags.docker === ''
          ? { endpoint: { Host: resolveEndpoint(cli.endpointSources).text, SkipTLSVerify: false }, tls: {} }
          : parseDockerEndpoint(flags.docker, store)
      const Metadata = flags.description === '' ? {} : { Description: flags.description }
      store.write({ meta: { Name: name, Metadata, Endpoints: { docker: endpoint } }, tls })
    }
    cli.print(name)
    cli.warn(`Successfully created context ${JSON.stringify(name)}`)
  },
})
