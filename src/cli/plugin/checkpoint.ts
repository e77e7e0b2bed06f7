/** `checkpoint`: an experiment of Docker's that freezes a running container into files (CRIU). */
import { flag } from '../../lib/flags.ts'
import type { Cli } from '../cli.ts'
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { formatList } from '../format.ts'
import type { ListFormat } from '../format.ts'

const directory = flag.string('Directory where checkpoints are kept')
const path = (container: string) => `/containers/${encodeURIComponent(container)}/checkpoints`

const checkpointList: ListFormat<{ Name: string }> = {
  type: '*formatter.checkpointContext',
  fields: { Name: { header: 'CHECKPOINT NAME', value: (row) => row.Name } },
  table: '{{.Name}}',
  raw: '{{.Name}}',
}

/** Docker's client does not even ask an engine that keeps experiments switched off. */
async function needExperimental(cli: Cli, command: string): Promise<void> {
  const { ExperimentalBuild } = await cli.client.json<{ ExperimentalBuild: boolean }>('GET', '/info')
  if (ExperimentalBuild) return
  throw new CliError(
    `${cli.program} checkpoint ${command} is only supported on a Docker daemon with experimental features enabled`,
  )
}

/** Commands of `checkpoint`. */
export const checkpointCommands = {
  create: defineCommand({
    flags: {
      'checkpoint-dir': directory,
      'leave-running': flag.bool('Let the container run on afterwards'),
    },
    count: { min: 2, max: 2 },
    completes: ['running'],
    run: async (cli, { flags, args: [container = '', checkpoint = ''] }) => {
      await needExperimental(cli, 'create')
      const body = {
        CheckpointID: checkpoint,
        CheckpointDir: flags['checkpoint-dir'],
        Exit: !flags['leave-running'],
      }
      await cli.client.send('POST', path(container), { json: body })
      cli.print(checkpoint)
    },
  }),
  ls: defineCommand({
    flags: { 'checkpoint-dir': directory },
    count: { min: 1, max: 1 },
    completes: ['container'],
    run: async (cli, { flags, args: [container = ''] }) => {
      await needExperimental(cli, 'ls')
      const rows = await cli.client.json<{ Name: string }[] | null>('GET', path(container), {
        query: { dir: flags['checkpoint-dir'] },
      })
      cli.stdout.write(formatList(checkpointList, '', rows ?? []))
    },
  }),
  rm: defineCommand({
    flags: { 'checkpoint-dir': directory },
    count: { min: 2, max: 2 },
    completes: ['container'],
    run: async (cli, { flags, args: [container = '', checkpoint = ''] }) => {
      await needExperimental(cli, 'rm')
      await cli.client.send('DELETE', `${path(container)}/${encodeURIComponent(checkpoint)}`, {
        query: { dir: flags['checkpoint-dir'] },
      })
    },
  }),
}
