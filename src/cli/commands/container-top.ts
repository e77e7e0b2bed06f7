/** `top`: the processes of a container, as the host's `ps` shows them. */
import type { ContainerTop } from '../../spec/container-types.ts'
import { alignColumns } from '../../lib/table.ts'
import { defineCommand } from '../command.ts'

/** See the file's description. */
export const command = defineCommand({
  flags: {},
  count: { min: 1 },
  interspersed: false,
  completes: ['running'],
  run: async (cli, { args }) => {
    const [name = '', ...options] = args
    const top = await cli.client.json<ContainerTop>('GET', `/containers/${encodeURIComponent(name)}/top`, {
      query: { ps_args: options.join(' ') },
    })
    const lines = [top.Titles, ...top.Processes].map((cells) => `${cells.join('\t')}\n`)
    cli.stdout.write(alignColumns(lines.join(''), { minWidth: 20, padding: 3 }))
  },
})
