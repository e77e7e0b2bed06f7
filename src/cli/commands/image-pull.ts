/** `pull`: an image, or all tags of a repository, from its registry. */
import { jsonLines } from '../../client/ndjson.ts'
import { flag } from '../../lib/flags.ts'
import type { ProgressMessage } from '../../spec/image-types.ts'
import { defineCommand } from '../command.ts'
import { authHeader } from '../credentials.ts'
import { CliError } from '../errors.ts'
import { canonicalName, parseImageName } from '../image-names.ts'
import { showProgress } from '../progress.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {
    'all-tags': flag.bool('Pull all tags of the repository', { short: 'a' }),
    'disable-content-trust': flag.bool('Accepted and not used: signatures are not checked', {
      initial: true,
    }),
    platform: flag.string('Platform of the image, where the registry has several'),
    quiet: flag.bool('Show no progress', { short: 'q' }),
  },
  count: { min: 1, max: 1 },
  run: async (cli, { flags, args: [image = ''] }) => {
    const { repository, tag, digest } = parseImageName(image)
    const isBare = tag === '' && digest === ''
    if (flags['all-tags'] && !isBare) throw new CliError("tag can't be used with --all-tags/-a")
    const isDefault = isBare && !flags['all-tags']
    if (isDefault && !flags.quiet) cli.print('Using default tag: latest')
    const response = await cli.client.request('POST', '/images/create', {
      query: {
        fromImage: repository,
        tag: digest !== '' ? digest : isDefault ? 'latest' : tag,
        platform: flags.platform.toLowerCase(),
      },
      headers: authHeader(cli, image),
    })
    const output = flags.quiet ? { isTerminal: false, write: () => {} } : cli.stdout
    await showProgress(jsonLines<ProgressMessage>(response), { output, width: cli.columns })
    const ending = digest !== '' ? `@${digest}` : isDefault ? ':latest' : tag === '' ? '' : `:${tag}`
    cli.print(`${canonicalName(repository)}${tag !== '' && digest !== '' ? `:${tag}` : ''}${ending}`)
  },
})
