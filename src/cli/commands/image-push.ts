/** `push`: an image, or all tags of a repository, to its registry. */
import { jsonLines } from '../../client/ndjson.ts'
import { flag } from '../../lib/flags.ts'
import type { ProgressMessage } from '../../spec/image-types.ts'
import { defineCommand } from '../command.ts'
import { authHeader } from '../credentials.ts'
import { CliError } from '../errors.ts'
import { canonicalName, parseImageName, platformQuery } from '../image-names.ts'
import { showProgress } from '../progress.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {
    'all-tags': flag.bool('Push all tags of the repository', { short: 'a' }),
    'disable-content-trust': flag.bool('Accepted and not used: nothing is signed', { initial: true }),
    platform: flag.string('Push this platform only'),
    quiet: flag.bool('Show no progress', { short: 'q' }),
  },
  count: { min: 1, max: 1 },
  completes: ['image'],
  run: async (cli, { flags, args: [image = ''] }) => {
    const { repository, tag, digest } = parseImageName(image)
    if (digest !== '') throw new CliError('cannot push a digest reference')
    if (flags['all-tags'] && tag !== '') throw new CliError("tag can't be used with --all-tags/-a")
    const isDefault = tag === '' && !flags['all-tags']
    if (isDefault && !flags.quiet) cli.print('Using default tag: latest')
    const wanted = isDefault ? 'latest' : tag
    const response = await cli.client.request('POST', `/images/${repository}/push`, {
      query: { tag: wanted, platform: platformQuery(flags.platform) },
      headers: authHeader(cli, image),
    })
    const output = flags.quiet ? { isTerminal: false, write: () => {} } : cli.stdout
    const notes: string[] = []
    const aux = (value: Record<string, unknown>) => notes.push(...noteOf(value))
    await showProgress(jsonLines<ProgressMessage>(response), { output, width: cli.columns, aux })
    for (const note of notes) cli.print(`\nInfo → ${note}`)
    if (flags.quiet) cli.print(`${canonicalName(repository)}${wanted === '' ? '' : `:${wanted}`}`)
  },
})

/** What the registry got in place of an index whose parts are not all here. */
function noteOf(aux: Record<string, unknown>): string[] {
  if (aux['ManifestPushedInsteadOfIndex'] !== true) return []
  const of = (name: string): string => {
    const found = aux[name]
    const digest: unknown = typeof found === 'object' && found !== null ? Reflect.get(found, 'digest') : ''
    return typeof digest === 'string' ? digest : ''
  }
  return [
    `Not all multiplatform-content is present and only the available single-platform image was pushed\n\n${of('OriginalIndex')} -> ${of('SelectedManifest')}`,
  ]
}
