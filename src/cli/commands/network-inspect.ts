/** `network inspect`. */
import { flag } from '../../lib/flags.ts'
import { defineCommand } from '../command.ts'
import { inspectFormatHelp, inspectObjects } from '../inspect.ts'
import type { InspectShape } from '../inspect.ts'

/** Which parts of a network are maps, and what JSON leaves out. */
export const networkShape: InspectShape = {
  maps: ['Containers', 'Options', 'Labels', 'IPAM.Options', 'IPAM.Config.*.AuxiliaryAddresses'],
  pointers: [],
  omitted: { Peers: [], Services: {} },
}

/** See the file's description. */
export const command = defineCommand({
  flags: {
    format: flag.string(inspectFormatHelp, { short: 'f' }),
    verbose: flag.bool('Show more, for finding faults', { short: 'v' }),
  },
  count: { min: 1 },
  completes: ['network'],
  run: async (cli, { flags, args }) =>
    await inspectObjects(cli, args, flags.format, {
      shape: networkShape,
      get: async (name) => {
        const response = await cli.client.request('GET', `/networks/${encodeURIComponent(name)}`, {
          query: { verbose: flags.verbose ? 'true' : '' },
        })
        return (await response.bytes()).toString('utf8')
      },
    }),
})
