/** `history`. */
import { flag } from '../../lib/flags.ts'
import { ellipsis } from '../../lib/display-width.ts'
import { humanDuration } from '../../lib/duration.ts'
import { humanSize } from '../../lib/units.ts'
import type { ImageHistoryItem } from '../../spec/image-types.ts'
import { defineCommand } from '../command.ts'
import { formatList } from '../format.ts'
import type { ListFormat } from '../format.ts'
import { platformQuery } from '../image-names.ts'
import { listFormatHelp } from '../inspect.ts'

function historyList(options: { truncate: boolean; human: boolean }): ListFormat<ImageHistoryItem> {
  const created = (row: ImageHistoryItem) =>
    new Date(row.Created * 1000).toISOString().replace(/\.\d+Z$/, 'Z')
  const since = (row: ImageHistoryItem) =>
    row.Created <= 0 ? 'N/A' : `${humanDuration(Date.now() - row.Created * 1000)} ago`
  const cut = (text: string) => (options.truncate ? ellipsis(text, 45) : text)
  return {
    type: '*image.historyContext',
    fields: {
      ID: {
        header: 'IMAGE',
        value: (row) => (options.truncate ? row.Id.replace(/^sha\d+:/, '').slice(0, 12) : row.Id),
      },
      CreatedAt: { header: 'CREATED AT', value: created },
      CreatedSince: { header: 'CREATED', value: (row) => (options.human ? since(row) : created(row)) },
      CreatedBy: { header: 'CREATED BY', value: (row) => cut(row.CreatedBy.replaceAll('\t', ' ')) },
      Size: { header: 'SIZE', value: (row) => (options.human ? humanSize(row.Size, 3) : String(row.Size)) },
      Comment: { header: 'COMMENT', value: (row) => row.Comment },
    },
    table: `{{.ID}}\t{{.${options.human ? 'CreatedSince' : 'CreatedAt'}}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}`,
  }
}

/** See the file's description. */
export const command = defineCommand({
  flags: {
    format: flag.string(listFormatHelp),
    human: flag.bool('Show sizes and dates for people', { short: 'H', initial: true }),
    'no-trunc': flag.bool('Show everything whole'),
    platform: flag.string('History of this platform'),
    quiet: flag.bool('Show ids only', { short: 'q' }),
  },
  count: { min: 1, max: 1 },
  completes: ['image'],
  run: async (cli, { flags, args: [name = ''] }) => {
    const rows = await cli.client.json<ImageHistoryItem[]>(
      'GET',
      `/images/${encodeURIComponent(name)}/history`,
      {
        query: { platform: platformQuery(flags.platform) },
      },
    )
    const list = historyList({ truncate: !flags['no-trunc'], human: flags.human })
    cli.stdout.write(formatList(list, flags.quiet && flags.format === '' ? '{{.ID}}' : flags.format, rows))
  },
})
