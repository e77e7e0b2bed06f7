/** `volume update`: for cluster volumes only, which take a swarm. */
import { flag } from '../../lib/flags.ts'
import type { Volume } from '../../spec/volume-types.ts'
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: { availability: flag.string('Cluster volumes: availability', { initial: 'active' }) },
  count: { min: 1, max: 1 },
  completes: ['volume'],
  run: async (cli, { args: [name = ''] }) => {
    await cli.client.json<Volume>('GET', `/volumes/${encodeURIComponent(name)}`)
    throw new CliError('Can only update cluster volumes')
  },
})
