/** `network disconnect`: takes a container out of a network. */
import { flag } from '../../lib/flags.ts'
import { defineCommand } from '../command.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: { force: flag.bool('Disconnect even what does not answer', { short: 'f' }) },
  count: { min: 2, max: 2 },
  completes: ['network', 'container'],
  run: async (cli, { flags, args: [network = '', container = ''] }) => {
    await cli.client.send('POST', `/networks/${encodeURIComponent(network)}/disconnect`, {
      json: { Container: container, Force: flags.force },
    })
  },
})
