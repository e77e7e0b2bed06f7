/** `tags`: what tags a repository has in its registry. An addition to Docker's commands. */
import { flag } from '../../lib/flags.ts'
import { defineCommand } from '../command.ts'
import { authHeader } from '../credentials.ts'
import { parseImageName } from '../image-names.ts'
import { compareNatural } from '../labels.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: { limit: flag.int('Show so many at most', { initial: 0 }) },
  count: { min: 1, max: 1 },
  run: async (cli, { flags, args: [image = ''] }) => {
    const { repository } = parseImageName(image)
    const answer = await cli.client.json<{ Tags: string[] | null }>(
      'GET',
      `/distribution/${repository}/tags`,
      {
        headers: authHeader(cli, repository),
      },
    )
    const tags = (answer.Tags ?? []).toSorted(compareNatural)
    for (const tag of flags.limit > 0 ? tags.slice(0, flags.limit) : tags) cli.print(tag)
  },
})
