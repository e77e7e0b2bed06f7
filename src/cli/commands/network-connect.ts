/** `network connect`: joins a container to a network. */
import { flag } from '../../lib/flags.ts'
import { commaListFlag } from '../comma-list.ts'
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { pairsToMap } from '../labels.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {
    alias: commaListFlag('Further names in this network'),
    'driver-opt': commaListFlag('Options of the endpoint'),
    'gw-priority': flag.int('The network of the highest priority has the default gateway'),
    ip: flag.string('IPv4 address'),
    ip6: flag.string('IPv6 address'),
    link: flag.list('Link to another container'),
    'link-local-ip': commaListFlag('Link-local addresses'),
  },
  count: { min: 2, max: 2 },
  completes: ['network', 'container'],
  run: async (cli, { flags, args: [network = '', container = ''] }) => {
    for (const option of flags['driver-opt']) {
      if (!option.includes('=')) throw new CliError('invalid key/value pair format in driver options')
    }
    await cli.client.send('POST', `/networks/${encodeURIComponent(network)}/connect`, {
      json: {
        Container: container,
        EndpointConfig: {
          IPAMConfig: {
            ...(flags.ip === '' ? {} : { IPv4Address: flags.ip }),
            ...(flags.ip6 === '' ? {} : { IPv6Address: flags.ip6 }),
            ...(flags['link-local-ip'].length === 0 ? {} : { LinkLocalIPs: flags['link-local-ip'] }),
          },
          Links: flags.link,
          Aliases: flags.alias,
          DriverOpts: pairsToMap(flags['driver-opt']),
          GwPriority: flags['gw-priority'],
        },
      },
    })
  },
})
