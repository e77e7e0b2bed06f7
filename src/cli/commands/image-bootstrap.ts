/**
 * `image bootstrap`: a base image out of Debian's archive, where no registry is at hand. An addition to Docker's
 * commands. It is made on the client's machine and loaded into the engine.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jsonLines } from '../../client/ndjson.ts'
import { flag } from '../../lib/flags.ts'
import type { ProgressMessage } from '../../spec/image-types.ts'
import { baseImage } from '../bootstrap/base-image.ts'
import { commaListFlag } from '../comma-list.ts'
import { defineCommand } from '../command.ts'
import { CliError } from '../errors.ts'
import { parseImageName } from '../image-names.ts'
import { showProgress } from '../progress.ts'

const defaultSuite = 'stable'

function secondsOf(text: string): number {
  if (text === '') return 0
  if (/^\d{1,11}$/.test(text)) return Number(text)
  const ms = Date.parse(text)
  if (Number.isNaN(ms) || ms < 0) throw new CliError(`invalid date: ${JSON.stringify(text)}`)
  return Math.floor(ms / 1000)
}

function baseName(text: string): { name: 'busybox' | 'debian'; tag: string } {
  const { repository, tag, digest } = parseImageName(text)
  if ((repository !== 'busybox' && repository !== 'debian') || digest !== '') {
    throw new CliError(`${text} cannot be made here: name busybox[:TAG] or debian:SUITE`)
  }
  return { name: repository, tag }
}

/** See the file's description. */
export const command = defineCommand({
  flags: {
    date: flag.string(
      'Nothing in the image is newer (a date or seconds, else $SOURCE_DATE_EPOCH, else 1970)',
    ),
    include: commaListFlag('Further packages of a debian image'),
    mirror: flag.list('Where the archive is, as mmdebstrap takes it'),
    suite: flag.string('Release that the packages come from (else the tag of debian, or stable)'),
    variant: flag.string('How much of a debian system, as mmdebstrap calls it', { initial: 'minbase' }),
  },
  count: { min: 1, max: 1 },
  run: async (cli, { flags, args: [text = ''] }) => {
    const { name, tag } = baseName(text)
    const suite = flags.suite || (name === 'debian' && tag !== '' && tag !== 'latest' ? tag : defaultSuite)
    const epoch = secondsOf(flags.date || (cli.env['SOURCE_DATE_EPOCH'] ?? ''))
    const directory = mkdtempSync(join(cli.env['TMPDIR'] || tmpdir(), 'wharf-bootstrap-'))
    try {
      const archive = await baseImage({
        name,
        tag: tag === '' ? 'latest' : tag,
        suite,
        mirrors: flags.mirror,
        variant: flags.variant,
        packages: flags.include,
        epoch,
        directory,
        env: cli.env,
      })
      const response = await cli.client.request('POST', '/images/load', {
        query: { quiet: !cli.stdout.isTerminal },
        headers: { 'Content-Type': 'application/x-tar' },
        body: archive,
      })
      await showProgress(jsonLines<ProgressMessage>(response), { output: cli.stdout, width: cli.columns })
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  },
})
