/** `save`: images as an archive, to a file or standard output. */
import { flag } from '../../lib/flags.ts'
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { platformQuery } from '../image-names.ts'
import { writeStreamToFile } from '../save-stream.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {
    output: flag.string('Write to this file in place of standard output', { short: 'o' }),
    platform: flag.string('Save this platform only'),
  },
  count: { min: 1 },
  completes: ['image'],
  run: async (cli, { flags, args }) => {
    if (flags.output === '' && cli.stdout.isTerminal) {
      throw new CliError('cowardly refusing to save to a terminal. Use the -o flag or redirect')
    }
    const response = await cli.client.request('GET', '/images/get', {
      query: { names: args, platform: platformQuery(flags.platform) },
    })
    if (flags.output === '') for await (const chunk of response) cli.stdout.write(chunk)
    else await writeStreamToFile(flags.output, response, 'failed to save image')
  },
})
