/** `volume inspect`. */
import { flag } from '../../lib/flags.ts'
import { defineCommand } from '../command.ts'
import { inspectFormatHelp, inspectObjects } from '../inspect.ts'
import type { InspectShape } from '../inspect.ts'

/** Which parts of a volume are maps, and what JSON leaves out. */
export const volumeShape: InspectShape = {
  maps: ['Labels', 'Options', 'Status'],
  pointers: ['UsageData', 'ClusterVolume'],
  omitted: { CreatedAt: '', UsageData: null, ClusterVolume: null, Status: {} },
}

/** See the file's description. */
export const command = defineCommand({
  flags: { format: flag.string(inspectFormatHelp, { short: 'f' }) },
  count: { min: 1 },
  completes: ['volume'],
  run: async (cli, { flags, args }) =>
    await inspectObjects(cli, args, flags.format, {
      shape: volumeShape,
      get: async (name) => {
        const response = await cli.client.request('GET', `/volumes/${encodeURIComponent(name)}`)
        return (await response.bytes()).toString('utf8')
      },
    }),
})
