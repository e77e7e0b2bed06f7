/** `commit`: an image from a container's changes. */
import { flag } from '../../lib/flags.ts'
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { parseImageName } from '../image-names.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {
    author: flag.string('Author of the image', { short: 'a' }),
    change: flag.list('Apply a Dockerfile instruction to the image', { short: 'c' }),
    message: flag.string('Message of the image', { short: 'm' }),
    pause: flag.bool('Pause the container meanwhile', { short: 'p', initial: true }),
  },
  count: { min: 1, max: 2 },
  interspersed: false,
  completes: ['container', 'image'],
  run: async (cli, { flags, args }) => {
    const [container, reference = ''] = args
    const name = reference === '' ? { repository: '', tag: '', digest: '' } : parseImageName(reference)
    if (name.digest !== '') throw new CliError('refusing to create a tag with a digest reference')
    const { Id } = await cli.client.json<{ Id: string }>('POST', '/commit', {
      query: {
        container,
        repo: name.repository,
        tag: reference === '' ? '' : name.tag || 'latest',
        comment: flags.message,
        author: flags.author,
        changes: flags.change,
        pause: flags.pause ? undefined : '0',
      },
      json: null,
    })
    cli.print(Id)
  },
})
