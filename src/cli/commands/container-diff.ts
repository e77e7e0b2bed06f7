/** `diff`: what a container changed in its file system. */
import type { FilesystemChange } from '../../spec/container-types.ts'
import { defineCommand } from '../command.ts'
import { formatList } from '../format.ts'
import type { ListFormat } from '../format.ts'

const kinds = ['C', 'A', 'D']
const list: ListFormat<FilesystemChange> = {
  type: '*container.diffContext',
  fields: {
    Type: { header: 'CHANGE TYPE', value: ({ Kind }) => kinds[Kind] ?? '' },
    Path: { header: 'PATH', value: ({ Path }) => Path },
  },
  table: '{{.Type}}\t{{.Path}}',
}

/** See the file's description. */
export const command = defineCommand({
  flags: {},
  count: { min: 1, max: 1 },
  completes: ['container'],
  run: async (cli, { args }) => {
    const path = `/containers/${encodeURIComponent(args[0] ?? '')}/changes`
    const changes = await cli.client.json<FilesystemChange[] | null>('GET', path)
    cli.stdout.write(formatList(list, '{{.Type}} {{.Path}}', changes ?? []))
  },
})
