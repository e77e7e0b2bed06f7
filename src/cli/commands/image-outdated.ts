/**
 * `image outdated`: which images their registries have something newer for, found out without pulling. An addition
 * to Docker's commands.
 */
import { flag } from '../../lib/flags.ts'
import type { ImageSummary } from '../../spec/image-types.ts'
import { errorMessage } from '../../spec/errors.ts'
import type { Cli } from '../cli.ts'
import { defineCommand } from '../command.ts'
import { authHeader } from '../credentials.ts'
import { formatList, type ListFormat } from '../format.ts'
import { listFormatHelp } from '../inspect.ts'

type Checked = { name: string; status: string; local: string; remote: string }

const outdatedList: ListFormat<Checked> = {
  type: '*formatter.outdatedContext',
  fields: {
    Image: { header: 'IMAGE', value: (row) => row.name },
    Status: { header: 'STATUS', value: (row) => row.status },
    Local: { header: 'LOCAL DIGEST', value: (row) => row.local },
    Remote: { header: 'REMOTE DIGEST', value: (row) => row.remote },
  },
  table: '{{.Image}}\t{{.Status}}\t{{.Remote}}',
}

const maxAtOnce = 4

function digestOf(image: ImageSummary, repository: string): string {
  const found = (image.RepoDigests ?? []).filter((name) => name.startsWith(`${repository}@`))
  return found.map((name) => name.slice(repository.length + 1)).join(' ')
}

async function check(cli: Cli, image: ImageSummary, name: string): Promise<Checked> {
  const repository = name.slice(0, name.lastIndexOf(':'))
  const local = digestOf(image, repository)
  // An image that was never pulled or pushed under this name was made here.
  if (local === '') return { name, status: 'local', local, remote: '' }
  try {
    const { Descriptor } = await cli.client.json<{ Descriptor: { digest: string } }>(
      'GET',
      `/distribution/${name}/json`,
      { headers: authHeader(cli, name) },
    )
    const isCurrent = local.split(' ').includes(Descriptor.digest)
    return { name, status: isCurrent ? 'current' : 'outdated', local, remote: Descriptor.digest }
  } catch (error) {
    return { name, status: `unknown: ${errorMessage(error)}`, local, remote: '' }
  }
}

/** See the file's description. */
export const command = defineCommand({
  flags: {
    all: flag.bool('Show images too that are current or were made here', { short: 'a' }),
    format: flag.string(listFormatHelp),
  },
  count: { min: 0 },
  completes: ['image'],
  run: async (cli, { flags, args }) => {
    const images = await cli.client.json<ImageSummary[]>('GET', '/images/json')
    const wanted = images
      .flatMap((image) => (image.RepoTags ?? []).map((name) => ({ image, name })))
      .filter(
        ({ name }) => args.length === 0 || args.includes(name) || args.includes(name.replace(/:latest$/, '')),
      )
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    const rows: Checked[] = []
    for (let at = 0; at < wanted.length; at += maxAtOnce) {
      const some = wanted.slice(at, at + maxAtOnce)
      rows.push(...(await Promise.all(some.map(async ({ image, name }) => check(cli, image, name)))))
    }
    const shown = rows.filter(({ status }) => flags.all || (status !== 'current' && status !== 'local'))
    cli.stdout.write(formatList(outdatedList, flags.format, shown))
  },
})
