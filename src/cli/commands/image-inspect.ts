/** `image inspect`. */
import { flag } from '../../lib/flags.ts'
import { GoNil } from '../../lib/go-value.ts'
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { platformQuery } from '../image-names.ts'
import { inspectFormatHelp, inspectObjects } from '../inspect.ts'
import type { InspectShape } from '../inspect.ts'

/** Lists and maps of a configuration that are left out when they are empty. */
const emptyLists = Object.fromEntries([
  ...['Env', 'Cmd', 'Entrypoint', 'OnBuild', 'Shell'].map((name) => [
    `Config.${name}`,
    new GoNil('slice', `Config.${name}`),
  ]),
  ...['ExposedPorts', 'Volumes', 'Labels'].map((name) => [`Config.${name}`, new GoNil('map')]),
])

/** Which parts of an image are maps, and what JSON leaves out. */
export const imageShape: InspectShape = {
  maps: ['Config.Labels', 'Config.Volumes', 'Config.ExposedPorts', 'GraphDriver.Data'],
  pointers: ['Config', 'Config.Healthcheck', 'Config.StopTimeout', 'Descriptor'],
  omitted: {
    Created: '',
    Variant: '',
    OsVersion: '',
    Descriptor: null,
    Comment: '',
    Author: '',
    Parent: '',
    DockerVersion: '',
    'Config.User': '',
    'Config.WorkingDir': '',
    'Config.StopSignal': '',
    'Config.ArgsEscaped': false,
    'Config.Healthcheck': null,
    ...emptyLists,
  },
}

/** See the file's description. */
export const command = defineCommand({
  flags: {
    format: flag.string(inspectFormatHelp, { short: 'f' }),
    platform: flag.string('Inspect this platform of the image'),
  },
  count: { min: 1 },
  completes: ['image'],
  run: async (cli, { flags, args }) =>
    await inspectObjects(cli, args, flags.format, {
      shape: imageShape,
      get: async (name) => {
        if (name === '') throw new CliError('Error: No such image: ')
        const response = await cli.client.request('GET', `/images/${encodeURIComponent(name)}/json`, {
          query: { platform: platformQuery(flags.platform) },
        })
        return (await response.bytes()).toString('utf8')
      },
    }),
})
