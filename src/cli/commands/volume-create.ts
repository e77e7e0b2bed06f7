/** `volume create`. */
import { flag } from '../../lib/flags.ts'
import type { Volume } from '../../spec/volume-types.ts'
import { defineCommand } from '../command.ts'
import { UsageError } from '../errors.ts'
import { pairsToMap } from '../labels.ts'

const cluster = 'Cluster volumes: '

/** See the file's description. */
export const command = defineCommand({
  flags: {
    driver: flag.string('Volume driver', { short: 'd', initial: 'local' }),
    label: flag.list('Labels of the volume'),
    name: flag.string('Name of the volume', { hidden: true }),
    opt: flag.map('Options of the driver', { short: 'o' }),
    availability: flag.string(`${cluster}availability`, { initial: 'active' }),
    group: flag.string(`${cluster}group`),
    'limit-bytes': flag.bytes(`${cluster}largest size`),
    'required-bytes': flag.bytes(`${cluster}smallest size`),
    scope: flag.string(`${cluster}scope`, { initial: 'single' }),
    secret: flag.map(`${cluster}secrets`),
    sharing: flag.string(`${cluster}sharing`, { initial: 'none' }),
    'topology-preferred': flag.list(`${cluster}preferred topology`),
    'topology-required': flag.list(`${cluster}required topology`),
    type: flag.string(`${cluster}access type`, { initial: 'block' }),
  },
  count: { min: 0, max: 1 },
  run: async (cli, { flags, args, given }) => {
    if (args.length === 1 && flags.name !== '') {
      throw new UsageError(
        'conflicting options: cannot specify a volume name through both --name and as a positional arg',
        1,
      )
    }
    const clustered = [
      'availability',
      'group',
      'limit-bytes',
      'required-bytes',
      'scope',
      'secret',
      'sharing',
      'type',
    ]
    const volume = await cli.client.json<Volume>('POST', '/volumes/create', {
      json: {
        Name: args[0] ?? flags.name,
        Driver: flags.driver,
        DriverOpts: flags.opt,
        Labels: pairsToMap(flags.label),
        ...(clustered.some((name) => given.has(name)) ? { ClusterVolumeSpec: { Group: flags.group } } : {}),
      },
    })
    cli.print(volume.Name)
  },
})
