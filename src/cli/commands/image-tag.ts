/** `tag`. */
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { parseImageName } from '../image-names.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {},
  count: { min: 2, max: 2 },
  interspersed: false,
  completes: ['image'],
  run: async (cli, { args: [source = '', target = ''] }) => {
    let name
    try {
      name = parseImageName(target)
    } catch (error) {
      throw new CliError(
        `Error parsing reference: ${JSON.stringify(target)} is not a valid repository/tag: ${error instanceof Error ? error.message : ''}`,
        { cause: error },
      )
    }
    if (name.digest !== '') throw new CliError('refusing to create a tag with a digest reference')
    await cli.client.send('POST', `/images/${encodeURIComponent(source)}/tag`, {
      query: { repo: name.repository, tag: name.tag === '' ? 'latest' : name.tag },
    })
  },
})
