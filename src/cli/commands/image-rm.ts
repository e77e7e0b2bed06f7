/** `rmi`. */
import { ApiError } from '../../client/errors.ts'
import { flag } from '../../lib/flags.ts'
import type { ImageDeleted } from '../../spec/image-types.ts'
import { commaListFlag } from '../comma-list.ts'
import { defineCommand } from '../command.ts'
import { CliError, failureOf } from '../errors.ts'
import { platformQuery } from '../image-names.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {
    force: flag.bool('Remove the image though it is in use or has several names', { short: 'f' }),
    'no-prune': flag.bool('Keep untagged parents'),
    platform: commaListFlag('Remove this platform only'),
  },
  count: { min: 1 },
  completes: ['image'],
  run: async (cli, { flags, args }) => {
    const errors: string[] = []
    let fatal = false
    for (const name of args) {
      try {
        const platforms = flags.platform.flatMap((platform) => platformQuery(platform) ?? [])
        const rows = await cli.client.json<ImageDeleted[]>('DELETE', `/images/${encodeURIComponent(name)}`, {
          query: { force: flags.force, noprune: flags['no-prune'], platforms },
        })
        for (const row of rows)
          cli.print(
            'Untagged' in row && row.Untagged !== ''
              ? `Untagged: ${row.Untagged}`
              : `Deleted: ${'Deleted' in row ? row.Deleted : ''}`,
          )
      } catch (error) {
        const missing = error instanceof ApiError && error.status === 404
        if (!missing) fatal = true
        errors.push(failureOf(error).message)
      }
    }
    if (errors.length === 0) return
    if (!flags.force || fatal) throw new CliError(errors.join('\n'))
    cli.warn(errors.join('\n'))
  },
})
