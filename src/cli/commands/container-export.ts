/** `export`: a container's file system as a tar archive. */
import { flag } from '../../lib/flags.ts'
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { writeStreamToFile } from '../save-stream.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: { output: flag.string('Write to this file', { short: 'o' }) },
  count: { min: 1, max: 1 },
  completes: ['container'],
  run: async (cli, { flags, args }) => {
    if (flags.output === '' && cli.stdout.isTerminal) {
      throw new CliError('cowardly refusing to save to a terminal. Use the -o flag or redirect')
    }
    const response = await cli.client.request(
      'GET',
      `/containers/${encodeURIComponent(args[0] ?? '')}/export`,
    )
    if (flags.output === '') for await (const chunk of response) cli.stdout.write(chunk)
    else await writeStreamToFile(flags.output, response, 'failed to export container')
  },
})
